"""Paper: Table 1 of DH-APS as data, what a run has to label for a row of it, and measured rows beside it.

Read ``table`` first, then ``plan``, ``measured`` and ``report``.
"""
