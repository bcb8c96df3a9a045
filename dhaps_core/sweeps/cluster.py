"""The Dask cluster of a sweep: its own workers on this machine, or any scheduler by address.

Whoever can speak to a scheduler or a worker can run code as its owner, and every user of a machine can reach
its loopback address. So the sweep's own cluster speaks TLS, with a certificate made for it alone and kept in
memory, and its processes take nobody without it. A scheduler that somebody else started is spoken to as
Dask's configuration says (``distributed.comm.tls``, ``DASK_DISTRIBUTED__COMM__TLS__CA_FILE`` and so on, with
an address ``tls://...``); whether it asks who is there is up to whoever deployed it.
"""

import logging
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from dhaps_core.sweeps.packages import require

__all__ = ["SweepError", "connect", "gpu_ids", "local_client", "patience", "slots"]


class SweepError(RuntimeError):
    """A sweep that cannot start or go on; what is finished is kept."""


def patience() -> float:
    """Seconds to wait for a scheduler: Dask's own setting, 30 unless configured."""
    dask = require("dask")
    return float(dask.utils.parse_timedelta(dask.config.get("distributed.comm.timeouts.connect")))


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Client of the scheduler at an address.

    Raises:
        SweepError: if there is none, or it takes nobody without a certificate.
    """
    distributed, dask = require("distributed"), require("dask")
    if address.startswith("tls://") and not dask.config.get("distributed.comm.tls.ca-file", None):
        rule = f"Dask's configuration must name the certificates that {address} asks for"
        raise SweepError(f"{rule}; got none. Set distributed.comm.tls, as Dask's documentation says.")
    try:
        client = distributed.Client(address, timeout=patience(), set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # the last two where TLS is not set up
        rule = f"there must be a Dask scheduler at {address}; got none ({error})"
        raise SweepError(f"{rule}. Start it, or use --workers.") from error
    try:
        yield client
    finally:
        client.close(timeout=10)


@contextmanager
def local_client(
    workers: int, *, resources: Mapping[str, float], dashboard: bool, report: Callable[[str], None]
) -> Iterator[Any]:
    """Client of worker processes of one thread each, which listen on the loopback address only, by TLS.

    They end with this process, however it ends. Their pages for browsers are switched off, for these would
    tell everyone of the machine what runs; the dashboard asks for the token in the address that is reported.
    """
    distributed, dask = require("distributed"), require("dask")
    require("cryptography")
    pages: dict[str, Any] = {
        "distributed.scheduler.http.routes": ["distributed.http.statics"] if dashboard else [],
        "distributed.worker.http.routes": [],
    }
    token = secrets.token_urlsafe(32)
    if dashboard:
        require("bokeh")
        from dhaps_core.sweeps.door import Door

        pages["distributed.scheduler.dashboard.bokeh-application.auth_provider"] = Door(token)
    with dask.config.set(pages), _deaf_children():
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            security=distributed.Security.temporary(),
            dashboard_address="127.0.0.1:8787" if dashboard else None,
            scheduler_kwargs=None if dashboard else {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,  # the sweep itself reports what becomes of every run
            memory_limit=0,  # notebooks are processes of their own, which Dask's limit does not see
            resources=dict(resources),
        )
    try:
        if dashboard:
            port = cluster.scheduler.http_server.port
            report(f"dashboard: http://127.0.0.1:{port}/status?token={token}")
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
        SweepError: if there are fewer than workers.
    """
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        ids = tuple(visible.split(","))
    else:
        import torch

        ids = tuple(map(str, range(torch.cuda.device_count())))
    if workers > len(ids):
        rule = f"workers must be at most the number of GPUs, {len(ids)}"
        raise SweepError(f"{rule}; got {workers}. Set --workers.")
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
