"""Search from a shell, its contact sheets, and what a searcher sees measured by hand."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dhaps_core.data.sources import image_folder
from dhaps_core.find.__main__ import main
from dhaps_core.find.compare import compare, known_classes
from dhaps_core.find.loaded import Hit, load
from dhaps_core.find.sheet import Found, write_sheet
from dhaps_core.hashing.backbones import pixels
from dhaps_core.hashing.encoder import embedded
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.find.given import colour_of, picture, write_pictures
from tests.given import NASTY, TINY, played, tiny_items

pytestmark = pytest.mark.filterwarnings("ignore::dhaps_core.codes.ConstantBits")


def test_the_command_finds_new_images_and_leaves_a_sheet(result, tmp_path, capsys):
    new = sorted(map(str, write_pictures(tmp_path / "new", each=1, start=50).iterdir()))
    main([str(result), *new, "-k", "4", "--rerank", "12", "--sheet", str(tmp_path / "found.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[::5][:3] == new
    assert {colour_of(line.split()[-1]) for line in lines[1:5]} == {"blue"}
    assert lines[-1] == f"sheet: {tmp_path / 'found.png'}"
    with Image.open(tmp_path / "found.png") as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    width = sheet.shape[1] // 5
    for row, colour in enumerate((2, 1, 0)):  # blue, green, red: each row shows its own colour all along
        for column in range(5):
            tile = sheet[row * 150 + 50 : row * 150 + 70, column * width + 50 : column * width + 70]
            assert tile.mean((0, 1)).argmax() == colour
    main([str(result), new[0], "--radius", "3"])
    told = capsys.readouterr().out.splitlines()[1:]
    assert all(int(line.split()[0]) <= 3 for line in told)
    assert all(line.split()[1] == ("bit" if line.split()[0] == "1" else "bits") for line in told)


def test_of_a_few_items_all_are_found(tmp_path, capsys):
    items = image_folder(write_pictures(tmp_path / "images", each=2), queries=0, seed=0)
    items, encoder = embedded(items, pixels(4), cache=tmp_path / "embeddings", dims=5)
    settings, result = Settings(bits=8, picks=2), tmp_path / "result"
    ActiveSession(tmp_path / "run", items, settings, result=result, encoder=encoder).train()
    main([str(result), str(tmp_path / "images/red00.png")])
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6


def test_the_command_adds_what_it_looked_for(result, tmp_path, capsys):
    picture("red", 77).save(tmp_path / "mine.png")
    for told in ("added: mine.png", "there already: mine.png, as mine.png"):
        main(
            [str(result), str(tmp_path / "mine.png"), "-k", "1", "--add", "--sheet", str(tmp_path / "a.html")]
        )
        assert told in capsys.readouterr().out
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "mine.png" in page
    assert page.count("data:image/jpeg;base64,") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere", "a.png"), "must be a folder with the result of a run; got nothing"),
        (("RESULT", "nothing.png"), "nothing.png: No such file or directory"),
        (("RESULT", "TEXT"), "not an image, or damaged beyond recognition"),
        (("RESULT", "IMAGE", "-k", "99"), "k must be from 1 to the 36 items"),
        (("RESULT", "IMAGE", "--radius", "-2"), "radius must be at least 0"),
        (("RESULT", "IMAGE", "--sheet", "a.gif"), "a sheet must be a .png or an .html file; got 'a.gif'"),
        (
            ("RESULT", "IMAGE", "--sheet", "nowhere/a.png"),
            "must go into a folder that is there; got",
        ),
        (("nowhere", "IMAGE", "--sheet", "a.gif"), "a sheet must be"),  # before anything is read
        (("ABOVE", "IMAGE"), "got none. Give the folder that a run keeps up to date, such as "),
        (("RESULT", "IMAGE", "-k", "0"), "got 0. Take one of these."),
        (("RESULT",), "the following arguments are required: IMAGE"),
        (("RESULT", "IMAGE", "-k", "x"), "invalid int value"),
    ],
)
def test_a_persons_error_is_a_sentence_and_the_status_2(result, tmp_path, capsys, words, message):
    (tmp_path / "text.png").write_text("no picture")
    picture("red", 1).save(tmp_path / "image.png")
    result = result.rename(tmp_path / "result")
    known = {
        "RESULT": result,
        "ABOVE": tmp_path,
        "TEXT": tmp_path / "text.png",
        "IMAGE": tmp_path / "image.png",
    }
    with pytest.raises(SystemExit) as stopped:
        main([str(known.get(word, word)) for word in words])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_names_do_nothing_on_a_sheet(tmp_path):
    file = io.BytesIO()
    picture("red", 1).save(file, "JPEG")
    hits = [Hit(name, 3, 0.5) for name in NASTY]
    found = [Found(NASTY[0], file.getvalue(), hits, [file.getvalue(), *[b""] * (len(NASTY) - 1)])]
    write_sheet(tmp_path / "sheet.html", found)
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert set(re.findall(r"<(/?\w+)", page)) <= {
        *("html", "head", "/head", "meta", "title", "/title", "style", "/style", "body", "/body", "/html"),
        *("div", "/div", "figure", "/figure", "img", "figcaption", "/figcaption", "br"),
    }
    assert "://" not in page
    write_sheet(tmp_path / "sheet.png", found)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 8 + 10 * 120
    with pytest.raises(ValueError, match="a PNG must have at most 89,000,000 pixels"):
        write_sheet(tmp_path / "large.png", found * 200)


def slow_precision(order, relevant, k):
    return np.mean([[relevant[i][j] for j in row[:k]] for i, row in enumerate(order)])


def test_what_a_searcher_sees_is_measured_on_what_nobody_answered_about(tmp_path):
    items = tiny_items(60)
    session = played(tmp_path / "run", items, 2, replace(TINY, method="piq", reading="covered", picks=4))
    found = load(session.export(tmp_path / "result"))
    answered = {key for answer in session.answers() for key in answer.keys}
    start = HammingIndex(session.packed_codes(0), items.keys, bits=8)
    told = compare(found, known_classes(items), answered=answered, start=start, shortlist=60)
    left = [i for i, key in enumerate(items.keys) if key not in answered]
    assert (told.queries, told.items, told.searched) == (len(left), len(left), 60)
    rows = {row["search by"]: row for row in told.rows}
    assert list(rows) == ["codes at the start", "codes", "codes, 60 re-ranked", "floats, by cosine"]
    assert [row["bytes an item"] for row in rows.values()] == [1, 1, 13, 12]
    floats, relevant, order = found.floats[left].astype(np.float32), [], []
    labels = items.labels[left]
    for i in range(len(left)):
        others = [j for j in np.argsort(-(floats @ floats[i]), kind="stable") if j != i]
        order.append(others)
        relevant.append(labels == labels[i])
    for k in (1, 10):
        assert rows["floats, by cosine"][f"P@{k}"] == pytest.approx(
            slow_precision(order, relevant, k), abs=1e-6
        )
    precisions = []
    for i, row in enumerate(order):
        hits = [relevant[i][j] for j in row]
        precisions.append(np.mean([np.mean(hits[: at + 1]) for at, hit in enumerate(hits) if hit]))
    assert rows["floats, by cosine"]["mAP"] == pytest.approx(np.mean(precisions), abs=1e-6)
    at_once = [[hit.key for hit in found.search(items.features[i], 60, rerank=60)] for i in left]
    reranked = [
        [left.index(items.position[key]) for key in keys if items.position[key] in left] for keys in at_once
    ]
    reranked = [[j for j in row if j != i] for i, row in enumerate(reranked)]
    expected = slow_precision(reranked, relevant, 10)
    assert rows["codes, 60 re-ranked"]["P@10"] == pytest.approx(expected, abs=0.005)  # float16 queries
    assert 0 < rows["codes"]["P@10"] <= 1
    assert "Codes take 1 bytes an item where floats take 12" in str(told)


def test_without_known_classes_only_the_costs_are_told(tmp_path, result):
    items = tiny_items()
    session = played(tmp_path / "run", items, 1)
    found = load(session.export(tmp_path / "out"))
    told = compare(found, {}, answered=[])
    assert told.queries == 0
    assert {row["P@1"] for row in told.rows} == {None}
    assert "class (class folders, or a CSV); 0 have one" in str(told)
    few = compare(found, dict.fromkeys(items.keys[:10], ("a",)), answered=[])
    assert few.queries == 0
    assert "more than 10 of the items that nobody answered about" in str(few)
    assert "10 have one" in str(few)
    (result / "floats.npy").unlink()
    assert "there are no floats beside them" in str(compare(load(result), {}, answered=[]))


def test_classes_are_known_from_labels_or_from_a_file(tmp_path):
    items = tiny_items()
    assert known_classes(items)[items.keys[3]] == items.classes_of(3)
    flat = replace(items, labels=None, class_names=())
    assert known_classes(flat) == known_classes(flat, "oracle") == {}
    (tmp_path / "a.csv").write_text("kind,a,b,value,who,seconds\nclass,3,,cat,me,0\npair,3,4,same,me,0\n")
    assert known_classes(flat, str(tmp_path / "a.csv")) == {"3": ("cat",)}
