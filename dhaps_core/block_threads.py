"""Blocks of a large computation in threads of their own.

The threads inside torch's operations meet at the end of every operation. Where a block is a chain of short
operations on data in the cache, that costs more than it gains: two threads took longer than one. A thread for
each block meets the others only when its block is done.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["block_threads"]

S = TypeVar("S")
T = TypeVar("T")


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
