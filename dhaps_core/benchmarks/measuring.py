"""Time and memory, measured so that ratios can be trusted."""

import gc
import resource
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch

__all__ = ["in_own_process", "median_seconds", "peak_mib"]

T = TypeVar("T")


def median_seconds(tasks: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Median wall time of each task in seconds, after one run of each for nothing.

    The tasks take turns, so that all meet the same machine. What they left to a GPU is waited for.
    """
    for task in tasks.values():
        task()
    _wait()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            gc.collect()
            started = time.perf_counter()
            task()
            _wait()
            seconds[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in seconds.items()}


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_mib() -> float:
    """Most memory that this process has held so far, MiB: of a GPU where it used one, else resident."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / (1 << 20)
    status = Path("/proc/self/status")
    if status.exists():  # the other way counts what the parent held when it started this process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def in_own_process(work: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """What a module's function returns in a fresh process, and the peak memory of that process in MiB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        result = process.submit(work, *arguments).result()
        return result, process.submit(peak_mib).result()
