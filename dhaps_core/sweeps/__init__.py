"""Sweeps: every cell of a grid as one notebook run, in processes of its own, resumable.

Read ``grid`` first (what is to run), with ``grid_text`` (its file), ``notebook`` and ``parameters`` below it
(what a notebook takes); then ``run`` and ``marker`` (one run, and how it says that it is finished); then
``sweep`` (all of them), with ``cluster`` and ``door`` (where they run, and who may look), ``progress`` and
``manifest`` (what it says and leaves). ``kernels`` keeps strangers out of every notebook, ``packages`` are
the optional ones. ``python -m dhaps_core.sweeps GRID.yaml``.
"""
