"""Retrieval: how good a ranking by Hamming distance is, exact under ties, and the index that searches.

Read ``relevance`` first, then ``histograms``, ``average_precision``, ``metrics``; ``index`` stands alone.
"""
