"""JSON files are read within bounds, with their digest where they have one, or refused in one sentence."""

import json
import os

import pytest

from dhaps_core.files import make_folder, read_file
from dhaps_core.json_files import DamagedFileError, member, read_object, write_object


class OwnError(DamagedFileError):
    pass


def test_what_is_written_is_read_with_or_without_its_digest(tmp_path):
    path = tmp_path / "a.json"
    write_object(path, {"name": "é", 1: [None, 0.5]})
    content = {"name": "é", "1": [None, 0.5]}
    assert read_object(path, advice="", signed=True) == content
    stored = read_object(path, advice="")
    assert {*stored} == {*content, "sha256"}
    del stored["sha256"]  # as an older dhaps wrote it
    path.write_text(json.dumps(stored))
    assert read_object(path, advice="", signed=True) == content
    with pytest.raises(ValueError, match="JSON compliant"):
        write_object(path, {"a": float("nan")})


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "an empty file"),
        (b" \n", "an empty file"),
        (b"[1]", "a list"),
        (b'{"a": 1', "Expecting ',' delimiter"),
        (b"[" * 100_000, "recursion"),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a": NaN}', "NaN, which is no number"),
        (b'{"a": 1, "sha256": "0"}', 'remove its line "sha256"'),
    ],
)
def test_what_is_no_object_is_named_with_the_advice_of_the_caller(tmp_path, content, got):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(OwnError, match=rf"a\.json must hold one JSON object; got .*{got}.*\. Delete it\.$"):
        read_object(path, advice="Delete it.", error=OwnError, signed=True)


def test_what_is_no_file_is_not_opened_and_a_large_one_not_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is nothing"):
        read_object(tmp_path / "none.json", advice="")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("none.json")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    for name, got in (("", "a folder"), ("pipe", "a pipe"), ("large", "bytes, of 67108864 at most"),
                      ("nowhere", "No such file")):  # fmt: skip
        with pytest.raises(DamagedFileError, match=f"must hold one JSON object; got .*{got}"):
            read_object(tmp_path / name, advice="")
    (tmp_path / "seven").write_bytes(b"1234567")
    assert read_file(tmp_path / "seven", 7) == b"1234567"
    with pytest.raises(ValueError, match="7 bytes, of 6 at most"):
        read_file(tmp_path / "seven", 6)
    with pytest.raises(ValueError, match="where something else is"):
        make_folder(tmp_path / "seven")


def test_a_member_is_of_its_kind(tmp_path):
    path = tmp_path / "a.json"
    assert member({"a": 1}, "a", int, path=path, advice="") == 1
    for content in ({}, {"a": "1"}):
        with pytest.raises(DamagedFileError, match=r"must have a of type int; got .*\. Delete it\.$"):
            member(content, "a", int, path=path, advice="Delete it.")
