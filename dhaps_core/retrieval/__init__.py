"""Retrieval: how good a ranking by Hamming distance is, exact under ties, and the index that searches.

Which items answer a query, and with how many shared classes (``relevance``), and how many of them lie at each
distance (``histograms``, counted by :mod:`dhaps_core.hamming`) is all that a metric needs:
``average_precision`` first, then ``metrics`` with everything that asks only what is relevant, and ``graded``
(NDCG, ACG) with what asks how relevant. ``index`` stands alone: search by keys, saved as one file.
"""
