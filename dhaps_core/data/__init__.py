"""Data: from files, archives and arrays to one frozen collection, ``Items``. Nothing here loads torch.

Read ``items`` first (what everything else works on), then ``sources`` (every way to get one) and what those
use: ``splits`` (the draws), ``features``, ``class_labels`` and ``class_names`` (what people call a class),
``images`` with ``decoding`` (one file, whatever its kind), and the kinds of files: ``folders``, ``lists``
with ``protocols`` (published protocols, their counts and cut-offs), ``cifar`` with ``batch_pickles``.
"""
