"""Active pairwise supervision of hash codes: the core of DH-APS (Wang, Zheng, Lu, Zhou, ECCV 2020).

One vocabulary of axes for signatures and docstrings:

====  =====================================  ====  =====================================
n     items of a collection                  b     bits of a code
m     database items                         d     features of an embedding
q     queries, or picks of one round         c     classes
p, r  pairs of items                         k     cut-off of a ranking
l     labelled pairs or items                s     items labelled so far
====  =====================================  ====  =====================================

``u(x)`` in [-1, 1]^b is the relaxed code and ``h(x) = sign(u(x))`` in {-1, +1}^b, with ``sign(0) = +1``.

Importing this package loads nothing heavy: ``labels``, ``data`` and ``supervision`` work without torch.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
