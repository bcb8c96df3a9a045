"""A file is replaced as a whole or not at all."""

import errno
import subprocess
import sys

import pytest

from dhaps_core.files import at_home, remove_leftovers, replace_text, replacing
from dhaps_core.session.active import ActiveSession
from tests.given import TINY, tiny_items


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    replace_text(path, "old")

    def fill_the_disk():
        with replacing(path) as file:
            file.write(b"half of the ne")
            raise OSError(errno.ENOSPC, "disk full")

    with pytest.raises(OSError, match=r"disk full: '.*a\.json'"):
        fill_the_disk()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_killed_writer_leaves_the_old_file_and_what_it_leaves_can_be_removed(tmp_path):
    path = tmp_path / "a.json"
    replace_text(path, "old")
    code = (
        "import os, signal, sys; from dhaps_core.files import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_text() == "old"
    (tmp_path / "mine.new").write_text("a file of somebody's own")
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.json", "mine.new"]


def test_a_folder_in_the_place_of_the_file_is_named_and_left_alone(tmp_path):
    path = tmp_path / "a.json"
    path.mkdir()
    with pytest.raises(IsADirectoryError, match=r"there is a folder\. Move it away: '.*a\.json'$"):
        replace_text(path, "new")
    assert [*tmp_path.rglob("*")] == [path]


def test_no_error_tells_the_name_of_the_new_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*absent/a\.json'$"):
        replace_text(tmp_path / "absent" / "a.json", "new")

    def put_a_folder_there_meanwhile():
        with replacing(tmp_path / "a.json"):
            (tmp_path / "a.json").mkdir()

    with pytest.raises(IsADirectoryError, match=r"'.*a\.json'$"):
        put_a_folder_there_meanwhile()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.bin"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"  # the outer block ends last


@pytest.mark.parametrize("path", [None, 3, b"a", "", ["a"]], ids=repr)
def test_what_is_no_path_is_refused_in_words(unchecked, path):
    with pytest.raises(ValueError, match="a path must be text or a Path"):
        at_home(path)


def test_a_run_without_a_name_is_not_begun_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a path must be text"):
        ActiveSession("", tiny_items(), TINY)
    assert not list(tmp_path.iterdir())
