"""Folders of images: every file counts, and what does not is told."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.sources import arrays, cifar10, image_folder, list_files, open_items


def png(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2), colour).save(path, "PNG")


@pytest.fixture
def cats(tmp_path):
    """A folder with three cats."""
    for i in range(3):
        png(tmp_path / "cat" / f"{i}.png")
    return tmp_path


def test_links_that_lead_nowhere_count(cats):
    (cats / "dog").mkdir()
    for i in range(3):
        (cats / "dog" / f"{i}.png").symlink_to(cats / "nowhere" / f"{i}.png")
    with pytest.raises(UnreadableImage, match=r"(?s)got 3 .*dog/0.png: a link that leads nowhere") as error:
        image_folder(cats, queries=0, seed=0)
    assert [name for name, _ in error.value.failures] == ["dog/0.png", "dog/1.png", "dog/2.png"]
    items = image_folder(cats, queries=0, seed=0, skip_unreadable=True)
    assert items.n == 3
    assert items.skipped == error.value.failures


@pytest.mark.usefixtures("unchecked")
def test_whether_files_are_skipped_is_no_text(cats):
    with pytest.raises(ValueError, match="skip_unreadable must be True or False; got 'no'"):
        image_folder(cats, queries=0, seed=0, skip_unreadable="no")


def test_links_in_a_circle_count(cats):
    (cats / "cat" / "round.png").symlink_to("round.png")
    with pytest.raises(UnreadableImage, match=r"cat/round.png: a link that leads nowhere"):
        image_folder(cats, queries=0, seed=0)
    (cats / "cat" / "round.png").unlink()
    (cats / "cat" / "up").symlink_to(cats)
    with pytest.raises(ValueError, match="got a folder cat/up"):
        image_folder(cats, queries=0, seed=0)


def test_links_to_images_are_images(cats):
    png(cats.parent / f"{cats.name}-elsewhere" / "dog" / "a.png", "blue")
    (cats / "dog").symlink_to(cats.parent / f"{cats.name}-elsewhere" / "dog")
    (cats / "cat" / "copy.png").symlink_to("0.png")
    items = image_folder(cats, queries=0, seed=0)
    assert items.class_names == ("cat", "dog")
    assert items.keys[3:] == ("cat/copy.png", "dog/a.png")


def test_pipes_and_sockets_are_told_and_not_waited_for(cats, monkeypatch):
    os.mkfifo(cats / "cat" / "pipe.png")
    monkeypatch.chdir(cats)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("cat/socket.png")
        (cats / "cat" / "zero.png").symlink_to("/dev/zero")
        with pytest.raises(UnreadableImage, match=r"(?s)got 3 .*pipe, socket or device") as error:
            image_folder(cats, queries=0, seed=0)
    assert [name for name, _ in error.value.failures] == ["cat/pipe.png", "cat/socket.png", "cat/zero.png"]


def test_a_folder_that_cannot_be_opened_counts(cats, monkeypatch):
    png(cats / "dog" / "a.png")
    listdir = os.listdir

    def closed(path):
        if path.name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", closed)
    with pytest.raises(UnreadableImage, match="dog/: Permission denied"):
        image_folder(cats, queries=0, seed=0)
    items = image_folder(cats, queries=0, seed=0, skip_unreadable=True)
    assert items.skipped == (("dog/", "Permission denied"),)


def test_what_systems_leave_behind_is_left_out_and_listed(cats):
    for name in ("__MACOSX/cat/._0.png", "Thumbs.db", "cat/desktop.ini", ".DS_Store", "cat/.hidden.png"):
        (cats / name).parent.mkdir(parents=True, exist_ok=True)
        (cats / name).write_bytes(b"no image")
    (cats / "empty").mkdir()
    items = image_folder(cats, queries=0, seed=0)
    assert items.n == 3
    assert items.class_names == ("cat",)
    assert dict(items.skipped) == {
        ".DS_Store": "hidden",
        "Thumbs.db": "left behind by an operating system",
        "__MACOSX": "left behind by an operating system",
        "cat/.hidden.png": "hidden",
        "cat/desktop.ini": "left behind by an operating system",
        "empty/": "a folder without files",
    }


def test_texts_beside_images_count(cats):
    (cats / "cat" / "labels.csv").write_text("a,b")
    with pytest.raises(UnreadableImage, match=r"cat/labels.csv: not an image"):
        image_folder(cats, queries=0, seed=0)


@pytest.mark.parametrize(
    ("one", "other"), [("cat", "Cat"), ("cat", "cat "), ("\u00e9", "e\u0301"), ("7", "07")]
)
def test_class_folders_that_look_alike_are_refused(tmp_path, one, other):
    png(tmp_path / one / "a.png")
    png(tmp_path / other / "b.png")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system holds them for one")
    with pytest.raises(ValueError, match=r"looks like|which another name is too"):
        image_folder(tmp_path, queries=0, seed=0)


def test_paths_that_are_no_folder_get_one_sentence(cats, monkeypatch):
    for path, told in [(cats / "none", "nothing of that name"), (cats / "cat" / "0.png", "a file")]:
        with pytest.raises(ValueError, match=f"must be a folder; got {told}"):
            image_folder(path, queries=0, seed=0)
    monkeypatch.chdir(cats)
    with pytest.raises(ValueError, match=f"nothing of that name: {cats}/none"):
        image_folder("none", queries=0, seed=0)
    with pytest.raises(ValueError, match=r"For images give their folder"):
        open_items(str(cats / "cat" / "0.png"), queries=0, seed=0)
    for path in ("x" * 5000, "a\0b"):
        with pytest.raises(ValueError, match="a path that exists"):
            open_items(path, queries=0, seed=0)
        with pytest.raises(ValueError, match="nothing of that name"):
            image_folder(path, queries=0, seed=0)
        with pytest.raises(FileNotFoundError, match="does not exist"):
            arrays(path, queries=0, seed=0)
        with pytest.raises(FileNotFoundError, match="does not exist"):
            cifar10(path, protocol="59k", seed=0)
        with pytest.raises(FileNotFoundError, match=r"got no train.txt"):
            list_files(path)
    with pytest.raises(ValueError, match="a path that exists"):
        open_items("~nobody/pictures", queries=0, seed=0)
    monkeypatch.setenv("HOME", str(cats))
    for path in ("~", "~/", f"{cats}/"):
        assert image_folder(path, queries=0, seed=0).n == 3
        assert open_items(path, queries=0, seed=0).n == 3
    np.save(cats / "rows.npy", np.eye(3))
    assert open_items("~/rows.npy", queries=0, seed=0).n == 3


def test_a_folder_of_ten_thousand_files_is_listed(tmp_path, monkeypatch):
    monkeypatch.setattr("dhaps_core.data.images.FileImages.check", lambda _: ())
    first = tmp_path / "00000.png"
    first.write_bytes(b"x")
    for i in range(1, 10_000):
        os.link(first, tmp_path / f"{i:05}.png")
    items = image_folder(tmp_path, queries=10, seed=0)
    assert items.n == 10_000
    assert items.keys[-1] == "09999.png"
