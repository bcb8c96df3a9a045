"""Benchmarks: what notebook 09 times, each beside its floor and beside what others would run.

Read ``measuring`` first, then ``cases`` (selection and ranking), ``learning`` (the learner for few answers),
``sessions`` (whole rounds) and ``peers``.
"""
