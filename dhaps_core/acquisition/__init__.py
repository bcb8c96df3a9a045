"""Acquisition: which pairs to ask next. Problems, their solvers, and every other way to choose.

In the order of reading: ``covered`` (the default: items that cover what is uncertain), ``problem`` (what is
minimised over pairs), ``closed`` and ``published`` (its two readings, each with its greedy solver;
``docs/readings.md`` has what they read into the poster), ``select`` (the door: solvers and certificates),
``contract`` (what every strategy sees and gives), ``strategies`` (all of them by name). Strategies of items:
``peers`` (by scikit-activeml), ``badge``, ``dropquery``, ``herding``. Below: ``shortlist`` (the cheapest of
all pairs), ``quadratic`` (small problems written out), ``facility_location`` (of a pool by items),
``clusters`` (k-means), ``means`` (of kernels), ``calibration`` (log-odds from answers) and ``alignment`` (of
two sets of pairs, as printed: a reference).
"""
