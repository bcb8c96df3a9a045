"""Acquisition: which pairs to ask next. The selection problem of the paper, and its solvers.

Read ``problem`` first (what is minimised), then ``select`` (who solves it), ``greedy`` and ``shortlist``.
"""
