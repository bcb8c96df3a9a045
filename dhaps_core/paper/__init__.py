"""Paper: Table 1 of DH-APS as data, what a run has to label for a row of it, and measured rows beside it.

Read ``table`` first (the paper's numbers, rows, budgets and claims), then ``rows`` (what the row of a run is
called), ``plan`` (before a run), ``measured`` (a finished run as one of a row), ``cut_off`` (mAP@k as the
field has it) and ``report``.
"""
