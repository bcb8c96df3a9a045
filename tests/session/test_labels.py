"""Labels outlive runs and changes of the collection: one store for all runs, files that come and go."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.closure import Contradiction
from dhaps_core.answers.questions import NoAnswer, csv_source, folder_labels, label_oracle
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.sources import arrays, image_folder
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.errors import EarlierRunLeftOut, RunDamaged
from tests.given import TINY, played, tiny_items

CLASSES = ("cat", "dog", "owl", "rat")


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pictures(tmp_path):
    """A folder of 24 pictures, in four class folders."""
    for i in range(24):
        write_image(tmp_path / "pictures" / CLASSES[i % 4] / f"{i:02}.png", i)
    return tmp_path / "pictures"


def load(pictures, queries=0):
    """The collection as it is now, with features of its pixels."""
    items = image_folder(pictures, queries=queries, seed=0)
    features = np.stack([items.images[i].reshape(-1)[:32] for i in range(items.n)]).astype(np.float32)
    return replace(items, features=features)


def opened(tmp_path, name, items, settings=TINY):
    session = ActiveSession(
        tmp_path / "runs" / name, items, settings, labels=tmp_path / "runs" / "labels.sqlite"
    )
    if session.round == 0:
        session.train()
    return session


def answer_some(session, count, who="anna"):
    """Answers questions of the round with the names of the folders; the keys."""
    asked = session.questions()[:count]
    for question in asked:
        (key,) = question.keys
        session.answer(
            question, session.items.classes_of(session.items.position[key])[0], who=who, seconds=1.0
        )
    return {question.keys[0] for question in asked}


def test_other_settings_ask_nothing_twice_and_learn_from_all(tmp_path, pictures):
    items = load(pictures)
    first = opened(tmp_path, "one", items)
    answered = answer_some(first, 6)
    assert first.history[0]["answers"] == 0
    for settings in (replace(TINY, bits=16), replace(TINY, picks=2), replace(TINY, method="piq")):
        second = opened(tmp_path, f"{settings.bits}-{settings.picks}-{settings.method}", items, settings)
        assert second.history[0]["answers"] == second.history[0]["answers_unasked"] == 6
        assert {key for one in second.answers() for key in one.keys} == answered
        assert not answered & {key for question in second.questions() for key in question.keys}
        assert second.left > 0
    before = len(first.answers())
    answer_some(second, 1)
    assert len(first.answers()) == before + 1  # the first run learns it, too
    first.train(partial=True)
    assert first.history[1]["answers_unasked"] == 1
    again = ActiveSession(first.folder.path, items)  # without being told where the labels are
    assert again.answers() == first.answers()
    assert again.round == 2


def test_the_same_answers_give_the_same_codes_in_a_store_of_its_own_and_in_a_shared_one(tmp_path, pictures):
    items = load(pictures)
    own = played(tmp_path / "own", items, 3)
    shared = opened(tmp_path, "shared", items)
    while shared.round < 3:
        shared.run_round(label_oracle(items))
    assert (own.codes() == shared.codes()).all()
    assert own.proposals() == shared.proposals()
    assert [one.question for one in own.answers()] == [one.question for one in shared.answers()]


def test_what_an_oracle_answered_in_one_run_is_no_label_of_another(tmp_path, pictures):
    items = load(pictures)
    first = opened(tmp_path, "one", items)
    first.run_round(label_oracle(items))
    assert len(first.answers()) == 6
    answer_some(first, 1)
    first.answer_items([items.keys[5]], label_oracle(items))
    second = opened(tmp_path, "two", items, replace(TINY, bits=16))
    assert len(second.answers()) == 2  # anna's, and the one that was given without a question
    assert second.labels.left_out(second.store.answers()) == {"of another run's oracle": 6}
    key = first.answers()[0].keys[0]
    with pytest.raises(Contradiction):  # but what is in one store agrees
        second.name_items([key], "something else", who="anna")


def test_a_run_goes_on_after_others_have_answered(tmp_path, pictures):
    items = load(pictures)
    first = opened(tmp_path, "one", items)
    answer_some(first, 2)
    second = opened(tmp_path, "two", items, replace(TINY, bits=16))
    for _ in range(2):
        answer_some(second, 6)
        second.train(partial=True)
    again = opened(tmp_path, "one", items)
    assert again.round == 1
    assert again.labels.tag != second.labels.tag
    assert second.undo(who="anna") is not None


def test_a_run_that_was_deleted_begins_anew_with_the_labels(tmp_path, pictures):
    items = load(pictures)
    first = opened(tmp_path, "one", items)
    answer_some(first, 6)
    first.train()
    answer_some(first, 2)
    tag = first.labels.tag
    shutil.rmtree(first.folder.path)
    again = opened(tmp_path, "one", items)
    assert (again.round, len(again.answers())) == (1, 8)
    assert again.labels.tag != tag


def test_files_that_are_renamed_removed_replaced_and_added(tmp_path, pictures):
    first = opened(tmp_path, "one", load(pictures))
    first.name_items([f"cat/{i:02}.png" for i in (0, 4, 8)], "cat", who="anna")
    first.name_items(["dog/01.png", "dog/05.png"], "dog", who="anna")
    (pictures / "cat" / "00.png").rename(pictures / "dog" / "moved.png")
    (pictures / "cat" / "04.png").rename(tmp_path / "away.png")
    write_image(pictures / "dog" / "01.png", 99)  # another picture under the name
    write_image(pictures / "owl" / "new.png", 98)
    second = opened(tmp_path, "two", load(pictures))
    assert {one.keys[0]: one.value[0] for one in second.answers()} == {
        "dog/moved.png": "cat", "cat/08.png": "cat", "dog/05.png": "dog",
    }  # fmt: skip
    assert second.labels.left_out(second.store.answers()) == {
        "about files that are gone": 1, "about files that others have replaced": 1,
    }  # fmt: skip
    second.name_items(["dog/01.png"], "rat", who="anna")  # what the other picture was is no obstacle
    (tmp_path / "away.png").rename(pictures / "cat" / "back.png")
    third = opened(tmp_path, "three", load(pictures))
    assert {one.keys[0]: one.value[0] for one in third.answers()} == {
        "dog/moved.png": "cat", "cat/back.png": "cat", "cat/08.png": "cat", "dog/05.png": "dog",
        "dog/01.png": "rat",
    }  # fmt: skip
    row = next(one.id for one in third.answers() if one.keys == ("dog/moved.png",))
    third.revise(row, "dog", who="bo")  # revised under its new name
    assert next(one for one in third.answers() if one.keys == ("dog/moved.png",)).value == ("dog",)
    with pytest.raises(ValueError, match="items must be those that the splits"):
        ActiveSession(first.folder.path, load(pictures))  # the old run stays as it was


def test_copies_that_people_saw_differently_do_not_lock_the_run_when_one_goes(tmp_path, pictures):
    shutil.copy(pictures / "cat" / "00.png", pictures / "cat" / "copy.png")
    first = opened(tmp_path, "one", load(pictures))
    first.name_items(["cat/00.png"], "cat", who="anna")
    first.name_items(["cat/copy.png"], "lion", who="bo")
    first.store.add("pair", ("cat/00.png", "cat/copy.png"), "different", who="bo", seconds=1.0,
                    contents=first.labels.contents)  # fmt: skip
    (pictures / "cat" / "copy.png").unlink()
    second = opened(tmp_path, "two", load(pictures))
    assert [(one.keys[0], one.value[0]) for one in second.answers()] == [("cat/00.png", "cat")]
    assert second.labels.left_out(second.store.answers()) == {
        "against others, on copies of what is gone": 1, "about files that are gone": 1,
    }  # fmt: skip
    second.name_items(["dog/01.png"], "dog", who="anna")


def test_answers_about_queries_teach_nothing(tmp_path, pictures):
    first = opened(tmp_path, "one", load(pictures))
    first.name_items(list(first.items.keys[:12]), "thing", who="anna")
    second = opened(tmp_path, "two", load(pictures, queries=8))
    queries = {second.items.keys[i] for i in second.items.splits["query"]} & set(first.items.keys[:12])
    assert queries
    assert len(second.answers()) == 12 - len(queries)
    assert second.labels.left_out(second.store.answers()) == {"about queries": len(queries)}


def test_undo_never_takes_what_does_not_count_here(tmp_path, pictures):
    first = opened(tmp_path, "one", load(pictures))
    (pictures / "cat" / "00.png").unlink()
    second = opened(tmp_path, "two", load(pictures))
    first.name_items(["cat/00.png"], "cat", who="anna")
    assert second.undo(who="anna") is None
    second.name_items(["dog/01.png"], "dog", who="anna")
    first.name_items(["rat/23.png"], "rat", who="anna")
    (pictures / "rat" / "23.png").unlink()
    third = opened(tmp_path, "three", load(pictures))
    with pytest.raises(StoreError, match="Undo it there"):
        third.undo(who="anna")
    assert [one.keys for one in third.answers()] == [("dog/01.png",)]
    assert len(third.store.answers()) == 3


def test_a_lost_store_is_no_new_start(tmp_path, pictures):
    items = load(pictures)
    first = opened(tmp_path, "one", items)
    answer_some(first, 2)
    first.store.close()
    for end in ("", ".rows"):
        (tmp_path / "runs" / f"labels.sqlite{end}").unlink()
    with pytest.raises(StoreError, match="must be there"):
        ActiveSession(first.folder.path, items)
    with pytest.raises(FileNotFoundError, match="the run one has its answers in it"):
        opened(tmp_path, "two", items, replace(TINY, bits=16))
    assert not (tmp_path / "runs" / "labels.sqlite").exists()


def test_an_earlier_copy_of_the_shared_store_is_noticed(tmp_path, pictures):
    items, labels = load(pictures), tmp_path / "runs" / "labels.sqlite"
    first = opened(tmp_path, "one", items)
    answer_some(first, 2)
    first.store.close()
    kept = labels.read_bytes()
    first = opened(tmp_path, "one", items)
    answer_some(first, 4)
    first.train()
    first.store.close()
    labels.write_bytes(kept)
    labels.with_name("labels.sqlite.rows").unlink()
    with pytest.raises(RunDamaged, match="4 are lost"):
        ActiveSession(first.folder.path, items)


def test_a_run_keeps_the_store_that_it_began_with(tmp_path):
    played(tmp_path / "one", tiny_items(), 1).store.close()
    with pytest.raises(ValueError, match="it has its own"):
        ActiveSession(tmp_path / "one", tiny_items(), labels=tmp_path / "labels.sqlite")


def test_class_folders_are_labels_if_the_person_says_so(tmp_path, pictures):
    items = load(pictures, queries=4)
    session = ActiveSession(tmp_path / "run", items, TINY, labels=tmp_path / "labels.sqlite")
    assert folder_labels("ask", items) is None
    train = [items.keys[i] for i in items.splits["train"].tolist()]
    assert session.answer_items(train, folder_labels("folders", items)) == 20
    assert {one.who for one in session.answers()} == {"folders"}
    assert session.train()["answers"] == 20
    assert session.questions() == []
    assert session.undo(who="folders") is not None  # one step
    assert session.answers() == []
    with pytest.raises(ValueError, match="labels must be one of ask, folders"):
        folder_labels("folder", items)
    with pytest.raises(NoAnswer, match="a sub-folder for each class"):
        folder_labels("folders", replace(items, labels=None, class_names=()))


# --- many at once


@pytest.fixture
def session(tmp_path, pictures):
    return opened(tmp_path, "one", load(pictures))


def test_many_items_are_named_in_one_step(session):
    keys = list(session.items.keys[:10])
    assert len(session.name_items(keys, "thing", who="anna", seconds=5.0)) == 10
    assert session.name_items(keys[:3], "thing", who="bo") == []  # they are that already
    assert sum(one.seconds for one in session.answers()) == 5.0
    assert session.undo(who="anna") is not None
    assert session.answers() == []
    assert session.redo(who="anna") is not None
    assert len(session.answers()) == 10
    with pytest.raises(Contradiction):
        session.name_items([*session.items.keys[10:20], keys[0]], "other", who="anna")
    with pytest.raises(KeyError, match="training items"):
        session.name_items(["nothing"], "thing", who="anna")
    assert len(session.answers()) == 10


def test_what_was_refused_leaves_nothing_behind(session):
    """The id of an answer that was refused goes to the next one, about another item and with another word."""
    a, b, c = session.items.keys[:3]
    session.name_items([a], "cat", who="bo")
    session.store.add("pair", (a, b), "same", who="bo", seconds=1.0)
    for refused, stored in (([b], [c]), ([c, b], session.items.keys[3:5])):
        with pytest.raises(Contradiction):
            session.name_items(refused, "dog", who="anna")
        assert session.name_items(stored, "owl", who="anna")
        mine = [one for one in session.answers() if one.who == "anna"][-len(stored) :]
        assert [(one.keys, one.value) for one in mine] == [((key,), ("owl",)) for key in stored]


def test_classes_are_renamed_and_merged_in_one_step(session):
    keys = session.items.keys
    session.name_items(keys[:3], "Lion", who="anna")
    session.name_items(keys[3:5], "feline", who="bo")
    assert session.rename_class("Lion", "lion", who="anna") == 3  # though it looks like the old one
    with pytest.raises(ValueError, match="2 answers give 'feline' already"):
        session.rename_class("lion", "feline", who="anna")
    with pytest.raises(ValueError, match="which no answer gives"):
        session.rename_class("Lion", "leo", who="anna")
    assert session.rename_class("feline", "lion", who="anna", merge=True) == 2
    assert {one.value for one in session.answers()} == {("lion",)}
    session.undo(who="anna")
    session.undo(who="anna")
    assert [one.value for one in session.answers()] == [("Lion",)] * 3 + [("feline",)] * 2
    session.redo(who="anna")
    session.store.add("pair", (keys[0], keys[3]), "different", who="anna", seconds=1.0)
    mark = session.store.watermark()
    with pytest.raises(Contradiction) as told:
        session.rename_class("feline", "lion", who="anna", merge=True)
    assert told.value.chain
    assert session.store.watermark() == mark


def test_answers_go_out_as_csv_and_come_in_again(tmp_path, session, pictures):
    session.name_items(session.items.keys[:6], "cat", who="anna")
    session.export(tmp_path / "out")
    shutil.copytree(pictures, tmp_path / "others")
    other = ActiveSession(tmp_path / "elsewhere", load(tmp_path / "others"), TINY)
    path = tmp_path / "out" / "answers.csv"
    assert other.take_csv(path) == (6, 0, 0)
    assert {one.who for one in other.answers()} == {"csv:answers.csv"}
    assert other.take_csv(path) == (0, 6, 0)
    assert other.undo(who="csv:answers.csv") is not None
    assert other.answers() == []
    other.name_items([session.items.keys[0]], "dog", who="bo")
    with pytest.raises(Contradiction):
        other.take_csv(path)
    assert len(other.answers()) == 1
    path.write_text("kind,a,b,value,who,seconds\nclass,nowhere.png,,cat,anna,1\n")
    with pytest.raises(StoreError, match="by their keys such as"):
        other.take_csv(path)


def test_a_csv_whose_name_is_no_text_is_taken_under_one_that_is(tmp_path, session):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/half \xff.csv")
    session.name_items(session.items.keys[:2], "cat", who="anna")
    session.store.export_csv(path)
    session.undo()
    assert session.take_csv(path) == (2, 0, 0)
    assert [one.who for one in session.answers()] == ["csv:half ?.csv"] * 2
    assert csv_source(path).name == "csv:half ?.csv"
    nobody = replace(session.answers()[0], who="\udcff")
    with pytest.raises(StoreError, match="who must be a name"):
        session.store.bring([nobody])


def test_the_classes_of_an_item_have_no_order(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (40, 4))
    items = arrays(np.random.default_rng(0).normal(size=(40, 6)), labels, queries=8, seed=0)
    session = ActiveSession(tmp_path / "run", items, TINY)
    key = items.keys[items.splits["train"][0]]
    assert len(session.name_items([key], ["sky", "sea"], who="anna")) == 1
    assert session.name_items([key], ["sea", "sky"], who="anna") == []
    path = tmp_path / "answers.csv"
    path.write_text(f'kind,a,b,value,who,seconds\nclass,{key},,"[""sea"", ""sky""]",bo,1\n')
    assert session.take_csv(path) == (0, 1, 0)
    assert len(session.answers()) == 1


def test_answers_of_earlier_runs_come_once(tmp_path, pictures):
    items = load(pictures)
    old = played(tmp_path / "runs" / "old", items, 2)  # an oracle's stay there
    answer_some(old, 3)
    old.store.add("class", (items.keys[20],), "owl", who="bo", seconds=1.0)
    wrong = played(tmp_path / "runs" / "wrong", items, 1)
    key = old.answers()[-2].keys[0]
    wrong.answer_items([key], lambda _: "something else", who="bo")
    (tmp_path / "runs" / "damaged").mkdir()
    new = opened(tmp_path, "new", items, replace(TINY, bits=16))
    folders = [tmp_path / "runs" / name for name in ("old", "wrong", "damaged")]
    with pytest.warns(EarlierRunLeftOut) as told:
        assert new.bring_over_all(folders) == (4, 1)
    assert [str(one.message).split(" stay")[0].rsplit("/", 1)[1] for one in told] == ["wrong", "damaged"]
    assert {one.who for one in new.answers()} == {"anna", "bo"}
    assert all(one.contents for one in new.answers())
    new.retract(new.answers()[0].id, who="anna")
    assert new.bring_over(folders[0]) == 0  # what was retracted stays so
    assert len(new.answers()) == 3
    with LabelStore(tmp_path / "runs" / "old" / "labels.sqlite") as store:
        assert len(store.answers()) == 6 + 3 + 1
