"""What answers imply, drawn, and what one wrong answer does to it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.snapshot import Snapshot
from widgets.lessons.material import Material
from widgets.lessons.thumbnails import BAD, GOOD, OTHER, clear, colour_of, thumbnail

__all__ = ["answers_given", "closure_figure"]

OPPOSITE = {"same": "different", "different": "same"}


def answers_given(material: Material, asked: Sequence[tuple[int, int]], *, wrong: int = 0) -> list[Answer]:
    """True answers to questions about pairs of items, but for one.

    Args:
        material: the items; their keys are their positions.
        asked: the pairs, in order.
        wrong: number of the answer that is the opposite of the truth, from 1; 0 for none.
    """
    answers = []
    for number, (i, j) in enumerate(asked, 1):
        truth = "same" if material.labels[i] == material.labels[j] else "different"
        word = OPPOSITE[truth] if number == wrong else truth
        answers.append(Answer.given("pair", (str(i), str(j)), word, who="you", seconds=2.0, id=number))
    return answers


def closure_figure(material: Material, asked: Sequence[tuple[int, int]], *, wrong_answer: int) -> Figure:
    """The answers as lines between the pictures, and all that follows from them as a table."""
    n = len(material)
    answers = answers_given(material, asked, wrong=wrong_answer)
    at = np.arange(n)
    known = Snapshot([str(i) for i in at], answers).relations(at[:, None], at[None])
    truth = np.where(material.labels[:, None] == material.labels, 1, -1)
    figure = Figure(figsize=(9.4, 4.5), layout="constrained")
    ring, table = figure.subplots(1, 2)
    angles = np.pi / 2 - 2 * np.pi * (at + 0.5) / n
    places = np.stack([np.cos(angles), np.sin(angles)], 1)
    clear(ring, (-1.35, 1.35), (-1.35, 1.35))
    for number, ((i, j), answer) in enumerate(zip(asked, answers, strict=True), 1):
        colour = GOOD if answer.value == "same" else BAD
        dashes = "-" if answer.value == "same" else "--"
        ring.plot(*places[[i, j]].T, color=colour, ls=dashes, lw=5 if number == wrong_answer else 2)
        told = f"{number}: wrong!" if number == wrong_answer else f"{number}"
        box = {"boxstyle": "round", "fc": colour, "ec": "none"}
        middle = places[[i, j]].mean(0)
        ring.text(*middle, told, color="#ffffff", ha="center", va="center", fontsize=8, bbox=box, zorder=6)
    for i in range(n):
        frame, beside = colour_of(material, i), 1.27 * places[i]
        thumbnail(ring, material.pictures[i], (places[i, 0], places[i, 1]), side=0.34, colour=frame)
        ring.text(*beside, f"{i}", ha="center", va="center", fontsize=8)
    ring.set_title("answers: same (solid), different (dashed)")
    clear(table, (-1.45, n - 0.4), (n - 0.4, -1.45))
    for i, j in np.stack(np.triu_indices(n, 1), 1).tolist():
        if known[i, j]:
            colour = GOOD if known[i, j] > 0 else BAD
            table.add_patch(Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fc=colour, alpha=0.75, lw=0))
            wrong = bool(known[i, j] != truth[i, j])
            word = "=" if known[i, j] > 0 else "≠"
            look = {"fontsize": 15 if wrong else 11, "fontweight": "bold" if wrong else "normal"}
            table.text(j, i, "✗" if wrong else word, ha="center", va="center", color="#ffffff", **look)
        else:
            table.text(j, i, "?", ha="center", va="center", color=OTHER)
    for i in range(n):
        thumbnail(table, material.pictures[i][::-1], (-0.95, i), side=0.8, colour=colour_of(material, i))
        thumbnail(table, material.pictures[i][::-1], (i, -0.95), side=0.8, colour=colour_of(material, i))
    upper = np.triu(known, 1)
    false = int(((upper != 0) & (upper != truth)).sum())
    implied, every = int(np.count_nonzero(upper)), n * (n - 1) // 2
    table.set_title(f"{len(asked)} answers tell of {implied} of {every} pairs, {false} wrong (✗)")
    return figure
