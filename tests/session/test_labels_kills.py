"""Killed anywhere while answers of an earlier run are brought over: all of them are there then, once."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from dhaps_core.session.active import ActiveSession
from tests.given import TINY, played, tiny_items

CHILD = """
    import sys
    from pathlib import Path
    from dhaps_core.session.active import ActiveSession
    from tests.given import TINY, tiny_items
    from tests.trust.killing import Points
    folder, at = Path(sys.argv[1]), int(sys.argv[2])
    points = Points(None if at < 0 else at, lambda: "")
    session = ActiveSession(folder / "new", tiny_items(), TINY, labels=folder / "labels.sqlite")
    session.bring_over(folder / "old")
    session.rename_class("0", "zero", who="anna")
    print(len(points.stages))
"""


def child(folder, at):
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), str(at)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=os.getcwd())


@pytest.mark.slow
def test_killed_anywhere_answers_are_brought_over_once(tmp_path):
    items = tiny_items()

    def fresh(name):
        old = played(tmp_path / name / "old", items, 1)
        keys = [items.keys[i] for i in items.splits["train"].tolist()]
        old.answer_items(keys[:12], lambda q: items.classes_of(items.position[q.keys[0]])[0], who="anna")
        old.store.close()
        return tmp_path / name

    points = int(child(fresh("whole"), -1).stdout)
    for at in range(0, points, max(1, points // 20)):
        folder = fresh(str(at))
        died = child(folder, at)
        assert died.returncode == -signal.SIGKILL, died.stderr
        session = ActiveSession(folder / "new", items, TINY, labels=folder / "labels.sqlite")
        names = {one.value[0] for one in session.answers()}
        assert len(session.answers()) in (0, 12)
        assert not {"0", "zero"} <= names  # renamed everywhere or nowhere
        session.bring_over(folder / "old")
        assert len(session.answers()) == 12
        assert session.bring_over(folder / "old") == 0
