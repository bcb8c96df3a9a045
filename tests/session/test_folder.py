"""A run folder that lost or damaged a part says which, keeps the rest, and is never a new start."""

import io
import json
import os
import random
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.answers.questions import label_oracle
from dhaps_core.find.loaded import load
from dhaps_core.results.runs import find_rounds
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.errors import RunDamaged, RunReadOnly, RunRepaired
from tests.given import TINY, played, tiny_items

PARTS = [
    "settings.json", "splits.npz", "labels.sqlite", "labels.sqlite.rows", "metrics.json", "kernel_means.npy",
    "owner.json",
    *[f"round-001/{name}" for name in ("picks.json", "weights.safetensors", "codes.npy", "metrics.json")],
    "round-002/weights.safetensors", "round-002/metrics.json", "round-003/picks.json",
]  # fmt: skip


@pytest.fixture(scope="module")
def items():
    return tiny_items()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, items):
    """A run of three rounds with the picks of the next."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    session = played(folder, items, 3)
    session.propose()
    session.store.close()
    return folder


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def look(folder, items):
    """All that a run shows."""
    session = ActiveSession(folder, items, TINY)
    found = {
        "rounds": [{k: v for k, v in row.items() if k != "seconds"} for row in session.history],
        "proposals": [session.propose(), *[session.proposal(number) for number in (1, 2, 3)]],
        "questions": session.questions(),
        "codes": [session.codes(number).tolist() for number in (0, 1, 2)],
        "outputs": [session.outputs(number).tolist() for number in (1, 2)],
        "counts": session.counts(),
        "queries": session.items.splits["query"].tolist(),
    }
    session.store.close()
    return found


def damages(data):
    """Contents by name of the damage; a function puts something else than a file in its place."""
    flipped = bytearray(data)
    at = random.Random(len(data)).randrange(len(data) // 4, 3 * len(data) // 4)
    flipped[at] ^= 4
    return {"deleted": None, "emptied": b"", "cut": data[: len(data) // 2], "garbage": b"\x93NUMPY\x01" * 40,
            "flipped": bytes(flipped), "folder": Path.mkdir, "pipe": os.mkfifo,
            "dangling": lambda path: path.symlink_to("nowhere")}  # fmt: skip


@pytest.mark.filterwarnings("ignore::dhaps_core.session.errors.RunRepaired")
@pytest.mark.parametrize("part", PARTS)
def test_each_part_damaged_in_turn_gives_the_same_run_or_one_sentence(run, whole, items, part):
    wanted = look(whole, items)
    path = run / part
    for how, data in damages((whole / part).read_bytes()).items():
        if part == "labels.sqlite" and how == "flipped":
            continue  # the store's own test
        shutil.rmtree(run)
        shutil.copytree(whole, run)
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            path.unlink()
            _ = data and data(path)
        said, found = None, None
        try:
            found = look(run, items)
        except (RunDamaged, StoreError) as error:
            said = str(error)
        assert found == wanted if said is None else path.name in said, (how, said)
        assert said is None or "\n" not in said
        lost = {path} if data is None else set()
        assert {run / one.relative_to(whole) for one in whole.rglob("*")} - lost <= set(run.rglob("*"))


def test_a_deleted_summary_is_made_again_and_said(run, whole, items):
    (run / "metrics.json").unlink()
    with pytest.warns(RunRepaired, match=r"metrics.json was missing or damaged; it was made again"):
        session = ActiveSession(run, items)
    assert session.round == 3
    assert json.loads((run / "metrics.json").read_text()) == json.loads((whole / "metrics.json").read_text())


def test_a_process_killed_between_the_two_files_of_a_round_has_finished_it(run, items):
    for_later = json.loads((run / "metrics.json").read_text())
    session = played(run, items, 4)
    for_later.pop("sha256")
    (run / "metrics.json").write_text(json.dumps(for_later))
    assert ActiveSession(run, items).round == 4  # and no warning
    assert [row["round"] for row in json.loads((run / "metrics.json").read_text())["rounds"]] == [0, 1, 2, 3]
    assert session.run_round(label_oracle(items))["round"] == 4


def test_a_summary_with_a_round_twice_as_two_writers_once_left_it_is_mended(run, items):
    summary = json.loads((run / "metrics.json").read_text())
    del summary["sha256"]
    summary["rounds"].append(summary["rounds"][-1])
    (run / "metrics.json").write_text(json.dumps(summary))
    with pytest.warns(RunRepaired):
        session = ActiveSession(run, items)
    assert session.round == 3
    assert session.run_round(label_oracle(items))["round"] == 3


def test_a_deleted_round_is_named_and_the_others_stay(run, items):
    shutil.rmtree(run / "round-001")
    with pytest.warns(RunRepaired, match="round-001"):
        session = ActiveSession(run, items)
    assert len(session.history) == 3
    assert len(session.propose().pairs) == 3
    for missing in (lambda: session.codes(1), lambda: session.outputs(1), lambda: session.proposal(1)):
        with pytest.raises(RunDamaged, match="round-001"):
            missing()
    assert session.run_round(label_oracle(items))["round"] == 3


def test_lost_settings_are_never_a_new_start(run, items):
    (run / "settings.json").unlink()
    before = (run / "splits.npz").read_bytes()
    for settings in (None, TINY):
        with pytest.raises(
            RunDamaged, match=r"settings.json must be there beside metrics.json, kernel_means.npy"
        ):
            ActiveSession(run, items, settings)
    with pytest.raises(RunDamaged, match=r"settings.json must be there"):
        ActiveSession(run, items, read_only=True)
    for path in (run / "metrics.json", run / "kernel_means.npy"):
        path.unlink()
    for number in range(4):
        shutil.rmtree(run / f"round-{number:03d}")
    with pytest.raises(
        RunDamaged, match=r"settings.json must be there beside labels.sqlite with its 12 rows"
    ):
        ActiveSession(run, items)
    assert (run / "splits.npz").read_bytes() == before


def test_lost_splits_can_be_written_again_from_the_same_items_only(run, items):
    (run / "splits.npz").unlink()
    with pytest.raises(
        RunDamaged, match=r"splits.npz must .+ These items have the splits of the run"
    ) as caught:
        ActiveSession(run, items)
    other = tiny_items(seed=1)
    with pytest.raises(RunDamaged) as theirs:
        ActiveSession(run, other)
    assert "These items have" not in str(theirs.value)
    assert not (run / "splits.npz").exists()
    assert f"items.save_splits({str(run / 'splits.npz')!r})" in str(caught.value)
    items.save_splits(run / "splits.npz")
    assert ActiveSession(run, items).round == 3


def test_lost_answers_are_counted_and_not_asked_again(run, items, tmp_path):
    short = played(tmp_path / "short", items, 2)
    short.store.close()
    for name in os.listdir(run):
        if name.startswith("labels.sqlite"):
            (run / name).unlink()
    for path in (tmp_path / "short").glob("labels.sqlite*"):
        shutil.copy(path, run / path.name)
    with pytest.raises(RunDamaged, match=r"labels.sqlite must have the 12 rows .+; got 6: 6 are lost"):
        ActiveSession(run, items)


def test_a_start_that_was_killed_leaves_a_folder_that_a_new_start_can_use(tmp_path, items, monkeypatch):
    steps = {
        "splits": "dhaps_core.session.opening.LabelStore",
        "settings": "dhaps_core.session.folder.write_object",
    }
    for name, where in steps.items():
        with monkeypatch.context() as patch:
            patch.setattr(where, lambda *_, **__: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                ActiveSession(tmp_path / name, items, TINY)
        assert played(tmp_path / name, items, 1).settings == TINY


def test_a_folder_that_is_only_looked_at_is_not_touched(run, items):
    half = run / "round-002" / f"codes.npy.{2**22 + 1}-0123abcd.new"
    half.write_bytes(b"half")
    (run / "round-003" / "picks.json").unlink()
    (run / "metrics.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if "sqlite" not in path.name}
    session = ActiveSession(run, items, read_only=True)
    assert session.read_only
    assert session.round == 3
    assert len(session.index()) == len(items.splits["database"])
    assert session.outputs().shape == (items.n, 8)
    assert session.counts()["answers"] == 12
    assert session.proposal(2).round == 2
    assert session.proposal(3) is None
    assert len(session.snapshot().answers) == 12
    question = session.proposal(2).questions("classes")[0]
    for change in (
        session.propose, lambda: session.answer(question, "x", who="me", seconds=1.0),
        lambda: session.answer_items(["0"], label_oracle(items)), session.train,
        lambda: session.run_round(label_oracle(items)),
        lambda: session.note("table", {}), lambda: session.skip([]), session.undo, session.redo,
        lambda: session.revise(1, "x", who="me"), lambda: session.keep_array("map", np.zeros(1)),
    ):  # fmt: skip
        with pytest.raises(RunReadOnly, match="must be open for writing; it was opened to look at"):
            change()
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*") if "sqlite" not in p.name} == before
    with pytest.raises(FileNotFoundError, match="must hold a run to look at"):
        ActiveSession(run.parent / "none", items, read_only=True)
    assert not (run.parent / "none").exists()


def test_a_folder_that_cannot_be_written_opens_to_be_looked_at(run, items, monkeypatch):
    monkeypatch.setattr("dhaps_core.session.folder.os.access", lambda *_: False)
    session = ActiveSession(run, items)
    assert session.read_only
    with pytest.raises(RunReadOnly):
        session.train(partial=True)


def test_a_link_in_the_folder_of_a_stranger_is_not_written_through(run, items, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.json").write_text("mine")
    for name, target in (
        ("round-003", outside),
        ("labels.sqlite", outside / "mine.json"),
        ("metrics.json", outside / "mine.json"),
        ("owner.json", outside / "mine.json"),
    ):
        path = run / name
        kept = path.rename(run.parent / "kept") if path.exists() else None
        path.symlink_to(target)
        with pytest.raises(RunDamaged, match=f"{name} must lie in the folder of its run; got a link"):
            ActiveSession(run, items)
        path.unlink()
        if kept is not None:
            kept.rename(path)
    assert [path.name for path in outside.iterdir()] == ["mine.json"]
    assert (outside / "mine.json").read_text() == "mine"
    (run / "round-003" / "picks.json").unlink()
    (run / "round-003").rmdir()
    session = ActiveSession(run, items)
    (run / "round-003").symlink_to(outside)
    with pytest.raises(RunDamaged, match="round-003"):
        session.propose()
    assert len(list(outside.iterdir())) == 1


def npy(array, shape):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue().replace(str(array.shape).encode(), shape.encode())


PICKS = {"pairs": [], "scores": {}, "certificate": {}, "watermark": 0, "seconds": 0}
ABOUT = {"source": "", "protocol": "", "fingerprint": "", "versions": {}}
CODES = np.zeros((40, 1), np.uint8)
HOSTILE = [
    ("round-002/codes.npy", npy(CODES, "(10**12,)"), "hold uint8"),
    ("round-002/codes.npy", npy(CODES, "(10000000000, 1)"), r"uint8 \[10000000000 1\]"),
    ("round-002/codes.npy", npy(np.array([["a"]] * 40, object), "(40, 1)"), "hold uint8"),
    ("round-002/codes.npy", npy(CODES, "(40, 1").replace(b"}", b"("), "hold uint8"),
    ("round-002/codes.npy", npy(np.zeros((40, 2), np.uint8), "(40, 2)"), "hold uint8"),
    ("round-002/weights.safetensors", (1 << 62).to_bytes(8, "little") + b"{}", "weights of this run's"),
    ("round-002/weights.safetensors", b"\x02" + bytes(7) + b"[]", "weights of this run's"),
    ("round-002/metrics.json", b"[" * 100_000, "JSON"),
    ("round-003/picks.json", json.dumps({**PICKS, "pairs": [["0", "nobody"]]}).encode(), "the run trains on"),
    ("round-003/picks.json", json.dumps({**PICKS, "watermark": float("nan")}).encode(), "JSON"),
    ("round-003/picks.json", json.dumps({**PICKS, "watermark": 10**9}).encode(), "must have the 1000000000"),
    (
        "settings.json",
        json.dumps({**ABOUT, "settings": {"bits": "many"}}).encode(),
        "settings that this dhaps",
    ),
    ("settings.json", b"[]", "JSON object"),
]


@pytest.mark.filterwarnings("ignore::dhaps_core.session.errors.RunRepaired")
@pytest.mark.parametrize(("part", "content", "said"), HOSTILE)
def test_files_of_a_stranger_are_refused_in_one_sentence(run, items, part, content, said):
    (run / part).write_bytes(content)
    if part.endswith("metrics.json"):
        (run / "metrics.json").unlink()
    with pytest.raises(RunDamaged, match=said):
        look(run, items)


def test_splits_that_unpack_to_more_than_a_run_can_have_are_not_unpacked(run, items):
    with zipfile.ZipFile(run / "splits.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", npy(np.zeros(1 << 22, np.uint8), ""))
    with pytest.raises(RunDamaged, match="bytes that unpack to 4197191, of 1049856 at most"):
        ActiveSession(run, items)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(run, items):
    (run / "round-002" / "codes.npy").unlink()
    os.mkfifo(run / "round-002" / "codes.npy")
    with pytest.raises(RunDamaged, match="must be a file"):
        ActiveSession(run, items).codes()


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
@pytest.mark.parametrize(
    "part",
    ["metrics.json", "owner.json", "owner.lock", *[f"round-003/{n}" for n in ("codes.npy", "metrics.json")]],
)
def test_what_is_in_the_way_of_a_round_is_named_and_once_away_the_round_is_run(run, items, part, put):
    session = ActiveSession(run, items)
    session.answer_all(label_oracle(items))
    kept = [path.rename(run.parent / "kept") for path in [run / part] if path.exists()]
    put(run / part)
    with pytest.raises(RunDamaged, match=rf"{Path(part).name} must [^\n]+; got [^\n]+"):
        session.train()
    (run / part).rmdir() if (run / part).is_dir() else (run / part).unlink()
    for path in kept:
        path.rename(run / part)
    assert played(run, items, 4).history[3]["items_labelled"] == 18


@pytest.mark.parametrize(
    "part", ["kernel_means.npy", "owner.lock", "splits.npz", "round-001/weights.safetensors"]
)
def test_a_link_to_nothing_is_refused_before_anything_is_made_through_it(run, items, part, tmp_path):
    (run / part).unlink(missing_ok=True)
    (run / part).symlink_to(tmp_path / "outside")
    for read_only in (False, True):
        with pytest.raises(RunDamaged, match=f"{Path(part).name} must lie in the folder of its run"):
            ActiveSession(run, items, read_only=read_only)
    assert not (tmp_path / "outside").exists()


def test_what_is_in_the_way_is_named_when_the_run_is_opened_and_not_when_it_is_looked_at(run, items):
    (run / "kernel_means.npy").unlink()
    (run / "kernel_means.npy").mkdir()
    with pytest.raises(RunDamaged, match=r"kernel_means.npy must be a file, or absent; got a folder"):
        ActiveSession(run, items)
    assert ActiveSession(run, items, read_only=True).round == 3


def test_a_file_in_the_place_of_the_folder_of_a_round_is_named(run, items):
    session = ActiveSession(run, items)
    shutil.rmtree(run / "round-003")
    (run / "round-003").write_text("a note")
    with pytest.raises(RunDamaged, match=r"round-003 must be a folder, or absent; got a file. Move it away"):
        session.propose()
    assert (run / "round-003").read_text() == "a note"
    (run / "file").write_text("")
    for path in (run / "file", run / "file" / "below"):
        with pytest.raises(
            ValueError, match=r"folder must be a folder; got .*file.*, where something else is"
        ):
            ActiveSession(path, items)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_run_that_is_moved_away_while_it_is_open_is_not_begun_anew(run, items, replaced):
    session = ActiveSession(run, items)
    question = session.questions()[0]
    elsewhere = run.rename(run.parent / "elsewhere")
    if replaced:
        played(run, items, 1)
        before = sorted(run.rglob("*"))
    for use in (
        session.refresh, session.propose, session.codes,
        lambda: session.train(partial=True), lambda: session.note("table", {}),
        lambda: session.export(run.parent / "out"), lambda: session.show_questions("anna"),
    ):  # fmt: skip
        with pytest.raises(RunDamaged, match="run must stay in place while the run is open; it was moved"):
            use()
    for use in (
        lambda: session.answer(question, "0", who="anna", seconds=1.0),
        session.answers,
        session.undo,
    ):
        with pytest.raises(StoreError, match="must stay in place"):
            use()
    assert session.round == len(session.history) == 3  # what is known in memory
    assert not (run.parent / "out").exists()
    assert sorted(run.rglob("*")) == before if replaced else not run.exists()
    shutil.rmtree(run, ignore_errors=True)
    elsewhere.rename(run)
    assert session.run_round(label_oracle(items))["round"] == 3


def test_a_training_whose_folder_is_moved_away_writes_nothing_in_its_place(run, items):
    session = ActiveSession(run, items)

    def move(step, *_):
        if step == 1:
            run.rename(run.parent / "elsewhere")
        return False

    with pytest.raises(RunDamaged, match="must stay in place"):
        session.train(partial=True, progress=move)
    assert not run.exists()
    assert ActiveSession(run.parent / "elsewhere", items).round == 3


def test_a_relative_folder_stays_where_it_was_when_a_cell_changes_directory(tmp_path, items, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    session = ActiveSession("run", items, TINY)

    def leave(step, *_):
        os.chdir(tmp_path / "other")
        return False

    session.train(progress=leave)
    assert session.run_round(label_oracle(items))["round"] == 1
    assert session.export("out") == tmp_path / "other" / "out"
    assert ActiveSession(tmp_path / "run", items).round == 2
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["out"]


def test_files_of_an_older_dhaps_without_digests_open(run, whole, items):
    for path in run.rglob("*.json"):
        content = json.loads(path.read_text())
        for one in (content, *content.get("rounds", [])):
            one.pop("sha256", None)
            one.pop("files", None)
        path.write_text(json.dumps(content))
    for path in run.rglob("*.npy"):
        np.save(path, np.load(path))
    seen, told = look(run, items), look(whole, items)
    for row in told["rounds"]:
        row.pop("files")
    assert seen == told
    settings = json.loads((whole / "settings.json").read_text())
    settings["settings"]["picks"] = 4
    (run / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(RunDamaged, match='if you changed it by hand, remove its line "sha256"'):
        ActiveSession(run, items)


def test_a_note_stays_with_later_rounds_and_with_the_run_as_it_is(run, items):
    session = ActiveSession(run, items)
    session.note("table", {"row": "DH-APS 1 %"})
    session.run_round(label_oracle(items))
    summary = json.loads((run / "metrics.json").read_text())
    assert summary["table"] == {"row": "DH-APS 1 %"}
    assert [row["round"] for row in summary["rounds"]] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="a note must have a name of its own; got 'rounds'"):
        session.note("rounds", {})
    for content in ({"a": float("nan")}, {"a": np.int64(1)}, {"a": {1, 2}}):
        with pytest.raises(ValueError, match="a note must be text, finite numbers, lists and dictionaries"):
            session.note("table", content)
    assert session.noted("table") == {"row": "DH-APS 1 %"}


def test_the_store_of_another_run_is_refused(run, items):
    played(run.parent / "other", items, 3, replace(TINY, seed=1)).store.close()
    for name in ("labels.sqlite", "labels.sqlite.rows"):
        shutil.copy(run.parent / "other" / name, run / name)
    with pytest.raises(RunDamaged, match=r"labels\.sqlite must have the rows that the pairs of round 3 were"):
        ActiveSession(run, items)


def test_answers_to_rounds_that_are_not_there_are_no_new_start(run, items):
    ActiveSession(run, items).store.close()
    (run / "metrics.json").unlink()
    for folder in sorted(run.glob("round-*"))[1:]:
        shutil.rmtree(folder)
    with pytest.raises(
        RunDamaged, match=r"round-001/metrics\.json must be there: labels\.sqlite has answers"
    ):
        ActiveSession(run, items)
    shutil.rmtree(run / "round-000")
    with pytest.raises(RunDamaged, match="must be there"):
        ActiveSession(run, items, read_only=True)


def test_the_settings_of_another_run_are_refused(run, items):
    ActiveSession(run.parent / "other", items, replace(TINY, seed=1)).store.close()
    shutil.copy(run.parent / "other" / "settings.json", run / "settings.json")
    with pytest.raises(RunDamaged, match=r"settings\.json must have the settings that metrics\.json tells"):
        ActiveSession(run, items)


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0])
def test_kernel_means_that_are_none_are_computed_again(run, items, value):
    shutil.rmtree(run / "round-003")
    means = np.load(run / "kernel_means.npy")
    before = ActiveSession(run, items).propose()
    shutil.rmtree(run / "round-003")
    np.save(run / "kernel_means.npy", np.full_like(means, value))
    assert ActiveSession(run, items).propose() == before


@pytest.mark.parametrize(("what", "settings"), [(None, TINY), ("items", {"bits": 8}), ("items", 8)])
def test_what_is_no_items_or_settings_is_refused_before_a_folder_is_made(
    unchecked, tmp_path, items, what, settings
):
    with pytest.raises(ValueError, match="items must be an Items, and settings a Settings or None; got"):
        ActiveSession(tmp_path / "run", items if what else None, settings)
    assert not (tmp_path / "run").exists()


def test_a_folder_at_home_is_expanded_as_a_shell_does(tmp_path, items, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    session = played("~/run", items, 1)
    assert session.folder.path == tmp_path / "run"
    assert session.export("~/out") == tmp_path / "out"
    session.store.export_csv("~/answers.csv")
    assert read_csv("~/answers.csv") == []
    assert load("~/out").index.keys == items.keys
    assert list(find_rounds("~")) == ["run"]
    assert not (tmp_path / "~").exists()


def test_a_run_whose_folder_has_a_name_that_is_no_text_is_exported(tmp_path, items):
    session = played(tmp_path / "b\udcff", items, 1)
    out = session.export(tmp_path / "out")
    assert load(out).about["run"] == "b?"


@pytest.mark.parametrize("name", ["weights.safetensors", "codes.npy"])
def test_a_file_of_another_round_is_not_taken_for_ones_own(run, items, name):
    shutil.copy(run / "round-001" / name, run / "round-002" / name)
    session = ActiveSession(run, items, TINY)
    with pytest.raises(
        RunDamaged, match=rf"{name} must hold .+; got a file that another round or run has made"
    ):
        session.outputs(2) if name.startswith("weights") else session.codes(2)
    assert session.codes(1).shape == (items.n, TINY.bits)


def test_what_is_costly_to_compute_from_a_round_is_kept_beside_it(run, items):
    session, places = ActiveSession(run, items), np.arange(6, dtype=np.float32).reshape(3, 2)
    wanted = {"dtype": np.float32, "shape": (-1, 2)}
    assert session.kept_array("map_xy", **wanted) is None
    session.keep_array("map_xy", places)
    assert (np.load(run / "round-002" / "map_xy.npy") == places).all()
    assert (ActiveSession(run, items, read_only=True).kept_array("map_xy", 2, **wanted) == places).all()
    assert session.kept_array("map_xy", 1, **wanted) is None
    with pytest.warns(RunRepaired, match=r"map_xy.npy must hold float32 \[4 2\]; it is made again"):
        assert session.kept_array("map_xy", dtype=np.float32, shape=(4, 2)) is None
    with pytest.raises(ValueError, match="an array must have a name of its own; got 'codes'"):
        session.keep_array("codes", places)
