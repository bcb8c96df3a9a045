"""A run of milliseconds: 40 items of 4 classes, 8 bits, 2 steps of training."""

import numpy as np

from dhaps_core.data import arrays
from dhaps_core.questions import label_oracle
from dhaps_core.rounds import ActiveSession
from dhaps_core.settings import Settings
from dhaps_core.training import TrainingSettings

TINY = Settings(picks=3, bits=8, hidden=0, training=TrainingSettings(least=2, most=2))


def tiny_items(n=40, seed=0):
    labels = np.arange(n) % 4
    features = np.random.default_rng(seed).normal(size=(n, 6)) + 3 * np.eye(6)[labels]
    return arrays(features, labels, queries=8, seed=0)


def played(folder, items, rounds, settings=TINY):
    """A session after so many rounds that an oracle answered, the unsupervised start included."""
    session = ActiveSession(folder, items, settings)
    while session.round < rounds:
        session.run_round(label_oracle(items))
    return session
