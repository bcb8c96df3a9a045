"""Names of rows: a run is a row of Table 1 by what it did, and its name tells what no row of the paper has.

What DH-APS leaves open is written behind the name, before the budget: ``DH-APS (10%)`` is ours, selected in
several rounds and trained with MMD_S; ``DH-APS (literal) (10%)`` is the paper's to the letter
(``preset="paper"``); ``DH-APS (one shot, no MMD_S) (10%)`` departs from ours in two things. Such words are
the *variety* of a row.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dhaps_core.acquisition.strategies import WEIGHTS
from dhaps_core.hashing.training_settings import USUAL
from dhaps_core.paper.table import ROWS, normal_budget
from dhaps_core.session.presets import PRESETS
from dhaps_core.session.settings import Settings

__all__ = ["SELECTION", "printed_name", "row_name", "variety_of", "with_variety"]

SELECTION = ("kernel", "space", "bandwidth_scale", "beta", "weights", "calibrated")
OURS: Mapping[str, Any] = {field.name: field.default for field in fields(Settings) if field.name in SELECTION}
LEARNERS = ("auto", "follow")  # that go with the reading covered: on embeddings, and from images
VARIETY = re.compile(r"(DH-APS(?:\+PTS3H)?) \(([^()%*]+)\)")


def row_name(settings: Mapping[str, Any], acquisition: str, budget: str, rounds: int) -> str:
    """Name of the row that a run belongs to; runs that Table 1 does not have are named by what they are.

    Weights of training terms are in the name where they are not the usual ones: the rows called DH-APS have
    MMD_S with the weight 1, as the poster has it, and other rows do not have it. A reading of DH-APS that
    chooses no pairs, ``covered``, is no row of the paper: with the learner that goes with it, it is
    ``DH-APS+ours``.

    Args:
        settings: of the run, as its folder keeps them; the question is not read, as only ``classes`` has a
            share for a budget.
        acquisition: a strategy, ``all`` (the pool labelled, or what its protocol lists) or ``none``.
        budget: share of the pool; not read where all or nothing is labelled.
        rounds: of selection.

    Raises:
        ValueError: if the budget is none.

    Example:
        >>> ours = Settings(method="dpsh", reading="closed").to_json()
        >>> row_name(ours, "dhaps", "10%", 1), row_name(ours, "random", "10%", 1)
        ('DH-APS (one shot, no MMD_S) (10%)', 'dpsh random 10%')
        >>> row_name(Settings.preset("paper").to_json(), "dhaps", "10%", 5)
        'DH-APS (literal) (10%)'
        >>> row_name(Settings(method="auto").to_json(), "dhaps", "10%", 1)
        'DH-APS+ours (10%)'
    """
    method, reading = settings["method"], settings.get("reading", "closed")
    fixed = acquisition in {"none", "all"}
    budget = "" if fixed else normal_budget(budget)
    pairs = acquisition == "dhaps" and reading != "covered"
    chosen = _of_pairs(reading, settings, rounds) if pairs else []
    if acquisition == "dhaps" and not pairs:
        chosen = _departures(reading, settings, OURS)
    words = chosen + _of_training(settings, pairs=pairs)
    if not (fixed or pairs) and acquisition != "random" and rounds > 1:
        words.insert(0, f"{rounds} rounds")
    name = f"{method} {acquisition} {budget}".rstrip()
    if acquisition == "dhaps" and not pairs:
        name = f"DH-APS+ours ({budget})" if method in LEARNERS else f"{method} covered {budget}"
    for row in () if acquisition == "dhaps" and not pairs else ROWS:
        if (row.method, row.acquisition) == (method, acquisition) and (fixed or row.budget == budget):
            name = row.name
    varied = with_variety(name, ", ".join(words))
    return ", ".join([name, *words]) if varied == name else varied


def with_variety(name: str, variety: str) -> str:
    """A row of the paper in a variety; rows other than its DH-APS have none.

    Example:
        >>> with_variety("DH-APS (10%)", "literal"), with_variety("DH-APS+PTS3H", "one shot")
        ('DH-APS (literal) (10%)', 'DH-APS+PTS3H (one shot)')
    """
    if not variety or not any(name == row.name and row.acquisition == "dhaps" for row in ROWS):
        return name
    head, _, budget = name.partition(" ")
    return f"{head} ({variety}) {budget}".rstrip()


def variety_of(name: str) -> str:
    """The variety of a row by its name; empty where it has none.

    Example:
        >>> variety_of("DH-APS (literal, no MMD_S) (1%)"), variety_of("DH-APS (1%)")
        ('literal, no MMD_S', '')
    """
    found = VARIETY.match(name)
    return found[2] if found else ""


def printed_name(name: str) -> str:
    """The row of the paper that a row is a variety of; the name itself where it is none. Claims likewise.

    Example:
        >>> printed_name("DH-APS (literal, no MMD_S) (1%)"), printed_name("DPSH")
        ('DH-APS (1%)', 'DPSH')
        >>> printed_name("DH, GraphBit < DH-APS (one shot) (1%)")
        'DH, GraphBit < DH-APS (1%)'
    """
    return VARIETY.sub(r"\1", name)


def _of_pairs(reading: str, settings: Mapping[str, Any], rounds: int) -> list[str]:
    """What of a choice of pairs departs from ours, or from the paper's."""
    base = {**OURS, **PRESETS["paper"]} if reading == "published" else OURS
    words = told = _departures(reading, settings, base)
    if reading == "published":
        similarity = settings["training"].get("similarity")
        words = ["published", *told] if told or similarity else ["literal"]
    return [*words, "one shot"] if rounds == 1 else words


def _departures(reading: str, settings: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """Settings of a choice that are not what they are in the base, in words."""
    given = {name: settings.get(name, base[name]) for name in SELECTION}
    if given["weights"] == asdict(WEIGHTS[reading]):
        given["weights"] = None
    given["calibrated"] = given["calibrated"] or None  # of classes, None means that it is not
    return [f"{name} {_word(value)}" for name, value in given.items() if value != base[name]]


def _of_training(settings: Mapping[str, Any], *, pairs: bool) -> list[str]:
    """Terms of the training objective that do not weigh what they usually do in such a row."""
    training, words = settings["training"], []
    usual = USUAL[settings["network"] if settings.get("side") else "embeddings"].similarity
    literal = pairs and settings.get("reading") == "published"
    similarity, mmd = training.get("similarity", usual), training.get("mmd", 0.0)
    if similarity != usual and not (literal and not similarity):
        words.append(f"similarity {_word(similarity)}" if similarity else "no similarity term")
    if mmd != float(pairs):
        words.append({0.0: "no MMD_S", 1.0: "with MMD_S"}.get(mmd, f"MMD_S {_word(mmd)}"))
    return words


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return "/".join(map(_word, value.values()))
    if value is True:
        return "yes"
    return value if isinstance(value, str) else f"{value:g}"
