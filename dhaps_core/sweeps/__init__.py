"""Sweeps: every cell of a grid as one notebook run, in processes of its own, resumable.

Read ``grid`` first (what is to run), then ``run`` and ``marker`` (one run), then ``sweep``.
"""
