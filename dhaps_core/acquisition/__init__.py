"""Acquisition: which pairs to ask next. Problems, their solvers, and every other way to choose.

In the order of reading: ``problem`` (what is minimised), ``closed`` and ``published`` (its two readings, each
with its greedy solver), ``select`` (the door: solvers and certificates), ``strategies`` (all ways to choose,
behind one signature). Below them: ``shortlist`` (the cheapest of all pairs), ``quadratic`` (small problems
written out), ``means`` (of kernels) and ``calibration`` (log-odds from answers).
"""
