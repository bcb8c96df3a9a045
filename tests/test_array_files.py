"""Array files of strangers: sizes first, one sentence for whatever is wrong, nothing executed."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from dhaps_core.array_files import read_array, read_arrays, write_array
from dhaps_core.data.sources import arrays
from dhaps_core.json_files import DamagedFileError


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(text):
    """An .npy file of this header and no values."""
    data = text.encode().ljust(118)
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data


def npz(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(["é", "cat"]),
        np.array(True),
        np.zeros((0, 3), np.float16),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    ],
)
def test_arrays_are_read_as_numpy_reads_them(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", a=array)
    np.savez_compressed(tmp_path / "b.npz", a=array)
    for read in (
        read_arrays(tmp_path / "a.npy")[""],
        read_arrays(tmp_path / "a.npz")["a"],
        read_arrays(tmp_path / "b.npz")["a"],
    ):
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_a_digest_behind_the_numbers_is_checked_and_may_be_absent(tmp_path):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "a.npy"
    write_array(path, rows)
    whole = path.read_bytes()
    np.testing.assert_array_equal(read_arrays(path)[""], rows)
    np.testing.assert_array_equal(np.load(path), rows)
    for place in (-70, -40, -33, -32, -1):  # in the header, the numbers and the digest
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place:][1:])
        with pytest.raises(ValueError, match=r"a\.npy must be an \.npy or \.npz file"):
            read_arrays(path)
    path.write_bytes(whole[:-32])
    np.testing.assert_array_equal(read_arrays(path)[""], rows)


def test_an_array_is_of_the_type_and_the_shape_that_are_asked_for(tmp_path):
    path, rows = tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(2, 3)
    write_array(path, rows)
    for shape in ((2, 3), (2, -1), (-1, -1)):
        read = read_array(path, dtype=np.float32, shape=shape, advice="")
        np.testing.assert_array_equal(read, rows)
        read[0, 0] = 1  # of its own
    for dtype, shape, told in (
        (np.float64, (2, 3), r"float64 \[2 3\]; got float32 \[2 3\]"),
        (np.float32, (3, 2), r"float32 \[3 2\]; got float32 \[2 3\]"),
        (np.float32, (6,), r"float32 \[6\]; got float32 \[2 3\]"),
        (np.float32, (-1, 2), r"float32 \[n 2\]; got float32 \[2 3\]"),
    ):
        with pytest.raises(DamagedFileError, match=rf"a\.npy must hold {told}\. Delete it\.$"):
            read_array(path, dtype=dtype, shape=shape, advice="Delete it.")
    path.write_bytes(path.read_bytes() + bytes(1 << 21))
    with pytest.raises(DamagedFileError, match="2097336 bytes, of 1048600 at most"):
        read_array(path, dtype=np.float32, shape=(2, 3), advice="")
    with pytest.raises(FileNotFoundError):
        read_array(tmp_path / "none.npy", dtype=np.float32, shape=(2, 3), advice="")


def test_a_bound_holds_for_the_file_and_for_what_it_unpacks_to(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10_000))
    assert read_arrays(tmp_path / "a.npz", most=81_000)["a"].shape == (10_000,)
    for most, told in ((79_000, "that unpack to 80128, of 79000 at most"), (100, "bytes, of 100 at most")):
        with pytest.raises(DamagedFileError, match=told):
            read_arrays(tmp_path / "a.npz", most=most)


BAD = {
    "no array": b"no",
    "empty": b"",
    "rows that are not there": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4)}"
    ),
    "no rows of a size": header("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,)}"),
    "negative rows": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}"),
    "rows of text": header("{'descr': '<f4', 'fortran_order': False, 'shape': ('4',)}"),
    "deep header": header("[" * 110),
    "code in the header": header("__import__('os').system('echo owned')"),
    "fields": header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (0,)}"),
    "objects": npy(np.array([{}]), allow_pickle=True),
    "dates": npy(np.array(["2020-01-01"], "M8[D]")),
    "complex": npy(np.array([1j])),
    "cut": npy(np.eye(4))[:-1],
    "too long": npy(np.eye(4)) + b"x",
    "a header longer than the file": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "no Unicode": npy(np.array(["a"]))[:-4] + b"\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_array_is_refused_with_the_name_of_its_file(tmp_path, case):
    (tmp_path / "bad.npy").write_bytes(BAD[case])
    npz(tmp_path / "bad.npz", [("X.npy", BAD[case])])
    for name in ("bad.npy", "bad.npz"):
        with pytest.raises(ValueError, match=f"{name} must be an .npy or .npz file of numbers or text"):
            arrays(tmp_path / name, queries=0, seed=0)


def test_bad_archives_are_refused_with_the_name_of_their_file(tmp_path):
    whole = npz(tmp_path / "whole.npz", [("X.npy", npy(np.eye(40)))], zipfile.ZIP_STORED).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    (tmp_path / "locked.npz").write_bytes(whole.replace(b"\x14\x00\x00\x00", b"\x14\x00\x01\x00"))
    with pytest.warns(UserWarning, match="Duplicate"):
        npz(tmp_path / "twice.npz", [("X.npy", npy(np.eye(4))), ("X.npy", npy(np.eye(4)))])
    npz(tmp_path / "lzma.npz", [("X.npy", npy(np.eye(4)))], zipfile.ZIP_LZMA)
    npz(tmp_path / "many.npz", [(f"{i}.npy", b"") for i in range(101)])
    (tmp_path / "folder.npz").mkdir()
    for name in ("cut", "flipped", "locked", "twice", "lzma", "many", "folder"):
        with pytest.raises(ValueError, match=f"{name}.npz must be"):
            read_arrays(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError, match=r"none.npy does not exist"):
        read_arrays(tmp_path / "none.npy")


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    """300 kB that unpack to 300 MB, read with 200 MB to spare."""
    zeros = header("{'descr': '|u1', 'fortran_order': False, 'shape': (300, 1000000)}") + bytes(300_000_000)
    npz(tmp_path / "bomb.npz", [("X.npy", zeros)])
    code = (
        "import resource, sys\n"
        "from dhaps_core.array_files import read_arrays\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)\n"
        "try:\n    read_arrays(sys.argv[1])\n"
        "except ValueError as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.npz")], capture_output=True, text=True, check=True
    )
    assert "that unpack to 300000128, of 268435456 at most" in told.stdout
