"""Data: from files, archives and arrays to one frozen collection, ``Items``. Nothing here loads torch.

Read ``items`` first (what everything else works on), then ``sources`` (every way to get one).
"""
