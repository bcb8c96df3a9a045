"""Folders of images as codes, by worker processes of a real cluster."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import faiss
import numpy as np
import pytest

from dhaps_core import load
from dhaps_core.codes import ConstantBits
from dhaps_core.encode.__main__ import main
from dhaps_core.encode.shards import encode_shard, images_below, open_plan
from dhaps_core.retrieval.index import HammingIndex
from dhaps_core.session.active import ActiveSession
from tests.find.given import COLOURS, answered, picture, run_of_pictures
from tests.given import TINY, tiny_items

pytest.importorskip("distributed", reason="encoding by workers needs the extra 'sweep'")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantBits)
        base = tmp_path_factory.mktemp("run")
        run_of_pictures(base)
    return base / "result"


@pytest.fixture
def images(tmp_path):
    """40 pictures in two floors of folders, one that cannot be read, and files that are none."""
    for i in range(40):
        place = tmp_path / "images" / f"part{i % 3}" / ("deep" if i % 2 else ".")
        place.mkdir(parents=True, exist_ok=True)
        picture(list(COLOURS)[i % 3], 100 + i).save(place / f"{i:03}.png")
    (tmp_path / "images/=broken.jpg").write_bytes(b"no picture")
    (tmp_path / "images/notes.txt").write_text("of a holiday")
    (tmp_path / "images/.hidden.png").write_bytes(b"")
    return tmp_path / "images"


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("dhaps_core.encode.shards.SHARD", 16)


def command(result, images, out, workers=2):
    return [str(result), str(images), "--out", str(out), "--workers", str(workers)]


@pytest.mark.usefixtures("small")
def test_every_image_gets_the_code_that_the_result_gives_it_and_what_is_there_is_not_done_again(
    result, images, tmp_path, capsys
):
    out = tmp_path / "codes"
    assert main(command(result, images, out)) == 0
    told = capsys.readouterr().out
    assert "41 images in 3 shards, 0 of them encoded before; left out, by their names no images: 1" in told
    assert "40 codes of 16 bits" in told
    assert "1 cannot be read" in told
    names = [name for name in images_below(images)[0] if name != "=broken.jpg"]
    index, right = HammingIndex.load(out / "codes.npz"), load(result)
    assert list(index.keys) == names == json.loads((out / "keys.json").read_text())
    assert np.array_equal(index.packed(), right.packed([images / name for name in names]))
    plain = faiss.read_index_binary(str(out / "index.faiss"))
    distance, found = plain.search(index.packed()[7:8], 1)
    assert distance[0, 0] == 0
    assert np.array_equal(index.packed()[found[0, 0]], index.packed()[7])
    rows = list(csv.reader((out / "unreadable.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["image", "'=broken.jpg"]  # no formula of a spreadsheet
    assert "not an image" in rows[1][1]

    before = (out / "index.faiss").read_bytes()
    (out / "shard-000001.npz").unlink()
    times = {path: path.stat().st_mtime_ns for path in out.glob("shard-*")}
    assert main(command(result, images, out, workers=1)) == 0
    assert "2 of them encoded before" in capsys.readouterr().out
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert (out / "index.faiss").read_bytes() == before


@pytest.mark.usefixtures("small")
def test_other_images_another_result_and_damage_are_named(result, images, tmp_path, capsys):
    out = tmp_path / "codes"
    assert main(command(result, images, out)) == 0
    picture("red", 500).save(images / "new.png")
    assert main(command(result, images, out)) == 2
    assert "got another count, other images in that folder. Give another --out" in capsys.readouterr().err
    (images / "new.png").unlink()
    (out / "shard-000000.npz").write_bytes(b"half")
    assert main(command(result, images, out)) == 2
    error = capsys.readouterr().err
    assert "shard-000000.npz must be a shard" in error
    assert "Delete it, and start again" in error


@pytest.mark.usefixtures("small")
def test_a_round_that_ends_while_it_encodes_leaves_no_codes_of_two_networks(tmp_path, images):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantBits)
        _, _, session = run_of_pictures(tmp_path / "base")
        plan = open_plan(images, images_below(images)[0], tmp_path / "base/result", tmp_path / "codes")
        answered(session)
        with pytest.raises(ValueError, match="must stay as it was when encoding began"):
            encode_shard(plan.result, plan.network, plan.images, plan.names_of(0), plan.path(0))
    assert not plan.path(0).exists()


def test_folders_by_links_count_and_a_circle_is_named(images, tmp_path):
    (tmp_path / "far").mkdir()
    picture("red", 1).save(tmp_path / "far/one.png")
    before, others = images_below(images)
    (images / "linked").symlink_to(tmp_path / "far")
    assert images_below(images) == (sorted([*before, "linked/one.png"]), others)
    (tmp_path / "far/back").symlink_to(images)
    with pytest.raises(
        ValueError, match=f"there once; got {images}/linked/back, which is {images} by a link"
    ):
        images_below(images)


def test_a_folder_that_cannot_be_opened_is_named(images, monkeypatch):
    scan = os.scandir

    def closed(path):
        if str(path).endswith("part1"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ValueError, match=r"can be opened; got .*part1: Permission denied"):
        images_below(images)


@pytest.mark.parametrize("name", [b"bad\xff.png", b"good.png"])
def test_a_file_whose_name_is_no_text_is_listed_as_well(result, tmp_path, name):
    folder = tmp_path / "images"
    folder.mkdir()
    picture("red", 1).save(folder / "one.png")
    (folder / os.fsdecode(name)).write_bytes(b"no picture")
    out = tmp_path / "codes"
    assert main(command(result, folder, out, workers=1)) == 0
    rows = list(csv.reader((out / "unreadable.csv").read_text().splitlines()))
    assert rows[1][0] == name.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace").decode()
    assert list(HammingIndex.load(out / "codes.npz").keys) == ["one.png"]


def test_photos_of_phones_are_encoded_or_named_and_never_left_out(result, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    picture("red", 1).save(folder / "IMG_1.HEIC", format="JPEG")  # as some programs save what they converted
    (folder / "IMG_2.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    out = tmp_path / "codes"
    assert main(command(result, folder, out, workers=1)) == 0
    assert list(HammingIndex.load(out / "codes.npz").keys) == ["IMG_1.HEIC"]
    rows = list(csv.reader((out / "unreadable.csv").read_text().splitlines()))
    assert rows[1][0] == "IMG_2.heic"
    assert "HEIF photo" in rows[1][1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("RESULT", "nowhere"), "must be a folder with images; got nothing"),
        (("nowhere", "IMAGES"), "must be a folder with the result of a run; got nothing"),
        (("RESULT", "EMPTY"), "such as .jpg; got none among 0 files"),
        (("RESULT", "IMAGES", "--out", "FILE"), "notes.txt, where something else is. Give another"),
        (("RESULT", "IMAGES", "--workers", "0"), "must be at least 1, a whole number; got '0'"),
        (("RESULT", "IMAGES", "--scheduler", "tcp://127.0.0.1:9"), "there must be a Dask scheduler"),
    ],
)
def test_a_persons_error_is_a_sentence(result, images, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    monkeypatch.setattr("dhaps_core.sweeps.cluster.patience", lambda: 1.0)
    (tmp_path / "empty").mkdir()
    known = {"RESULT": result, "IMAGES": images, "EMPTY": tmp_path / "empty", "FILE": images / "notes.txt"}
    line = [str(known.get(word, word)) for word in words]
    try:
        status = main(line if "--out" in line else [*line, "--out", str(tmp_path / "codes")])
    except SystemExit as stopped:
        status = stopped.code
    assert status in (1, 2)
    assert message in capsys.readouterr().err


def test_a_result_of_features_is_refused_before_anything_runs(images, tmp_path, capsys):
    items = tiny_items()
    session = ActiveSession(tmp_path / "run", items, TINY, result=tmp_path / "features")
    session.train()
    assert main(command(tmp_path / "features", images, tmp_path / "codes")) == 2
    assert "must be of a run that learned from images; got one of rows" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(result, tmp_path):
    images, out = tmp_path / "many", tmp_path / "codes"
    images.mkdir()
    for i in range(6 * 1024):
        os.link(_one(tmp_path), images / f"{i:05}.png")
    line = [sys.executable, "-m", "dhaps_core.encode", *command(result, images, out)]
    first = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not list(out.glob("shard-*.npz")) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    done = len(list(out.glob("shard-*.npz")))
    assert 1 <= done < 6
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"6,144 images in 6 shards, {done} of them encoded before" in again.stdout
    assert len(HammingIndex.load(out / "codes.npz")) == 6 * 1024


def _one(folder):
    path = folder / "one.png"
    if not path.exists():
        picture("red", 1).save(path)
    return path
