"""``python -m dhaps_core.encode RESULT IMAGES --out FOLDER``: all images below a folder as codes, by Dask.

Shards of 1,024 images are tasks of worker processes, here or on a cluster (docs/how_to/millions.md). A
stopped or killed run goes on where it was. In the end the folder holds what the result folder of a run holds
of a search: codes.npz for HammingIndex, index.faiss and keys.json for plain faiss; and unreadable.csv.
"""

import argparse
import csv
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from dhaps_core.checks import whole
from dhaps_core.encode.shards import Plan, encode_shard, images_below, open_plan, shards
from dhaps_core.escaping import csv_cell
from dhaps_core.files import at_home, remove_leftovers, replace_bytes
from dhaps_core.find.keep import write_index
from dhaps_core.find.parts import ResultInUse
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.sweeps.cluster import SweepError, connect, local_client
from dhaps_core.sweeps.packages import require

UNREADABLE = "unreadable.csv"


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, 1 if it stopped, 2 if something is not as it must be, 130 after Ctrl-C."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's stop is a Ctrl-C
    try:
        plan = _plan(asked)
        missing = plan.missing
        if missing:
            workers = min(asked.workers, len(missing))
            local = partial(local_client, resources={}, dashboard=False, report=_say)
            with connect(asked.scheduler) if asked.scheduler else local(workers) as client:
                _run(client, plan, missing, _say)
        _join(plan)
    except KeyboardInterrupt:
        _say("Stopped. What is encoded stays; the same command goes on.", sys.stderr)
        return 130
    except SweepError as error:
        _say(f"It stopped: {error}", sys.stderr)
        return 1
    except (ValueError, OSError, ImportError, ResultInUse) as error:
        _say(str(error), sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    name, line = "python -m dhaps_core.encode", (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog=name, description=line, allow_abbrev=False)
    parser.add_argument("result", metavar="RESULT", help="result folder of a run, which encodes")
    parser.add_argument("images", metavar="IMAGES", help="folder with images, at any depth")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where shards and index go")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=_positive, default=os.cpu_count() or 1, help="processes here; one a core"
    )
    where.add_argument("--scheduler", help="address of a Dask scheduler whose workers see the same paths")
    return parser


def _positive(text: str) -> int:
    value = whole(int(text)) if text.strip().isdecimal() else None
    if not value:
        raise argparse.ArgumentTypeError(f"must be at least 1, a whole number; got {text!r}")
    return value


def _plan(asked: argparse.Namespace) -> Plan:
    require("distributed")
    images, result, out = (at_home(one).absolute() for one in (asked.images, asked.result, asked.out))
    if not images.is_dir():
        got = "a file" if images.exists() else "nothing"
        raise ValueError(f"{images} must be a folder with images; got {got}. Look at the path.")
    names, others = images_below(images)
    if not names:
        rule = f"{images} must hold files that have a name of an image, such as .jpg"
        raise ValueError(f"{rule}; got none among {others} files. Look at the path.")
    plan = open_plan(images, names, result, out)
    remove_leftovers(out, below=False)
    left = f"; left out, by their names no images: {others:,}" if others else ""
    done = len(plan.numbers) - len(plan.missing)
    _say(f"{len(names):,} images in {len(plan.numbers)} shards, {done} of them encoded before{left}")
    return plan


def _run(client: Any, plan: Plan, missing: Sequence[int], report: Callable[[str], None]) -> None:
    """Encode the missing shards, a line for each that is done.

    Raises:
        SweepError: if a shard cannot be encoded; the others stay.
    """
    from distributed import as_completed

    started, images = time.monotonic(), 0
    names, paths = [plan.names_of(one) for one in missing], [plan.path(one) for one in missing]
    always = ([one] * len(missing) for one in (plan.result, plan.network, plan.images))
    futures = client.map(encode_shard, *always, names, paths, pure=False, retries=1)
    for number, future in enumerate(as_completed(futures, loop=client.loop), 1):
        if (lost := future.exception()) is not None:
            client.cancel(futures)
            raise SweepError(f"a shard must be encoded; got {type(lost).__name__}: {lost}. Start again.")
        count, unreadable = future.result()
        images += count
        gone = time.monotonic() - started
        left = f"about {gone / number * (len(missing) - number) / 60:.0f} min left"
        bad = f", {unreadable} of its images unreadable" if unreadable else ""
        report(f"[{number}/{len(missing)}] {images / gone:.0f} images a second, {left}{bad}")


def _join(plan: Plan) -> None:
    """Write the index of all shards, for us and for plain faiss, and the list of what cannot be read."""
    found = list(shards(plan))
    names = [name for shard in found for name in shard.names]
    unreadable = [one for shard in found for one in shard.unreadable]
    table = io.StringIO()
    csv.writer(table).writerows([("image", "reason"), *(map(csv_cell, one) for one in unreadable)])
    # A file may have a name that is no UTF-8.
    replace_bytes(plan.out / UNREADABLE, table.getvalue().encode("utf-8", "backslashreplace"))
    if not names:
        raise ValueError(f"{plan.images} must hold images that can be read; got none. See {UNREADABLE}.")
    index = HammingIndex(np.concatenate([one.codes for one in found]), names, bits=plan.bits)
    write_index(plan.out, index)
    left = f"; {len(unreadable)} cannot be read, see {UNREADABLE}" if unreadable else ""
    _say(f"{len(names):,} codes of {index.bits} bits in {plan.out}{left}")


def _say(line: str, where: Any = None) -> None:
    print(line, file=where or sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
