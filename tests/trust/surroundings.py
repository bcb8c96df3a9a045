"""Odd surroundings: a clock that jumps back, no HOME, read-only places, a bare locale, a folder that
is gone."""

import os
import subprocess
import sys
import time
from pathlib import Path

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.questions import label_oracle
from dhaps_core.answers.store import LabelStore
from dhaps_core.find.loaded import load
from dhaps_core.session.active import ActiveSession

from .case import Attack, Case, wait
from .given import ROUNDS, SETTINGS, advance, leftovers, numbers, tiny_items, undocumented
from .kills import exported, undisturbed
from .namespaces import CannotMount, own_namespace, read_only

__all__ = ["ATTACK"]

SESSION = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np
from dhaps_core.data.sources import arrays
from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from dhaps_core.hashing.training_settings import TrainingSettings
rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
names = np.array(["Katze", "H\\u00fcndchen", "\\u732b", "d"])[np.arange(40) % 4]
items = arrays(rows, names, queries=8, seed=0)
training = TrainingSettings(least=2, most=2)
settings = Settings(method="dpsh", reading="closed", picks=3, bits=8, hidden=0, training=training)
session = ActiveSession(sys.argv[1], items, settings)
for _ in range(2):
    session.run_round(label_oracle(items))
again = ActiveSession(sys.argv[1], items)
assert again.history == session.history
"""
FIGURE = """
import sys
from widgets.figures import figure_png, learning_curves
from dhaps_core.results.runs import find_rounds
assert figure_png(learning_curves(find_rounds(sys.argv[1])))[:4] == b"\\x89PNG"
"""
ROOT = Path(__file__).parents[2]


def cases(short: bool) -> list[str]:
    names = ["clock-answers", "clock-rounds", "no-home", "read-only-session", "read-only-folder",
             "read-only-store",
             "read-only-index", "read-only-export", "stranger-folder", "no-tmpdir", "locale-c", "ascii",
             "folder-removed", "cwd-removed", "cwd-changed", "umask", "odd-names", "long-name"]  # fmt: skip
    slow = {"no-home", "no-tmpdir", "ascii"}
    return [name for name in names if not short or name not in slow]


def play(case: Case) -> None:
    case.tried += 1
    globals()["_" + case.name.replace("-", "_")](case)


def _run_of(case: Case) -> Path:
    folder = case.folder / "run"
    advance(ActiveSession(folder, tiny_items(), SETTINGS["classes"]), 2).store.close()
    return folder


def _ends_well(case: Case, folder: Path) -> None:
    session = advance(ActiveSession(folder, tiny_items(), SETTINGS["classes"]), ROUNDS)
    rows = [numbers(row) for row in session.history]
    case.require(rows == undisturbed("classes")["rows"], "it ends with other numbers")
    case.require(not (left := leftovers(folder)), f"leftovers: {left[:3]}")


def _clock_answers(case: Case) -> None:
    draws = case.draws()
    time.time = lambda: draws.choice((-1e9, 0.0, 1e9, 1e12, 5.0)) + draws.random()
    path = case.folder / "labels.sqlite"
    with LabelStore(path) as store:
        rows = [store.add("class", (f"k{i}",), "a", who="anna", seconds=1.0) for i in range(50)]
        case.require(rows == sorted(rows), "answers are out of order")
        case.require(store.undo(who="anna") == rows[-1], "the newest answer is not the one undone")
    with LabelStore(path) as store:
        case.require([one.id for one in store.answers()] == rows[:-1], "reopened it tells something else")


def _clock_rounds(case: Case) -> None:
    draws = case.draws()
    time.time = lambda: draws.uniform(-1e9, 1e9)
    _ends_well(case, case.folder / "run")


def _python(case: Case, code: str, *given: object, drop: tuple[str, ...] = (), **environment: str) -> None:
    """Run a program of its own in an odd environment."""
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    kept |= {"PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", code, *map(str, given)], env=kept, cwd=case.folder,
                          capture_output=True, text=True, errors="replace", timeout=100,
                          check=False)  # fmt: skip
    last = (done.stderr.strip().splitlines() or ["no word"])[-1]
    case.require(done.returncode == 0, f"a program fails: {last}")


def _no_home(case: Case) -> None:
    gone = (
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "MPLCONFIGDIR",
        "JUPYTER_CONFIG_PATH",
        "USER",
        "LOGNAME",
    )
    _python(case, SESSION, case.folder / "run", drop=gone)
    _python(case, SESSION, case.folder / "run", drop=gone, HOME="/nonexistent")
    _python(case, FIGURE, case.folder / "run", drop=gone, HOME="/nonexistent", MPLBACKEND="agg")


def _no_tmpdir(case: Case) -> None:
    _python(
        case, SESSION, case.folder / "run", TMPDIR="/nonexistent", TEMP="/nonexistent", TMP="/nonexistent"
    )


def _locale_c(case: Case) -> None:
    _python(case, SESSION, case.folder / "run", drop=("PYTHONUTF8",), LC_ALL="C", LANG="C")


def _ascii(case: Case) -> None:
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    _python(case, SESSION, case.folder / "run", **ascii_only)
    _python(case, SESSION, case.folder / "run")  # and what it wrote is read elsewhere


def _on_a_read_only_folder(case: Case, folder: Path, work) -> None:
    """Do some work where nothing can be written."""
    try:
        own_namespace()
        read_only(folder)
    except CannotMount as error:
        case.note(f"not tried: a read-only folder cannot be mounted here ({error.strerror})")
        return
    work()


def _refused(case: Case, work, *names: str) -> None:
    try:
        work()
    except Exception as error:
        wrong = undocumented(error, allowed=(PermissionError, StoreError, OSError))
        case.require(not wrong, wrong or "")
        case.require(any(name in str(error) for name in names), f"the error does not name the place: {error}")
        return
    case.require(False, "it cannot have been done, and nothing was said")


def _read_only_session(case: Case) -> None:
    folder = _run_of(case)

    def look() -> None:
        session = ActiveSession(folder, tiny_items())
        rows = [numbers(row) for row in session.history]
        case.require(rows == undisturbed("classes")["rows"][:2], "it tells other rounds")
        case.require(
            len(session.store.answers()) == len(session.snapshot().answers) > 0, "it tells no answers"
        )
        case.require(session.codes().shape == (tiny_items().n, 8), "it tells no codes")
        session.index()
        _refused(case, session.train, "run")

    _on_a_read_only_folder(case, folder, look)


def _read_only_folder(case: Case) -> None:
    empty = case.folder / "empty"
    empty.mkdir()
    work = lambda: ActiveSession(empty / "run", tiny_items(), SETTINGS["classes"])  # noqa: E731
    _on_a_read_only_folder(case, empty, lambda: _refused(case, work, "empty"))


def _read_only_store(case: Case) -> None:
    folder = case.folder / "store"
    folder.mkdir()
    path = folder / "labels.sqlite"
    with LabelStore(path) as store:
        store.add("class", ("k",), "a", who="anna", seconds=1.0)

    def work() -> None:
        def answer() -> None:
            with LabelStore(path) as store:
                store.add("class", ("l",), "a", who="anna", seconds=1.0)

        _refused(case, answer, "labels.sqlite")

    _on_a_read_only_folder(case, folder, work)


def _read_only_index(case: Case) -> None:
    folder = _run_of(case)
    ActiveSession(folder, tiny_items()).export(case.folder / "result")
    look = lambda: load(case.folder / "result")  # noqa: E731
    _on_a_read_only_folder(case, case.folder / "result", look)


def _read_only_export(case: Case) -> None:
    session = ActiveSession(_run_of(case), tiny_items())
    session.export(case.folder / "result")
    before = exported(case.folder / "result")
    work = lambda: _refused(case, lambda: session.export(case.folder / "result"), "result")  # noqa: E731
    _on_a_read_only_folder(case, case.folder / "result", work)
    case.require(exported(case.folder / "result") == before, "the export before is damaged")


def _stranger_folder(case: Case) -> None:
    if os.getuid() != 0:
        case.note("not tried: another user's folder, without being root")
        return
    folder = _run_of(case)
    case.folder.chmod(0o755)

    def stranger() -> None:
        os.setgid(65534)
        os.setuid(65534)
        session = ActiveSession(folder, tiny_items())
        case.require(len(session.history) == 2, "it tells no rounds")
        _refused(case, session.train, "run")

    case.require(wait(case.child(stranger), 30) == 0, f"another user: {_output(case)}")


def _output(case: Case) -> str:
    log = (case.folder.parent / "output.log").read_text(errors="replace").strip().splitlines()
    return log[-1] if log else "no word"


def _folder_removed(case: Case) -> None:
    folder = _run_of(case)
    session = ActiveSession(folder, tiny_items())
    questions = session.questions()
    folder.rename(case.folder / "elsewhere")
    _refused(case, lambda: session.answer(questions[0], "0", who="anna", seconds=1.0), "run", "labels.sqlite")
    _refused(case, lambda: session.train(partial=True), "run", "labels.sqlite")
    (case.folder / "elsewhere").rename(folder) if not folder.exists() else case.require(
        False, "a new run was begun where the old one had been"
    )
    _ends_well(case, folder)


def _cwd_removed(case: Case) -> None:
    here = case.folder / "here"
    here.mkdir()
    os.chdir(here)
    here.rmdir()
    _ends_well(case, case.folder / "run")


def _cwd_changed(case: Case) -> None:
    """A notebook's relative folder, and a cell that changes the directory afterwards."""
    for name in ("a", "b"):
        (case.folder / name).mkdir()
    os.chdir(case.folder / "a")
    session = ActiveSession("run", tiny_items(), SETTINGS["classes"])
    session.train()
    os.chdir(case.folder / "b")
    advance(session, ROUNDS)
    session.store.close()
    case.require(not (case.folder / "b" / "run").exists(), "the run goes on in another folder")
    _ends_well(case, case.folder / "a" / "run")


def _umask(case: Case) -> None:
    os.umask(0o077)
    _ends_well(case, case.folder / "run")


def _odd_names(case: Case) -> None:
    for name in (
        "a b",
        "ä",
        "猫",
        "%20?x=1#y",
        "'",
        '"',
        "$HOME",
        "~",
        "-rf",
        "{}",
        "a\nb",
        ":memory:",
        "x" * 200,
    ):
        folder = case.folder / name
        _ends_well(case, folder)
        ActiveSession(folder, tiny_items()).export(case.folder / "result of" / name)
        case.require(exported(case.folder / "result of" / name)["keys"], f"an export into {name!r} is empty")


def _long_name(case: Case) -> None:
    folder = case.folder / "/".join(["x" * 100] * 12)
    folder.mkdir(parents=True)
    try:
        ActiveSession(folder / "run", tiny_items(), SETTINGS["classes"]).run_round(label_oracle(tiny_items()))
    except StoreError as error:  # SQLite takes no longer paths
        case.require("labels.sqlite" in str(error), f"the error does not name the file: {error}")


ATTACK = Attack(
    name="surroundings",
    promise="A clock that jumps back, no home, no temporary folder, a bare locale, another working "
    "directory and odd names change nothing; what cannot be written can still be looked at, "
    "and is refused in words",
    how="sessions with a clock that draws its time at random; programs without HOME and with one "
    "that is not there, in the C locale, as ASCII; read-only mounts and another user; a run "
    "folder and a working directory moved away under the session; thirteen odd folder names",
    found="Before: a run could not be looked at where nothing can be written, and a session on a "
    "relative folder went on elsewhere after a change of directory. A path of more than 500 "
    "characters is refused (SQLite takes no longer ones)",
    unit="surroundings",
    cases=cases,
    play=play,
    prepare=lambda: undisturbed("classes"),
    limit=200,
)
