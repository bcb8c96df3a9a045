"""Class probabilities of every item of a collection from the few whose class is known (ours).

Three judges, each told by the same answers. One spreads the known classes over the neighbour graph of all
items: right where classes are islands, and right early. One is a multinomial logistic regression on the
features: right where classes are half-spaces. One is a ridge regression on Gaussian kernels with the known
items: right where classes have any other shape, once many are known. How far each is trusted is fitted on
held-out answers (a product of experts), which also calibrates what they say together: with few answers
probabilities stay modest, with many they become sharp.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from dhaps_core.hashing.kernel_ridge import kernel_ridge, unit_kernel
from dhaps_core.hashing.neighbours import NeighbourGraph
from dhaps_core.pairs import median_bandwidth

__all__ = ["Collection", "Foretelling", "Told", "foretell", "folds"]

FOLDS = 5
PENALTY = 0.1  # C of the logistic regression, on unit features times SCALE
SCALE = 10.0
SHARP = 10.0  # log-odds of a class by the kernels, where they say 1 above the mean of all
CENTRES = 5000  # known items at most that the kernels are told of
SAMPLE = 1000  # items that the width of the kernels is the median distance of
PRIOR = (2.0, 0.15, 0.15)  # trust in the three judges before any answer ...
PRIOR_WEIGHT = 5.0  # ... as firm as this times the squared difference in log-likelihood
FLOOR = 1e-4  # least probability that a judge gives
HINT = 0.03  # what the regression says of an item, beside an answer about one
BLOCK = 5000  # items whose kernels are in memory at once
KEPT = 3  # states of the answers of which what they foretell is kept
SMOOTH = 20.0  # answers that every class is thought to have had


@dataclass(frozen=True, eq=False)
class Told:
    """What answers tell about single items.

    Attributes:
        at: positions of l items.
        values: which class (or group of items known to be the same) each has; several, possibly.
        several: whether an item may have several classes.
        names: of the classes, where whoever made it tells them; None of a group without a name.
    """

    at: Int[Tensor, " l"]
    values: Bool[Tensor, "l c"]
    several: bool = False
    names: tuple[str | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Collection:
    """All items that may be asked about, as the judges see them; the same whatever is answered.

    Attributes:
        features: of the items.
    """

    features: Float[Tensor, "n d"]

    @cached_property
    def rows(self) -> Float[Tensor, "n d"]:
        """Unit features."""
        return normalize(self.features.float(), dim=1)

    @cached_property
    def graph(self) -> NeighbourGraph:
        """Who is near whom."""
        return NeighbourGraph(self.rows)

    @cached_property
    def bandwidth(self) -> float:
        """Of Gaussian kernels between unit features: the median heuristic."""
        some = self.rows[:: max(1, len(self.rows) // SAMPLE)]
        return median_bandwidth(some, generator=torch.Generator())

    def foretold(self, told: Told) -> "Foretelling":
        """:func:`foretell`, kept for the last few: codes, choice and outlook of a round ask the same."""
        for known, found in self._kept:
            same = known.several == told.several and torch.equal(known.at, told.at)
            if same and torch.equal(known.values, told.values):
                return found
        found = foretell(self, told)
        self._kept[:] = [*self._kept[-KEPT + 1 :], (told, found)]
        return found

    @cached_property
    def _kept(self) -> "list[tuple[Told, Foretelling]]":
        return []


@dataclass(frozen=True, eq=False)
class Foretelling:
    """What is foretold of the items of a collection.

    Attributes:
        probabilities: of each class; with several classes an item, each by itself.
        graph: log-odds by the neighbour graph, [n c], times the trust in it.
        linear: weights and, last, offsets of the regression on unit features, times the trust in it.
        centres: positions of the k known items that the kernels are centred at.
        kernels: weights of the kernels, times the trust in them.
        trust: in the graph, in the regression and in the kernels.
        apart: probabilities of the l known items by the answers about others alone.
        held_out: what those give to the truth; NaN where the others do not name the item's class at all.
    """

    probabilities: Float[Tensor, "n c"]
    graph: Float[Tensor, "n c"]
    linear: Float[Tensor, "d1 c"]
    centres: Int[Tensor, " k"]
    kernels: Float[Tensor, "k c"]
    trust: tuple[float, ...]
    apart: Float[Tensor, "l c"]
    held_out: Float[Tensor, " l"]

    @property
    def borne_out(self) -> float | None:
        """Mean probability that was given to the truth of known items; None where none could be foretold."""
        usable = self.held_out[~self.held_out.isnan()]
        return float(usable.mean()) if len(usable) else None


def foretell(collection: Collection, told: Told) -> Foretelling:
    """Probabilities of every item from at least two known items of two classes or more.

    Graph and regression are asked FOLDS + 1 times: without each fold of the known items, and with all.
    """
    rows, values, several = collection.rows, told.values.float(), told.several
    count, c = values.shape
    fold = folds(told.values)
    heard = torch.arange(FOLDS + 1)[:, None] != fold  # [folds + 1, l]
    weights = _regressions(rows[told.at], values, heard.float(), several=several)
    smooth = SMOOTH * (1 if several else c)
    frequent = (heard.float() @ values + SMOOTH) / (heard.sum(1, keepdim=True) + smooth)
    inputs = torch.cat([SCALE * rows, torch.ones(len(rows), 1)], 1)
    apart = torch.zeros(len(PRIOR), count, c)
    for k, part in enumerate(heard):  # one after another: with a thousand classes one fold fills the memory
        said = inputs @ weights[k]
        evidence = HINT * (said.sigmoid() if several else said.softmax(1))
        evidence[told.at[part]] = values[part]
        spread = torch.from_numpy(collection.graph.spread(evidence.numpy()))
        graph = _log_odds(spread, frequent[k], several=several)
        apart[:2, ~part] = torch.stack([graph, said])[:, told.at[~part]]
    usual = frequent[-1].logit(eps=FLOOR) if several else torch.zeros(c)
    centres, kernels, apart[2] = _kernels(collection, told, fold)
    apart[2] += usual
    usable = torch.ones(count, dtype=torch.bool)
    if not several:  # a class that only one item has is in no other fold
        usable = (heard[:FOLDS].float() @ values)[fold][told.values] > 0
    trust = _trust(apart[:, usable], values[usable], several=several)
    held_out = _together(trust, apart)
    truth = _likelihood(held_out, values, several=several).exp()
    truth[~usable] = torch.nan
    graph, linear, kernels = trust[0] * graph, trust[1] * weights[-1], trust[2] * kernels
    linear[:-1] *= SCALE
    linear[-1] += trust[2] * usual
    odds = graph + rows @ linear[:-1] + linear[-1]
    odds += _sum(collection, rows, rows[centres], kernels)
    probabilities, others = (one.sigmoid() if several else one.softmax(1) for one in (odds, held_out))
    return Foretelling(probabilities, graph, linear, centres, kernels, tuple(trust.tolist()), others, truth)


def folds(values: Bool[Tensor, "l c"]) -> Int[Tensor, " l"]:
    """Fold of each known item: those of a class are dealt in turn, so that it is missing in none."""
    order = values.float().argmax(1).argsort(stable=True)
    fold = torch.empty(len(values), dtype=torch.long)
    fold[order] = torch.arange(len(values)) % FOLDS
    return fold


def _kernels(
    collection: Collection, told: Told, fold: Int[Tensor, " l"]
) -> tuple[Int[Tensor, " k"], Float[Tensor, "k c"], Float[Tensor, "l c"]]:
    """Centres and weights of the kernels, and what they say of each known item without its fold.

    Of more than CENTRES known items they are told of so many, and of each of the others they say what they
    would of any item.
    """
    count = len(told.at)
    chosen = torch.arange(min(count, CENTRES)) * count // min(count, CENTRES)
    centres, values = told.at[chosen], told.values.float()
    rows = collection.rows[centres]
    kernel = unit_kernel(rows, rows, bandwidth=collection.bandwidth)
    weights, apart = kernel_ridge(kernel, SHARP * (values[chosen] - values.mean(0)), fold[chosen])
    if count > len(chosen):
        said = _sum(collection, collection.rows[told.at], rows, weights)
        said[chosen] = apart
        apart = said
    return centres, weights, apart


def _sum(
    collection: Collection,
    x: Float[Tensor, "n d"],
    centres: Float[Tensor, "k d"],
    weights: Float[Tensor, "k c"],
) -> Float[Tensor, "n c"]:
    """Kernels with the centres, times weights."""
    found = [unit_kernel(part, centres, bandwidth=collection.bandwidth) @ weights for part in x.split(BLOCK)]
    return torch.cat(found)


def _log_odds(
    spread: Float[Tensor, "n c"], frequent: Float[Tensor, " c"], *, several: bool
) -> Float[Tensor, "n c"]:
    """Logarithms of scores whose classes have masses in the collection as they are frequent in the answers.

    Of one item alone scores are shares among its classes; with several classes each is a share by itself.
    """
    shares = spread / spread.sum(0).clamp_min(1e-12) * frequent
    if several:
        # Of a share of all mass, what an item would have of it if all had the same.
        one = (shares * len(spread)).clamp(FLOOR, 1 - FLOOR)
        return one.log() - (1 - one).log()
    shares = shares / shares.sum(1, keepdim=True).clamp_min(1e-12)
    return shares.clamp_min(FLOOR).log()


def _regressions(
    rows: Float[Tensor, "l d"], values: Float[Tensor, "l c"], told: Float[Tensor, "k l"], *, several: bool
) -> Float[Tensor, "k d1 c"]:
    """Logistic regressions, one for each row of what is told, with an offset that is not penalised."""
    inputs = torch.cat([SCALE * rows, torch.ones(len(rows), 1)], 1)
    weights = torch.zeros(len(told), inputs.shape[1], values.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=40, line_search_fn="strong_wolfe", tolerance_grad=1e-4, tolerance_change=1e-6
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        likelihood = _likelihood(inputs @ weights, values, several=several)
        value = weights[:, :-1].square().sum() / (2 * PENALTY) - (told * likelihood).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach()


def _trust(
    apart: Float[Tensor, "j l c"], values: Float[Tensor, "l c"], *, several: bool
) -> Float[Tensor, " j"]:
    """Exponents of the judges under which the held-out answers are likeliest; none is below 0."""
    prior = torch.tensor(PRIOR)
    trust = prior.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([trust], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        likelihood = _likelihood(_together(trust, apart), values, several=several)
        value = PRIOR_WEIGHT * (trust - prior).square().sum() - likelihood.sum()
        value.backward()
        return value

    optimizer.step(loss)
    return trust.detach().clamp_min(0)


def _together(trust: Float[Tensor, " j"], said: Float[Tensor, "j l c"]) -> Float[Tensor, "l c"]:
    """Product of the experts, as log-odds."""
    return (trust[:, None, None] * said).sum(0)


def _likelihood(
    odds: Float[Tensor, "*k l c"], values: Float[Tensor, "l c"], *, several: bool
) -> Float[Tensor, "*k l"]:
    """Log-likelihood of what is known of each item."""
    if not several:
        return (odds.log_softmax(-1) * values).sum(-1)
    return -binary_cross_entropy_with_logits(odds, values.expand_as(odds), reduction="none").sum(-1)
