"""Settings that belong together, under one name: :data:`PRESETS`, for sessions, notebook 04 and grids."""

from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "usual": {},
    "paper": {
        "method": "dpsh",
        "acquisition": "dhaps",
        "reading": "published",
        "kernel": "matched",
        "space": "codes",
        "bandwidth_scale": 1.0,
        "beta": 1.0,
        "similarity": 0.0,
        "mmd": 1.0,
        "decay": 0.01,
    },
}
"""By name; names of :class:`Settings <dhaps_core.session.settings.Settings>` and of its ``training`` stand
side by side.

``usual`` changes nothing. ``paper`` is DH-APS as its authors' poster prints it, and nothing of ours:

- Selection: s1 + 2/(l+q)^2 (s2 + s3) over the pairs that were chosen (``published``), on the binary codes,
  with the distance of the better alignment (``matched``). The poster prints neither the Gaussian nor its
  bandwidth, nor the factor 2/(l+q)^2, which makes s2 + s3 the MMD_S of its bound: readings, the bandwidth
  being that of the median heuristic (``bandwidth_scale`` 1).
- Training: mean of J over the labelled pairs + lambda ||H||_F^2 + MMD_S, and no similarity term. J is the
  objective of DPSH, its likelihood and its quantisation (0.1), where the poster says "objective for deep
  hashing" and names none; the labelled pairs are all pairs among the items with a class (with the question
  ``pairs``, those that were asked or follow); their similar and dissimilar kinds have equal weight.
  lambda ||H||_F^2 is the decay of AdamW, whose usual 0.01 stands in for the lambda that the poster does not
  tell. MMD_S has the weight 1, as printed (:func:`dhaps_core.hashing.shared_terms.code_mmd`: between all
  pairs of the labelled and all pairs of the unlabelled items of a step).
- The start, of which the poster says nothing: without an answer nothing of this can be learnt, so the first
  pairs are chosen on the codes of the network as its weights were drawn.
- Rounds are no setting: whoever runs a session, or the notebook's parameter, makes several, so that K_LU and
  the uncertainty of a trained model take part.

References:
    Wang, Zheng, Lu, Zhou: Deep Hashing with Active Pairwise Supervision, ECCV 2020, and its poster.
"""
