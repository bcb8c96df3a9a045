"""The Dask cluster of a sweep: its own workers on this machine, or any scheduler by address."""

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from dhaps_core.grid import require

__all__ = ["ClusterError", "connect", "gpu_ids", "local_client", "patience", "slots"]


class ClusterError(RuntimeError):
    """A cluster that cannot be started or reached."""


def patience() -> float:
    """Seconds to wait for a scheduler: Dask's own setting, 30 unless configured."""
    dask = require("dask")
    return float(dask.utils.parse_timedelta(dask.config.get("distributed.comm.timeouts.connect")))


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Client of the scheduler at an address.

    Raises:
        ClusterError: if there is none.
    """
    try:
        client = require("distributed").Client(address, timeout=patience(), set_as_default=False)
    except (OSError, ValueError) as error:
        msg = f"there must be a Dask scheduler at {address}; got none ({error}). Start it, or use --workers."
        raise ClusterError(msg) from error
    try:
        yield client
    finally:
        client.close(timeout=10)


@contextmanager
def local_client(
    workers: int, *, resources: Mapping[str, float], dashboard: bool, report: Callable[[str], None]
) -> Iterator[Any]:
    """Client of worker processes of one thread each, which listen on the loopback address only.

    They end with this process, however it ends.
    """
    distributed = require("distributed")
    if dashboard:
        require("bokeh")
    with _deaf_children():
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787" if dashboard else None,
            scheduler_kwargs=None if dashboard else {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,  # the sweep itself reports what becomes of every run
            memory_limit=0,  # notebooks are processes of their own, which Dask's limit does not see
            resources=dict(resources),
        )
    try:
        if dashboard:
            report(f"dashboard: {cluster.dashboard_link}")
        with distributed.Client(cluster, timeout=patience(), set_as_default=False) as client:
            yield client
    finally:
        cluster.close(timeout=10)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Start processes that take no Ctrl-C: a terminal sends it to all of them, but only this one may act."""
    resource_tracker.ensure_running()  # would unblock the signal if it was started with the first child
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def gpu_ids(workers: int) -> tuple[str, ...]:
    """Ids of this machine's GPUs, of which the worker number i takes the i-th.

    Raises:
        ClusterError: if there are fewer than workers.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        ids = tuple(visible.split(","))
    else:
        import torch

        ids = tuple(map(str, range(torch.cuda.device_count())))
    if workers > len(ids):
        msg = f"workers must be at most the number of GPUs, {len(ids)}; got {workers}. Set --workers."
        raise ClusterError(msg)
    return ids


def slots(client: Any, resources: Mapping[str, float]) -> int | None:
    """Runs that the cluster can do at a time; None while its scheduler cannot be reached."""
    if client.status != "running":
        return None
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    except OSError:
        return None
    needs = {**resources, "": 1}  # and a thread
    offers = ({**worker["resources"], "": worker["nthreads"]} for worker in workers)
    return sum(min(int(offer.get(name, 0) // need) for name, need in needs.items()) for offer in offers)
