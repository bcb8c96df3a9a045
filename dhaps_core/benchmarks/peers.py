"""What others would run in place of our selection: a dense programme, an active-learning library."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from dhaps_core.acquisition.quadratic import QuadraticForm, round_to_disjoint
from dhaps_core.benchmarks.cases import SelectionCase, made_features

__all__ = ["peer_selections", "quadratic_programme", "small_form"]

CLASSES = 10


def peer_selections(features: Float[Tensor, "n d"], *, picks: int) -> dict[str, Callable[[], object]]:
    """Selections of ``picks`` items by scikit-activeml, with two labelled items of each class.

    Raises:
        ImportError: if the optional extra ``compare`` is missing.
    """
    try:
        from skactiveml.classifier import SklearnClassifier
        from skactiveml.pool import Badge, CoreSet, TypiClust
    except ImportError as error:
        raise ImportError("the peers need the optional extra: pip install 'dhaps[compare]'") from error
    from sklearn.linear_model import LogisticRegression

    rows = features.numpy()
    labels = np.full(len(rows), np.nan)
    labels[: 2 * CLASSES] = np.arange(2 * CLASSES) % CLASSES
    model = SklearnClassifier(LogisticRegression(max_iter=200), classes=range(CLASSES), random_state=0)
    return {
        "TypiClust": lambda: TypiClust(random_state=0).query(rows, labels, batch_size=picks),
        "CoreSet": lambda: CoreSet(random_state=0).query(rows, labels, batch_size=picks),
        "BADGE": lambda: Badge(random_state=0).query(rows, labels, clf=model, batch_size=picks),
    }


def small_form(items: int, *, picks: int) -> tuple[SelectionCase, QuadraticForm]:
    """A pool so small that all its pairs fit a dense quadratic programme, and that programme."""
    case = SelectionCase.projected(made_features(items, clusters=5), picks=picks)
    form, _ = case.published(case.means("published")).form(picks)
    return case, form


def quadratic_programme(form: QuadraticForm) -> float:
    """Objective of the route by a general solver: SLSQP on [0, 1]^u, rounded to disjoint pairs.

    References:
        Kraft: A software package for sequential quadratic programming, DFVLR-FB 88-28, 1988 (in SciPy).
    """
    linear, quadratic = form.linear.numpy(), form.quadratic.numpy()
    u, q = len(linear), form.picks
    found = minimize(
        lambda a: linear @ a + a @ quadratic @ a / 2,
        np.full(u, q / u),
        jac=lambda a: linear + quadratic @ a,
        bounds=[(0.0, 1.0)] * u,
        constraints={"type": "eq", "fun": lambda a: a.sum() - q, "jac": np.ones_like},
        method="SLSQP",
    )
    return form.value(round_to_disjoint(form, torch.from_numpy(found.x)))
