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

``usual`` changes nothing. ``paper`` is DH-APS as its authors' poster prints it, and nothing of ours. What it
takes where the poster is silent are readings (``docs/readings.md``, "The poster to the letter").

- Selection: s1 + 2/(l+q)^2 (s2 + s3) over the pairs that were chosen (``published``), on the binary codes,
  with the distance of the better alignment (``matched``), in a Gaussian whose width is the median heuristic's
  (``bandwidth_scale`` 1).
- Training: mean of J over the labelled pairs + lambda ||H||_F^2 + MMD_S, and no similarity term. J is the
  objective of DPSH; lambda is the decay of AdamW; MMD_S has the weight 1
  (:func:`dhaps_core.hashing.shared_terms.code_mmd`).
- The start: without an answer nothing of this can be learnt, so the first pairs are chosen on the codes of
  the network as its weights were drawn.
- Rounds are no setting: whoever runs a session, or the notebook's parameter, makes several, so that K_LU and
  the uncertainty of a trained model take part.
- Questions are those of ``classes``, or of ``pairs``; ``both`` asks about other pairs than were chosen, and
  :class:`Settings <dhaps_core.session.settings.Settings>` refuses it.

References:
    Wang, Zheng, Lu, Zhou: Deep Hashing with Active Pairwise Supervision, ECCV 2020, and its poster.
"""
