"""A result stays whole: kills, half copies, two writers, what was added and what is in the way."""

import json
import os
import shutil
import signal
import traceback
from functools import partial

import numpy as np
import pytest

from dhaps_core.data.sources import image_folder
from dhaps_core.find.added import AddedLeftOut
from dhaps_core.find.loaded import load
from dhaps_core.find.parts import PARTS, ResultDamaged, ResultInUse, read_manifest, replaced
from dhaps_core.hashing.backbones import pixels
from dhaps_core.hashing.encoder import embedded
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.errors import RunDamaged
from dhaps_core.session.settings import Settings
from tests.find.given import answered, picture, run_of_pictures, write_pictures
from tests.given import played, tiny_items

pytestmark = pytest.mark.filterwarnings("ignore::dhaps_core.codes.ConstantBits")


def pixels_of(*names):
    return [np.asarray(picture(colour, number)) for colour, number in names]


def killed_at(point, work):
    """Whether work in another process was killed before or after its n-th change of a name on the disk."""
    pid = os.fork()
    if not pid:
        passed = iter(range(10_000))

        def around(function):
            def called(*given, **named):
                for moment in (function, None):
                    if next(passed) == point:
                        os.kill(os.getpid(), signal.SIGKILL)
                    if moment is not None:
                        done = function(*given, **named)
                return done

            return called

        for name in ("replace", "unlink", "mkdir", "rmdir"):
            setattr(os, name, around(getattr(os, name)))
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), "the work failed before it was killed; its traceback is on stderr"
    return code == -signal.SIGKILL


@pytest.mark.slow
def test_a_kill_at_any_moment_of_adding_leaves_the_result_before_or_the_one_after(result, tmp_path):
    new, before, after, point = pixels_of(("red", 70), ("blue", 71)), 0, 0, 0
    while True:
        taken = shutil.copytree(result, tmp_path / f"taken{point}")
        killed = killed_at(point, lambda taken=taken: load(taken).add(new, ["one", "two"]))
        assert len(os.listdir(taken)) >= len(os.listdir(result))
        found = load(taken)
        assert len(found) in (36, 38)
        before, after = before + (len(found) == 36), after + (len(found) == 38)
        assert len(found.encode(new)) == 2
        missing = ["one", "two"] if len(found) == 36 else []
        assert found.add(new, ["one", "two"]).added == missing
        assert len(load(taken)) == 38
        assert not [*taken.glob("*.new"), *taken.glob("next/*")]
        shutil.rmtree(taken)
        point += 1
        if not killed:
            break
    assert point > 30
    assert before > 10
    assert after > 10


@pytest.mark.slow
def test_a_kill_at_any_moment_of_a_round_leaves_a_result_that_loads_and_is_made_whole(tmp_path):
    items, encoder, session = run_of_pictures(tmp_path / "base", rounds=1)
    for question in session.questions():
        session.answer(question, question.keys[0].rstrip(".png0123456789"), who="anna", seconds=1.0)
    session.store.close()
    point, rounds = 0, set()
    while True:
        base = shutil.copytree(tmp_path / "base", tmp_path / "copy")
        opened = {"result": base / "result", "encoder": encoder}
        work = partial(ActiveSession, base / "run", items, **opened)
        killed = killed_at(point, lambda work=work: work().train())
        rounds.add(load(base / "result").about["round"])
        again = ActiveSession(base / "run", items, **opened)
        found = load(base / "result")
        assert found.about["round"] == again.round - 1
        assert np.array_equal(found.index.packed(), again.packed_codes().numpy())
        again.store.close()
        shutil.rmtree(base)
        point += 7
        if not killed:
            break
    assert rounds == {0, 1}


def test_opening_the_run_makes_its_result_whole(tmp_path):
    items, encoder, session = run_of_pictures(tmp_path, rounds=1)
    result = tmp_path / "result"
    whole = load(result).index.packed()
    for harm in (
        (result / "result.json").unlink,
        lambda: shutil.rmtree(result),
        lambda: (result / "codes.npz").write_bytes(b"half"),
        lambda: (result / "floats.npy").write_bytes((result / "contents.npy").read_bytes()),
    ):
        harm()
        with pytest.raises((ResultDamaged, FileNotFoundError)):
            load(result)
        opened = ActiveSession(tmp_path / "run", items, result=result, encoder=encoder)
        assert np.array_equal(load(result).index.packed(), whole)
        opened.store.close()
    before = {path: path.stat().st_mtime_ns for path in result.iterdir()}
    ActiveSession(tmp_path / "run", items, result=result, encoder=encoder)
    ActiveSession(tmp_path / "run", items, result=tmp_path / "other", encoder=encoder, read_only=True)
    assert before == {path: path.stat().st_mtime_ns for path in result.iterdir()}
    assert not (tmp_path / "other").exists()
    session.store.close()


@pytest.mark.parametrize("name", [name for name in PARTS if name != "added.npz"])
def test_a_part_of_another_result_is_never_loaded_beside_the_others(run, result, tmp_path, name):
    other = run_of_pictures(tmp_path / "other", Settings(bits=16, picks=3, seed=1), start=20)[2]
    assert name == "README.md" or (result / name).read_bytes() != (other.result / name).read_bytes()
    shutil.copy(other.result / name, result / name)
    if name in ("README.md", "answers.csv"):
        assert len(load(result)) == 36  # people may write into them
        return
    with pytest.raises(
        ResultDamaged, match=f"written together; got another {name} than result.json tells of"
    ):
        load(result)


@pytest.mark.parametrize("name", ["network.safetensors", "encoder.npz", "codes.npz", "contents.npy"])
def test_half_a_copy_says_what_is_missing(result, name):
    (result / name).unlink()
    with pytest.raises(ResultDamaged, match=f"got no {name}: half a copy. Open its run again"):
        load(result)


def test_a_manifest_that_tells_of_something_else_is_refused(result):
    plain = json.loads((result / "result.json").read_text())
    del plain["sha256"]
    for changed, message in [
        ({"version": 9}, "must be of version 1; got 9"),
        ({"files": {"../secret": ""}}, "must name the parts of a result"),
        ({"plan": {**plain["plan"], "method": "none"}}, "method must be one of"),
        ({"plan": {**plain["plan"], "features": 10**6}}, "centring of"),
        ({"sizes": {"classes": 10**6}}, "must hold the network that result.json tells of"),
        ({"plan": {**plain["plan"], "method": "dpsh", "hidden": 65_536}}, "must hold the network"),
        ({"sizes": {"depth": 1}}, "must have the sizes of auto; got depth"),
        ({"sizes": None}, "must have the sizes of layers"),
        ({"classes": ["red"]}, "must name the 3 classes"),
        ({"encoder": {"backbone": 7}}, "must hold what reads new images"),
    ]:
        (result / "result.json").write_text(json.dumps({**plain, **changed}))
        with pytest.raises(ResultDamaged, match=message):
            load(result)


def test_what_is_in_the_way_is_named_and_the_result_before_stays(tmp_path):
    items = tiny_items()
    session = played(tmp_path / "run", items, 1)
    out = session.export(tmp_path / "result")
    for name in ("codes.npz", "result.json", "next"):
        if (out / name).exists():
            (out / name).rename(tmp_path / "kept")
            (out / name).mkdir()
        else:
            (out / name).write_text("mine")
        with pytest.raises(RunDamaged, match=rf"{name} must be a .*; got a .*\. Move it away"):
            session.export(out)
        if (out / name).is_dir():
            (out / name).rmdir()
            (tmp_path / "kept").rename(out / name)
        else:
            (out / name).unlink()
        assert len(load(out)) == items.n
    with pytest.raises(ValueError, match="folder must be a folder"):
        session.export(out / "codes.npz")
    (tmp_path / "elsewhere").mkdir()
    (out / "next").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError, match="it is a link to elsewhere"):
        load(out)


def test_added_images_are_found_and_stay_through_later_rounds(tmp_path):
    items, _, session = run_of_pictures(tmp_path)
    new = sorted(write_pictures(tmp_path / "new", each=2, start=70).iterdir())
    found = load(tmp_path / "result")
    done = found.add(new)
    assert done.added == [path.name for path in new]
    assert done.known == []
    assert len(found) == 42
    assert found.search(new[0], 3, rerank=20)[0].key == new[0].name
    assert found.pictures([new[0].name])[new[0].name].startswith(b"\xff\xd8")
    assert found.add([new[1]]) == ([], [(new[1].name, new[1].name)])
    assert found.add([np.asarray(picture("red", 90))], ["mine"]).added == ["mine"]
    for _ in range(2):
        answered(session)
        again = load(tmp_path / "result")
        assert len(again) == 43
        assert again.about["added"] == 7
        assert np.array_equal(again.index.codes(["mine"]).numpy(), again.encode(pixels_of(("red", 90))))
        assert "mine" in [hit.key for hit in again.within(np.asarray(picture("red", 90)), 0)]
        assert again.pictures([new[0].name])[new[0].name].startswith(b"\xff\xd8")
    assert again.about["round"] == 3
    assert read_manifest(tmp_path / "result")["items"] == items.n


def test_names_that_stand_for_something_else_are_refused_and_the_same_content_is_left_out(
    run, result, tmp_path
):
    found = load(result)
    shutil.copy(run[0] / "images/red01.png", tmp_path / "copy.png")
    assert found.add([tmp_path / "copy.png"]) == ([], [("copy.png", "red01.png")])
    picture("blue", 80).save(tmp_path / "red01.png")
    before = {path.name: path.read_bytes() for path in result.iterdir()}
    new = tmp_path / "new.png"
    picture("blue", 81).save(new)
    for given, keys, message in [
        ([new, tmp_path / "red01.png"], None, r"must be new, .*; got 'red01\.png' with other content"),
        ([new, new], ["one"], "keys must be as many as the 2 images; got 1"),
        ([new, new], ["one", "one"], "keys must be distinct; got 'one' twice"),
        ([], None, "images must be at least 1; got an empty list"),
        (pixels_of(("red", 1)), None, "keys must be given with arrays"),
    ]:
        with pytest.raises(ValueError, match=message):
            found.add(given, keys)
    assert before == {path.name: path.read_bytes() for path in result.iterdir()}
    assert found.add([new, tmp_path / "new.png"], ["one", "two"]) == (["one"], [("two", "one")])


def test_features_are_added_as_rows_with_names(tmp_path):
    items = tiny_items()
    session = played(tmp_path / "run", items, 1)
    found = load(session.export(tmp_path / "result"))
    assert found.add(items.features[:1] + 1, ["new"]).added == ["new"]
    assert found.add(items.features[:1], ["again"]).known == [("again", items.keys[0])]
    assert len(load(tmp_path / "result").index.packed()) == items.n + 1


def test_two_who_add_do_not_lose_each_others_images(result):
    first, second = load(result), load(result)
    assert first.add(pixels_of(("red", 70)), ["one"]).added == ["one"]
    with pytest.raises(ResultInUse, match=r"another process has changed it\. Load it again, then add"):
        second.add(pixels_of(("blue", 71)), ["two"])
    assert load(result).add(pixels_of(("blue", 71)), ["two"]).added == ["two"]
    assert len(load(result)) == 38


def test_a_second_writer_waits_and_is_then_refused(result, monkeypatch):
    monkeypatch.setattr("dhaps_core.find.parts.PATIENCE", 0.01)
    found = load(result)
    with replaced(result), pytest.raises(ResultInUse, match="must have one writer at a time"):
        found.add(pixels_of(("red", 70)), ["one"])
    assert found.add(pixels_of(("red", 70)), ["one"]).added == ["one"]


def test_what_was_added_is_named_where_other_components_leave_it_out(tmp_path):
    _, _, session = run_of_pictures(tmp_path, rounds=1)
    load(tmp_path / "result").add(pixels_of(("red", 70)), ["mine"])
    session.store.close()
    write_pictures(tmp_path / "more", each=1, start=60)
    for path in (tmp_path / "more").iterdir():
        path.rename(tmp_path / "images" / path.name)
    items, encoder = embedded(
        image_folder(tmp_path / "images", queries=0, seed=0),
        pixels(4),
        cache=tmp_path / "embeddings",
        dims=16,
    )
    kept = {"result": tmp_path / "result", "encoder": encoder}
    other = ActiveSession(tmp_path / "other", items, Settings(bits=16, picks=3), **kept)
    with pytest.warns(AddedLeftOut, match=r'1 items that were added .* Add them again: \["mine"\]'):
        other.train()
    assert len(load(tmp_path / "result")) == 39


def test_an_image_that_joins_the_collection_is_no_longer_an_added_one(tmp_path):
    items, encoder, session = run_of_pictures(tmp_path, rounds=1)
    found = load(tmp_path / "result")
    found.add(pixels_of(("red", 70), ("red", 71)), ["mine", "yours"])
    renamed = type(items)(("mine", *items.keys[1:]), *list(vars(items).values())[1:])
    kept = {"result": tmp_path / "result", "encoder": encoder}
    other = ActiveSession(tmp_path / "other", renamed, Settings(bits=16), **kept)
    other.train()
    again = load(tmp_path / "result")
    assert again.index.keys[0] == "mine"
    assert again.index.keys[36:] == ("yours",)
    session.store.close()


def test_an_encoder_of_other_features_is_refused(tmp_path):
    items, encoder, _ = run_of_pictures(tmp_path, rounds=0)
    with pytest.raises(ValueError, match="what made the 6 features of the items; got one that makes 16"):
        ActiveSession(tmp_path / "new", tiny_items(), result=tmp_path / "out", encoder=encoder)
    assert items.features.shape[1] == 16


@pytest.mark.parametrize("name", ["README.md", "codes.npz", "answers.csv", "result.json"])
def test_a_file_that_is_of_no_result_is_never_replaced(tmp_path, name):
    session = ActiveSession(tmp_path / "run", tiny_items(), Settings(bits=16, picks=3))
    session.train()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / name).write_text("my own")
    with pytest.raises(ValueError, match=f"got {name}, which is of something else"):
        session.export(mine)
    with pytest.raises(ValueError, match=f"got {name}, which is of something else"):
        ActiveSession(tmp_path / "run", tiny_items(), result=mine)
    assert [(path.name, path.read_text()) for path in mine.iterdir()] == [(name, "my own")]


def test_a_result_of_which_only_the_manifest_or_the_lock_is_left_is_made_whole(tmp_path):
    session = ActiveSession(tmp_path / "run", tiny_items(), Settings(bits=16, picks=3))
    session.train()
    for lost in ("result.json", ".lock"):
        session.export(tmp_path / "result")
        (tmp_path / "result" / lost).unlink()
        session.export(tmp_path / "result")
        assert len(load(tmp_path / "result")) == session.items.n
