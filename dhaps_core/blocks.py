"""Blocks of a large computation: how large they are, and on a CPU in threads of their own.

The threads inside torch's operations meet at the end of every operation. Where a block is a chain of short
operations on data in the cache, that costs more than it gains: two threads took longer than one. A thread for
each block meets the others only when its block is done.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["block_cells", "block_threads"]

_ON_GPU = 1 << 26

S = TypeVar("S")
T = TypeVar("T")


def block_cells(device: torch.device, on_cpu: int) -> int:
    """Numbers that a block holds: on a CPU, so many that they stay in the cache; on a GPU, 2^26.

    Beside so many, launching a kernel is nothing. They are half a GiB of float64, on every card, and not a
    share of what is free: a sum is rounded by its blocks, and so a seed gives the same one whatever else the
    card holds.
    """
    return on_cpu if device.type == "cpu" else _ON_GPU


@contextmanager
def block_threads(device: torch.device) -> Iterator[Callable[[Callable[[S], T], Iterable[S]], Iterable[T]]]:
    """A ``map`` whose calls run in as many threads as torch may use, with results in order.

    For blocks on a GPU, and where torch has one thread, it is the plain ``map``.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield map
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)  # the setting of a thread is also the default of new ones
