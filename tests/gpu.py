"""Everything that a GPU changes, in one command and one JSON: ``python -m tests.gpu --out runs/gpu``.

The suite with DHAPS_DEVICE=cuda, the benchmark notebook, and one row of Table 1 with a fine-tuned network: on
the CIFAR-10 archive where $DHAPS_DATA has it, else on scikit-learn's digits as images. Each in a process of
its own; what one prints goes to a file beside the JSON.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import torch

ROOT = Path(__file__).parents[1]
WORDS = ("failure", "error", "skipped")
DATA = os.environ.get("DHAPS_DATA", "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description="Tests and times on a GPU.")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/gpu", help="folder of gpu.json")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to see that the command runs")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that the command runs")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be given again")
    options = parser.parse_args()
    cuda = options.device != "cpu"
    if cuda and not torch.cuda.is_available():
        parser.error("torch sees no GPU here; install a CUDA build of it (docs/how_to/gpu.md)")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    found = {
        "card": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "smoke": options.smoke,
    }
    for name in options.only or PARTS:
        started = time.perf_counter()
        found[name] = PARTS[name](out, options.device, options.smoke)
        found[name]["seconds_in_all"] = round(time.perf_counter() - started, 1)
        (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
        print(name, json.dumps({k: v for k, v in found[name].items() if not isinstance(v, dict)}), flush=True)
    return 0 if all(found[name]["code"] == 0 for name in options.only or PARTS) else 1


def suite(out: Path, device: str, smoke: bool) -> dict[str, object]:
    """Tests: all that a machine without a browser can run; where pytest-xdist is installed, side by side."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow and not browser", "--durations=10"]
    if find_spec("xdist"):
        command += ["-n", str(min(12, os.cpu_count() or 1))]
    command += ["tests/device/test_mathematics.py"] if smoke else ["tests"]
    report = out / "suite.xml"
    _, code = _run([*command, f"--junitxml={report}"], out / "suite.log", DHAPS_DEVICE=device)
    cases = list(ElementTree.parse(report).iter("testcase"))
    told = {word: [one for one in cases if one.find(word) is not None] for word in WORDS}
    failures = [f"{one.get('classname')}::{one.get('name')}" for one in told["failure"] + told["error"]]
    counts = {word: len(found) for word, found in told.items()}
    return {"code": code, "tests": len(cases), **counts, "failed": failures}


def benchmarks(out: Path, device: str, smoke: bool) -> dict[str, object]:
    """Notebook 09 with everything that has a device on it, and a million codes."""
    more = {"device": device, "smoke": smoke, "growth": False, "million": True}
    code = _notebook("09_benchmarks", out / "benchmarks", more)
    return {"code": code, **_metrics(out / "benchmarks")}


def fine_tuned(out: Path, device: str, smoke: bool) -> dict[str, object]:
    """One row of Table 1 with EfficientNet-Lite0 trained on: DH-APS at 1 % of the labels, 32 bits."""
    archive = Path(DATA, "cifar-10-batches-bin")
    dataset, queries = (str(archive), 1000) if DATA and archive.exists() else ("digits", 200)
    more = {
        "device": device,
        "smoke": smoke,
        "dataset": dataset,
        "queries": queries,
        "network": "efficientnet_lite0",
        "side": 64 if smoke or dataset == "digits" else 128,
        "budget": "1%" if dataset != "digits" else "10%",
        "rounds": 1,
        "reading": "closed",
        "mmd": 1,
        "embeddings": str(out / "embeddings"),
    }
    code = _notebook("04_train_a_method", out / "fine_tuned", more)
    found = _metrics(out / "fine_tuned")
    last = (found.get("rounds") or [{}])[-1]
    kept = {name: last.get(name) for name in ("items_labelled", "mAP@all", "seconds")}
    return {"code": code, "dataset": Path(dataset).name, **kept}


PARTS = {"suite": suite, "benchmarks": benchmarks, "fine_tuned": fine_tuned}


def _notebook(name: str, out: Path, parameters: dict[str, object]) -> int:
    command = [sys.executable, "-m", "papermill", "--engine", "private", f"notebooks/{name}.ipynb"]
    command += [f"{out}.ipynb", "--cwd", "notebooks", "--no-progress-bar", "-p", "interactive", "False"]
    for parameter, value in {"folder": str(out), **parameters}.items():
        command += ["-p", parameter, str(value)]
    return _run(command, Path(f"{out}.log"))[1]


def _metrics(folder: Path) -> dict[str, object]:
    path = folder / "metrics.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _run(command: list[str], log: Path, **environment: str) -> tuple[str, int]:
    with log.open("w") as file:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return log.read_text(), done.returncode


if __name__ == "__main__":
    sys.exit(main())
