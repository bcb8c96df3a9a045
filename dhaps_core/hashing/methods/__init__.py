"""Hashing methods: one file each, a loss and its defaults, on the one training loop.

Read ``base`` first (what a method is), then ``dpsh``, the shortest. By what they read of the answers:
nothing (``dh``, ``graphbit``), relations of pairs (``dpsh``, ``dsh``, ``sdsh``, ``pts3h``, and ``ssh``, which
is solved and not trained), or class labels (``ssdh``); these are published, and what is read into their
papers is in ``docs/readings.md``. Ours, for few answers, is ``piq``.
"""

from collections.abc import Mapping

from dhaps_core.hashing.methods.base import Method
from dhaps_core.hashing.methods.dh import DH
from dhaps_core.hashing.methods.dpsh import DPSH
from dhaps_core.hashing.methods.dsh import DSH
from dhaps_core.hashing.methods.graphbit import GraphBit
from dhaps_core.hashing.methods.piq import PIQ, Auto, Follow, PIQNetwork
from dhaps_core.hashing.methods.pts3h import PTS3H
from dhaps_core.hashing.methods.sdsh import SDSH
from dhaps_core.hashing.methods.ssdh import SSDH
from dhaps_core.hashing.methods.ssh import SSH

__all__ = ["METHODS"]

METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (DH, GraphBit, SSH, SSDH, PTS3H, DSH, DPSH, SDSH, PIQ, PIQNetwork, Follow, Auto)
}
"""By name, in the order of Table 1: what stands here is known to sessions, grids and the contract suite."""
