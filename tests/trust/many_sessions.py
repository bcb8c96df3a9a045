"""Many real sessions on random embeddings: each must end, with the picks of brute force.

    python -m tests.trust.many_sessions --sessions 1000 --out sessions.jsonl

The embeddings are drawn from those of CIFAR-10 in the folder DHAPS_DATA; where they are not, from clusters.
One line a session is appended to the file as soon as it ends; a second call goes on after the last line. The
number of a session is its seed: ``--only N`` plays one again.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from dhaps_core.acquisition import strategies
from dhaps_core.acquisition.problem import Problem
from dhaps_core.acquisition.select import Selection, select
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import arrays
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.reference import cost_tables, written_out

REAL = Path(os.environ.get("DHAPS_DATA", ""), "cifar10_efflite0_224px_pca256.npz")
ITEMS, ROUNDS = 2000, 8
TOLERANCE = 1e-9  # of a pick's cost above the least, in units of the largest cost


def draw_settings(seed: int) -> Settings:
    """Settings of a session, by its number."""
    draw = np.random.default_rng(seed)
    steps = TrainingSettings(least=10, most=10, steps_without_labels=10)
    return Settings(
        seed=seed,
        method="dpsh",
        bits=int(draw.choice([8, 12, 32])),
        picks=int(draw.choice([5, 10, 20])),
        question=str(draw.choice(["classes", "classes", "pairs"])),
        reading=str(draw.choice(["closed", "closed", "closed", "published"])),
        space=str(draw.choice(["embeddings", "codes", "relaxed"])),
        bandwidth_scale=float(draw.choice([0.02, 0.1, 1.0])),
        hidden=int(draw.choice([0, 64])),
        training=steps,
    )


class Check:
    """Stands for ``select``: the same, and in one round a comparison with the table of all costs."""

    def __init__(self, turn: int) -> None:
        self.turn, self.calls, self.worst = turn, 0, None

    def __call__(self, problem: Problem, *, picks: int, **given: Any) -> Selection:
        found = select(problem, picks=picks, **given)
        self.calls += 1
        if self.calls == self.turn:
            self.worst = self._excess(problem, picks, found)
        return found

    def _excess(self, problem: Problem, picks: int, found: Selection) -> float:
        """Greatest cost of a pick above the least cost of all pairs."""
        chosen, above = found.pairs.tolist(), [0.0]
        for (a, b), costs in zip(chosen, cost_tables(written_out(problem, picks), chosen), strict=False):
            size = np.abs(costs[np.isfinite(costs)]).max()
            above.append(float((costs[a, b] - costs.min()) / size))
        return max(above)


def embeddings() -> tuple[np.ndarray, np.ndarray]:
    """Features and class ids: of CIFAR-10, or of ten Gaussian clusters with a falling spectrum."""
    if REAL.is_file():
        with np.load(REAL) as stored:
            return stored["train"], stored["train_y"]
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 10, 3 * ITEMS)
    scale = np.arange(1, 257) ** -0.5
    features = (draw.normal(size=(10, 256))[labels] + draw.normal(size=(len(labels), 256))) * scale
    return features / np.sqrt(np.square(features).sum(axis=1).mean()), labels


def play(seed: int, features: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """One session of eight rounds after its start: its settings, picks and what brute force says of them."""
    draw, settings = np.random.default_rng([seed, 1]), draw_settings(seed)
    rows = np.sort(draw.choice(len(features), ITEMS, replace=False))
    items = arrays(features[rows].astype(np.float32), labels[rows], queries=100, seed=seed)
    check, source, started = (
        Check(int(draw.integers(1, ROUNDS + 1))),
        label_oracle(items),
        time.perf_counter(),
    )
    with tempfile.TemporaryDirectory() as folder, patch.object(strategies, "select", check):
        session = ActiveSession(folder, items, settings)
        for _ in range(ROUNDS + 1):
            session.run_round(source)
        done = session.round
    return {
        "seed": seed,
        "rounds": done - 1,
        "selections": check.calls,
        "above": check.worst,
        "right": done == ROUNDS + 1 and check.worst is not None and check.worst <= TOLERANCE,
        "seconds": round(time.perf_counter() - started, 2),
        "settings": {
            name: getattr(settings, name) for name in ("bits", "picks", "question", "reading", "space")
        },
    }


def main() -> int:
    """Plays what is missing; 1 if a session was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no session after so long")
    parser.add_argument("--only", type=int, help="play one session again and print it")
    asked = parser.parse_args()
    features, labels = embeddings()
    until = time.monotonic() + asked.seconds
    if asked.only is not None:
        print(json.dumps(play(asked.only, features, labels)))
        return 0
    done = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    for seed in range(len(done), asked.sessions):
        if time.monotonic() > until:
            break
        done.append(play(seed, features, labels))
        with asked.out.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
    wrong = [row["seed"] for row in done if not row["right"]]
    print(f"{len(done)} sessions ended, {sum(row['selections'] for row in done)} selections; wrong: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
