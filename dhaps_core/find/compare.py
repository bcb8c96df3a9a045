"""What a searcher sees, measured on items whose class is known and that nobody answered about.

mAP looks at whole rankings, a person at the first ten. So codes stand here beside the plain cosine of the
floats that they were made of, and beside a shortlist by codes in the order of the floats, each with its cost.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from tabulate import tabulate
from torch import Tensor

from dhaps_core.answers.csv_file import read_csv
from dhaps_core.codes import unpack
from dhaps_core.data.items import Items
from dhaps_core.files import at_home
from dhaps_core.find.loaded import Loaded
from dhaps_core.find.rerank import same
from dhaps_core.retrieval.average_precision import mean_average_precision
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.retrieval.metrics import precision_at_k
from dhaps_core.retrieval.relevance import Relevance
from dhaps_core.seeds import derive_generator

__all__ = ["Comparison", "compare", "known_classes"]

QUERIES = 1000
TIMED = 50
CUTS = (1, 10)
FLOATS = "floats, by cosine"


@dataclass(frozen=True)
class Comparison:
    """Ways to search the same items, beside each other.

    Attributes:
        rows: for each way its name, P@1, P@10 and mAP in [0, 1] (None where there is nothing to measure),
            bytes an item, and milliseconds a query without its embedding.
        queries: how many were measured, each against all others of ``items``.
        items: with a known class that nobody answered about.
        searched: items of the collection.
    """

    rows: Sequence[dict[str, Any]]
    queries: int
    items: int
    searched: int

    def __str__(self) -> str:
        names = ("search by", "P@1", "P@10", "mAP", "bytes an item", "ms a query")
        lines = [[_shown(row[name]) for name in names] for row in self.rows]
        table = tabulate(lines, names, disable_numparse=True, colalign=("left", *("right",) * 5))
        return f"{table}\n{self._about()}\n{self.verdict}"

    @property
    def verdict(self) -> str:
        """What is to be said of codes beside floats, in one line."""
        rows = {row["search by"]: row for row in self.rows}
        codes, floats = rows["codes"], rows.get(FLOATS)
        if floats is None:
            return f"Codes take {codes['bytes an item']} bytes an item; there are no floats beside them."
        saved = (
            f"Codes take {codes['bytes an item']} bytes an item where floats take {floats['bytes an item']}"
        )
        if not self.queries:
            return f"{saved}; re-ranking needs both."
        worse = [f"P@{k}" for k in CUTS if codes[f"P@{k}"] <= floats[f"P@{k}"]]
        reranked = next(row for name, row in rows.items() if name.endswith("re-ranked"))
        still = [f"P@{k}" for k in CUTS if reranked[f"P@{k}"] <= floats[f"P@{k}"]]
        told = f"codes are {'no better' if worse else 'better'} than floats at the top"
        by = f" (by {' and '.join(worse)})" if worse else ""
        then = f"no better by {' and '.join(still)}" if still else "better"
        return f"{saved}: {told}{by}; re-ranked, which needs both, they are {then}."

    def _about(self) -> str:
        if not self.queries:
            rule = "Only costs are measured: more than 10 of the items that nobody answered about must have a"
            return f"{rule} known class (class folders, or a CSV); {self.items} have one."
        return (
            f"{self.queries:,} queries, each against the {self.items - 1:,} others whose class is known, and "
            f"that nobody answered about; times are of all {self.searched:,} items, without the embedding."
        )


def known_classes(items: Items, answers: str = "") -> dict[str, tuple[str, ...]]:
    """Classes of items by their keys: their own labels, or else those that a CSV file of answers names.

    Args:
        items: the collection.
        answers: path of the file, if it is one; anything else names none.
    """
    if items.labels is not None:
        return {key: items.classes_of(i) for i, key in enumerate(items.keys)}
    if not answers or not at_home(answers).is_file():
        return {}
    return {one.keys[0]: one.classes for one in read_csv(answers) if one.kind == "class"}


def compare(
    loaded: Loaded,
    classes: Mapping[str, Sequence[str]],
    *,
    answered: Collection[str],
    start: HammingIndex | None = None,
    shortlist: int = 200,
    seed: int = 0,
) -> Comparison:
    """Codes, codes re-ranked and floats, by what a searcher sees of the items that nobody answered about.

    Args:
        loaded: the result of a run.
        classes: of items by their keys; two that share one are relevant to each other.
        answered: keys that do not take part: the codes have seen what they are.
        start: codes of the same items before the first answer, for a row of their own.
        shortlist: length of what is re-ranked.
        seed: draws at most 1,000 queries.
    """
    left = set(answered)
    keys = [key for key in loaded.index.keys if classes.get(key) and key not in left]
    drawn = torch.randperm(len(keys), generator=derive_generator(seed, "compare"))[:QUERIES]
    trial = _Trial(keys, drawn.sort().values if len(keys) > max(CUTS) else drawn[:0], classes)
    rows, n = [], len(loaded)
    for name, index in (("codes at the start", start), ("codes", loaded.index)):
        if index is not None:
            took = _ms(_by_codes(index, min(10, len(index))), len(index))
            rows.append(_row(name, trial.by_codes(index), index.packed().shape[1], took))
    if loaded.floats is None:
        return Comparison(rows, len(trial.at), len(keys), n)
    floats = torch.from_numpy(loaded.floats.astype(np.float32))
    length, wide = min(shortlist, n), 2 * floats.shape[1]
    search = _by_codes(loaded.index, length)

    def shortlisted(i: int) -> Tensor:
        found = search(i)
        return same(floats[i], floats[[loaded.index.position[key] for key in found]], loaded.foreteller)

    measured, both = trial.reranked(loaded, floats, shortlist), rows[-1]["bytes an item"] + wide
    rows.append(_row(f"codes, {length} re-ranked", measured, both, _ms(shortlisted, n)))
    took = _ms(lambda i: (floats @ floats[i]).topk(min(10, n)), n)
    rows.append(_row(FLOATS, trial.by_cosine(loaded, floats), wide, took))
    return Comparison(rows, len(trial.at), len(keys), n)


class _Trial:
    """Queries among items of known classes.

    Args:
        keys: of the items.
        at: positions of the queries.
        classes: of the items by their keys.
    """

    def __init__(
        self, keys: Sequence[str], at: Int64[Tensor, " q"], classes: Mapping[str, Sequence[str]]
    ) -> None:
        self.keys, self.at = keys, at
        number = {
            name: i for i, name in enumerate(dict.fromkeys(name for key in keys for name in classes[key]))
        }
        hot = torch.zeros(len(keys), len(number))
        for i, key in enumerate(keys):
            hot[i, [number[name] for name in classes[key]]] = 1
        self.relevant: Bool[Tensor, "q m"] = hot[at] @ hot.T > 0
        self.relevant[torch.arange(len(at)), at] = False

    def by_codes(self, index: HammingIndex) -> dict[str, float | None]:
        """Of the expected ranking by codes, ties in any order."""
        if not len(self.at):
            return {}
        codes = index.codes(self.keys)
        names = [self.keys[i] for i in self.at]
        histograms = distance_histograms(
            codes[self.at].float(),
            codes.float(),
            Relevance.matrix(self.relevant),
            query_keys=names,
            database_keys=self.keys,
            exclude_self=True,
        )
        at_cuts = precision_at_k(histograms, CUTS).tolist()
        return _named(at_cuts, mean_average_precision(histograms))

    def by_cosine(self, loaded: Loaded, floats: Float[Tensor, "n d"]) -> dict[str, float | None]:
        """Of the ranking of all by the cosine of the floats."""
        if not len(self.at):
            return {}
        rows = floats[[loaded.index.position[key] for key in self.keys]]
        hits, precisions = [], []
        for part in torch.arange(len(self.at)).split(100):
            scores = rows[self.at[part]] @ rows.T
            scores[torch.arange(len(part)), self.at[part]] = -torch.inf
            ranked = self.relevant[part].gather(1, scores.argsort(dim=1, descending=True, stable=True))
            hits.append(ranked[:, : max(CUTS)])
            precisions.append(_average_precision(ranked))
        return _named(_at_cuts(torch.cat(hits)), float(torch.cat(precisions).mean()))

    def reranked(self, loaded: Loaded, floats: Float[Tensor, "n d"], length: int) -> dict[str, float | None]:
        """Of the first of a shortlist by codes that is put in order by the floats."""
        if not len(self.at):
            return {}
        codes = loaded.index.codes(self.keys)
        among = HammingIndex(codes, self.keys)
        rows = floats[[loaded.index.position[key] for key in self.keys]]
        found, _ = among.search(codes[self.at], min(length + 1, len(self.keys)))
        hits = []
        for q, (i, keys) in enumerate(zip(self.at.tolist(), found, strict=True)):
            near = torch.tensor([among.position[key] for key in keys if among.position[key] != i][:length])
            scores = same(rows[i], rows[near], loaded.foreteller)
            order = scores.argsort(descending=True, stable=True)
            hits.append(self.relevant[q, near[order[: max(CUTS)]]])
        return _named(_at_cuts(torch.stack(hits)), None)


def _average_precision(ranked: Bool[Tensor, "q m"]) -> Float[Tensor, " q"]:
    hits = ranked.cumsum(1) / torch.arange(1, ranked.shape[1] + 1)
    precision: Float[Tensor, " q"] = (hits * ranked).sum(1) / ranked.sum(1).clamp_min(1)
    return precision


def _at_cuts(hits: Bool[Tensor, "q k"]) -> list[float]:
    return [float(hits[:, :k].float().mean()) for k in CUTS]


def _named(at_cuts: Sequence[float], average: float | None) -> dict[str, float | None]:
    return {**{f"P@{k}": value for k, value in zip(CUTS, at_cuts, strict=True)}, "mAP": average}


def _row(name: str, measured: dict[str, float | None], bytes_: int, took: float) -> dict[str, Any]:
    empty: dict[str, float | None] = _named([0.0] * len(CUTS), None)
    values = measured or dict.fromkeys(empty)
    return {"search by": name, **values, "bytes an item": bytes_, "ms a query": took}


def _by_codes(index: HammingIndex, k: int) -> Callable[[int], list[str]]:
    """The keys of the k nearest to the i-th item."""
    codes = unpack(torch.from_numpy(index.packed()), index.bits)
    return lambda i: index.search(codes[[i]], k)[0][0]


def _ms(call: Callable[[int], object], n: int) -> float:
    """Median milliseconds of a call for some of n items."""
    taken = []
    for i in range(0, n, max(1, n // TIMED)):
        started = time.perf_counter()
        call(i)
        taken.append(time.perf_counter() - started)
    return 1000 * median(taken)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)
