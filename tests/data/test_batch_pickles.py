"""Pickles of strangers: values and byte arrays are read, everything that a pickle can do is refused."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhaps_core.data.batch_pickles import read_pickle

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
"""How Python 2 begins an array; the stack then holds it, unfilled."""
U1 = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"

FILL = b"I00\nU\x08aaaaaaaatb."


def python_2_batch(pixels, labels):
    """The bytes of an official batch: protocol 2 as cPickle of Python 2 wrote it."""
    raw = pixels.tobytes()
    array = RECONSTRUCT + b"(K\x01(K" + bytes([len(pixels)]) + b"M\x00\x0ct" + U1
    array += b"I00\nT" + len(raw).to_bytes(4, "little") + raw + b"tb"
    ids = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x01(U\x06labelsq\x02" + ids + b"U\x04data" + array + b"u."


def test_a_batch_of_python_2_is_read():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
    batch = read_pickle(python_2_batch(pixels, [9, 0, 3]))
    assert batch[b"labels"] == [9, 0, 3]
    np.testing.assert_array_equal(batch[b"data"], pixels)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.binary(), inner),
    max_leaves=20,
)


@given(plain, st.integers(0, 4))
def test_plain_values_are_read_as_python_reads_them(value, protocol):
    assert read_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i8"])
def test_arrays_are_read_as_numpy_reads_them(protocol, dtype):
    for array in (np.arange(6, dtype=dtype), np.asfortranarray(np.arange(6, dtype=dtype).reshape(2, 3))):
        read = read_pickle(pickle.dumps({"a": array}, protocol))["a"]
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


class Calls:
    def __init__(self, *what):
        self.what = what

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize(
    "value",
    [
        Calls(os.system, ("echo owned",)),
        Calls(eval, ("1",)),
        Calls(bytearray, (10**9,)),
        Calls(np.zeros, (10**9,)),
        Calls(np.empty, ((2**40,),)),
        Calls(np.dtype, ("O",)),
        Calls(np.dtype, ("u1", False, True), (3, "|", None, ("a",), {"a": (np.dtype("u1"), 10**9)}, 8, 1, 0)),
        np.array([{}]),
        np.array([1.0]),
        np.array(["a"]),
        np.array([(1,)], dtype=[("a", "u1")]),
        1.5,
        {1: 2},
        {(): 2},
        {1, 2},
        Ellipsis,
        slice(1, 2),
        len,
    ],
    ids=repr,
)
def test_everything_else_is_refused(value):
    for protocol in (2, 4):
        with pytest.raises(ValueError, match=r"it (asks|has|calls|sets)"):
            read_pickle(pickle.dumps(value, protocol))


def nested(levels):
    """A tuple of one tuple twice, nested: 2^levels of them, in a few bytes a level."""
    return b"(t" + b"q\x00h\x00\x86" * levels


BOMBS = {
    "a field 10^9 bytes past the end": b"cnumpy\ndtype\n(U\x02u1tR(K\x03U\x01|N(U\x01at}U\x01a"
    b"(cnumpy\ndtype\n(U\x02u1tRJ\x00\xca\x9a;tsK\x08K\x01K\x00tb.",
    "items set in an array": RECONSTRUCT + b"(K\x01(K\x08t" + U1 + b"I00\nU\x08aaaaaaaatbK\x00K\x01s.",
    "items set in a list": b"]K\x00K\x01s.",
    "items added to a dict": b"}K\x01a.",
    "a memo of 2 GB": b"Nr\xff\xff\xff\x7f0.",
    "a text of 2 GB": b"X\xff\xff\xff\x7fa.",
    "bytes of 2^63": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa.",
    "a byte array of 2^40": b"\x96\x00\x00\x00\x00\x00\x01\x00\x00.",
    "a number of 2 GB": b"\x8b\xff\xff\xff\x7fa.",
    "an array of 2^40 in 8 bytes": RECONSTRUCT + b"(K\x01(\x8a\x06\x00\x00\x00\x00\x00\x01t" + U1 + FILL,
    "an array of fewer bytes": RECONSTRUCT + b"(K\x01(K\x09t" + U1 + FILL,
    "an array of negative length": RECONSTRUCT + b"(K\x01(J\xff\xff\xff\xfft" + U1 + b"I00\nU\x00tb.",
    "a nested key": b"}" + nested(60) + b"Ns.",
    "a nested name": nested(60) + b"q\x01h\x01\x93.",
    "a nested type": b"cnumpy\ndtype\n" + nested(60) + b"\x85R.",
    "a nested order": b"cnumpy\ndtype\n(U\x02u1tR(K\x03" + nested(60) + b"tb.",
    "a call of a number": b"K\x01)R.",
    "no value": b".",
    "two values": b"NN.",
    "a mark left": b"(.",
    "no end": b"N",
    "a million steps": b"}" * 1_000_000 + b".",
    "an object of Python 2": b"(i__builtin__\nint\n.",
    "an extension": b"\x82\x01.",
    "a persistent name": b"Pabc\n.",
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_pickle_that_would_crash_hang_or_fill_the_memory_is_refused(case):
    with pytest.raises(ValueError, match=r"\w"):
        read_pickle(BOMBS[case])


def test_random_pickles_raise_nothing_but_valueerror_in_little_memory():
    """In a process of its own with 200 MB to spare, as a crash would take the tests with it."""
    code = (
        "import pickle, random, resource\nimport numpy as np\n"
        "from dhaps_core.data.batch_pickles import read_pickle\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)\n"
        "draw = random.Random(0)\n"
        "batch = {b'labels': [1, 2], b'data': np.zeros((2, 3), np.uint8)}\n"
        "seeds = [pickle.dumps(batch, protocol) for protocol in range(5)]\n"
        "for _ in range(20_000):\n"
        "    data = bytearray(draw.choice(seeds))\n"
        "    for _ in range(draw.choice([1, 2, 8])):\n"
        "        at = draw.randrange(len(data))\n"
        "        new = draw.choice([bytes([draw.randrange(256)]), b'\\xff' * 4])\n"
        "        data[at : at + draw.choice([0, 1, 4])] = new\n"
        "    try:\n        read_pickle(bytes(data))\n    except ValueError:\n        pass\n"
        "print('done')\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (told.stdout, told.returncode) == ("done\n", 0), told.stderr


def test_one_text_is_not_made_into_bytes_over_and_over():
    text = b"(V" + b"a" * 1000 + b"\np0\n"
    one = b"c_codecs\nencode\n(g0\nVlatin1\ntR"
    assert read_pickle(text + one + b"t.")[1] == b"a" * 1000
    with pytest.raises(ValueError, match="more bytes of its texts than it has"):
        read_pickle(text + one * 100 + b"t.")
