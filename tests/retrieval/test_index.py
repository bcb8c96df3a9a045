import errno
import json

import faiss
import numpy as np
import pytest
import torch

from dhaps_core.codes import pack
from dhaps_core.retrieval import index as search
from dhaps_core.retrieval.index import HammingIndex


def draw(n, bits, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (n, bits), generator=generator, dtype=torch.int8) * 2 - 1


def names(n):
    return [f"{i}.jpg" for i in range(n)]


def brute(queries, codes):
    """Distances [q n] and, for each query, all positions by distance, then position."""
    distances = (queries[:, None, :] != codes[None, :, :]).sum(2).numpy()
    return distances, np.argsort(distances, axis=1, kind="stable")


@pytest.mark.parametrize("bits", [1, 7, 8, 12, 24, 31, 32, 48, 64, 100, 256])
def test_search_and_within_are_brute_force(bits):
    codes, queries, n = draw(203, bits), draw(9, bits, seed=1), 203
    codes[50:60] = codes[3]
    queries[0] = codes[3]
    index = HammingIndex(codes, names(n))
    distances, order = brute(queries, codes)
    for k in (1, 5, 100, n - 1, n):
        keys, found = index.search(queries.float(), k)
        np.testing.assert_array_equal(found, np.take_along_axis(distances, order[:, :k], 1))
        assert keys == [[f"{i}.jpg" for i in row[:k]] for row in order]
    for radius in (0, 1, bits // 2, bits, bits + 100):
        for q, (keys, found) in enumerate(index.within(queries, radius)):
            hits = [i for i in order[q] if distances[q, i] <= radius]
            assert keys == [f"{i}.jpg" for i in hits]
            assert found.tolist() == distances[q, hits].tolist()


def test_within_includes_the_radius():
    codes = torch.tensor([[1, 1, 1, 1], [1, 1, 1, -1], [1, 1, -1, -1], [1, -1, -1, -1]], dtype=torch.int8)
    ((keys, distances),) = HammingIndex(codes, list("abcd")).within(codes[:1], 2)
    assert (keys, distances.tolist()) == (["a", "b", "c"], [0, 1, 2])


def test_bits_are_packed_least_significant_first():
    code = torch.tensor([[-1, -1, -1, -1, 1, 1, 1, 1]], dtype=torch.int8)
    assert pack(code).tolist() == [[0xF0]]
    index = HammingIndex(np.array([[0xF0]], dtype=np.uint8), ["a"], bits=8)
    assert index.search(code, 1)[1].tolist() == [[0]]
    assert index.codes(["a"]).tolist() == code.tolist()


def test_all_forms_of_codes_are_one(monkeypatch):
    codes = draw(40, 12)
    forms = [
        codes,
        codes.float(),
        codes.numpy(),
        codes.numpy().astype(np.float64),
        pack(codes),
        pack(codes).numpy(),
    ]
    expected = HammingIndex(codes, names(40)).search(codes, 7)
    for form in forms:
        index = HammingIndex(form, names(40), bits=12)
        for query in forms:
            keys, distances = index.search(query, 7)
            assert keys == expected[0]
            np.testing.assert_array_equal(distances, expected[1])
    frozen = codes.numpy()
    frozen.setflags(write=False)
    HammingIndex(frozen, names(40))


def test_collapsed_codes_come_in_the_order_of_the_index(monkeypatch):
    monkeypatch.setattr(search, "_BLOCK_VALUES", 500)  # several blocks
    codes = torch.ones(300, 16)
    keys, distances = HammingIndex(codes, names(300)).search(codes[:20], 4)
    assert keys == [names(4)] * 20
    assert not distances.any()


def test_an_item_can_be_a_query_and_no_query_is_fine():
    codes = draw(30, 33)
    index = HammingIndex(codes, names(30))
    assert torch.equal(index.codes(["7.jpg", "0.jpg"]), codes[[7, 0]])
    assert index.search(index.codes(["7.jpg"]), 1)[0] == [["7.jpg"]]
    keys, distances = index.search(codes[:0], 3)
    assert (keys, distances.shape) == ([], (0, 3))
    assert index.within(codes[:0], 3) == []
    with pytest.raises(KeyError, match="got 'x'"):
        index.codes(["x"])


def test_save_and_load_keep_everything(tmp_path):
    odd = ["café 图像 (1) #2 %20.jpg", "a/b\\c", "\udcff", "\n\"'", " ", "7"]
    codes = draw(6, 13)
    path = tmp_path / "deep" / "in dex.npz"
    HammingIndex(codes, odd).save(path)
    loaded = HammingIndex.load(path)
    assert (loaded.keys, loaded.bits, len(loaded)) == (tuple(odd), 13, 6)
    assert torch.equal(loaded.codes(odd), codes)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_saved_index_opens_with_numpy_and_faiss_alone(tmp_path):
    codes = draw(6, 13)
    HammingIndex(codes, names(6)).save(tmp_path / "index.npz")
    file = np.load(tmp_path / "index.npz")
    index = faiss.IndexBinaryFlat(8 * file["codes"].shape[1])
    index.add(file["codes"])
    assert json.loads(file["keys"].tobytes()) == names(6)
    assert file["bits"] == 13
    distances, _ = index.search(pack(codes).numpy(), 6)
    np.testing.assert_array_equal(np.sort(brute(codes, codes)[0], axis=1), distances)


def test_keys_of_whole_numbers_are_text_and_are_saved(tmp_path):
    codes = draw(3, 12)
    for keys in (np.arange(3), [np.int64(0), np.uint8(1), 2], torch.arange(3), (str(i) for i in range(3))):
        index = HammingIndex(codes, keys)
        index.save(tmp_path / "index.npz")
        loaded = HammingIndex.load(tmp_path / "index.npz")
        assert loaded.keys == index.keys == ("0", "1", "2")
        assert index.search(codes[1:2], 1)[0] == loaded.search(codes[1:2], 1)[0]
        assert torch.equal(index.codes([np.int64(1), "1"]), codes[[1, 1]])


@pytest.mark.parametrize(
    "keys", [[1.0, 2.0], [None, "a"], [True, False], [b"a", b"b"], [("a",), "b"], [7, "7"], "ab", {"a", "b"}]
)
def test_other_keys_are_refused_at_the_door(unchecked, keys):
    with pytest.raises(ValueError, match="keys must be"):
        HammingIndex(draw(2, 12), keys)


@pytest.mark.parametrize("keys", ["ab", {"a", "b"}])
def test_codes_are_of_keys_in_an_order(unchecked, keys):
    with pytest.raises(ValueError, match="keys must be a list"):
        HammingIndex(draw(2, 12), ["a", "b"]).codes(keys)


def test_queries_k_and_radius_are_checked(unchecked):
    codes = draw(5, 12)
    index = HammingIndex(codes, names(5))
    broken = (codes.float() * float("nan"), codes.float() / 2, codes.to("meta"))
    for queries in (*broken, codes[0], codes[None], codes > 0):
        with pytest.raises(ValueError, match="codes must be -1"):
            index.search(queries, 1)
    for wrong in (2.0, True, float("nan"), "2", None):
        with pytest.raises(ValueError, match="k must be from 1"):
            index.search(codes, wrong)
        with pytest.raises(ValueError, match="radius must be at least 0 bits, a whole number"):
            index.within(codes, wrong)
        if wrong is not None:
            with pytest.raises(ValueError, match="bits must be a whole number"):
                HammingIndex(pack(codes), names(5), bits=wrong)
    assert index.search(codes.numpy()[::-1, ::-1][:, ::-1], np.int64(1))[1].tolist() == [[0]] * 5
    assert index.search(codes.tolist(), 1)[1].tolist() == [[0]] * 5


def saved(path, **changes):
    """An index of which arrays are replaced, or left out if None, in a file without damage."""
    HammingIndex(draw(5, 16), names(5)).save(path)
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def as_bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


def test_files_of_a_stranger_are_read_by_size_and_kind(tmp_path):
    codes = pack(draw(5, 16)).numpy()
    cases = [
        *(
            {"codes": other}
            for other in (
                *(None, codes[:4], codes[:, :1], codes[0], codes[None], codes[:0], codes[:, :0], codes[0, 0]),
                *(codes.astype(np.int8), draw(5, 16).numpy(), np.array(["a"] * 5), codes.astype(np.float32)),
            )
        ),
        *(
            {"keys": other if other is None else as_bytes(other)}
            for other in (None, "", "{", "{}", "5", "[1, 2, 3, 4, 5]", "[null]", "[" * 100_000)
        ),
        {"keys": as_bytes(json.dumps(["a"] * 5))},
        {"keys": as_bytes(json.dumps(names(4)))},
        {"keys": as_bytes(json.dumps(dict.fromkeys(names(5))))},
        {"keys": np.array(7)},
        {"bits": None},
        *({"bits": np.array(bits)} for bits in (0, -16, 17, 8, 16.0, True, "16", 2**62, [16, 16])),
    ]
    for number, changes in enumerate(cases):
        path = saved(tmp_path / f"{number}.npz", **changes)
        with pytest.raises(ValueError, match=rf"{path} must hold the codes, keys and bits of an index; got"):
            HammingIndex.load(path)
    for version, told in ((None, "None"), (np.array(3), "3"), (np.array(["2"]), r"\['2'\]")):
        with pytest.raises(ValueError, match=f"must be an index of version 2; got {told}. Save it again"):
            HammingIndex.load(saved(tmp_path / "x.npz", version=version))


def test_a_damaged_file_is_refused_or_gives_the_same_index(tmp_path):
    index = HammingIndex(draw(5, 16), names(5))
    with pytest.raises(FileNotFoundError, match=r"index\.npz does not exist"):
        HammingIndex.load(tmp_path / "index.npz")
    path = tmp_path / "index.npz"
    index.save(path)
    whole = path.read_bytes()
    told, places = 0, range(0, len(whole), 3)
    for place in places:
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            try:
                loaded = HammingIndex.load(path)
            except ValueError as error:
                told += 1
                assert str(error).startswith(f"{path} must be an")  # noqa: PT017 - or the same index
            else:
                assert torch.equal(loaded.codes(loaded.keys), index.codes(index.keys))
                assert (loaded.keys, loaded.bits) == (index.keys, index.bits)
    assert told > 1.5 * len(places)
    index.save(path)
    assert HammingIndex.load(path).keys == index.keys


def test_saving_again_replaces_the_whole(tmp_path):
    (tmp_path / "mine.npz").write_text("not the index's")
    HammingIndex(draw(5, 16), names(5)).save(tmp_path / "index.npz")
    HammingIndex(draw(7, 24, seed=1), names(7)).save(tmp_path / "index.npz")
    assert len(HammingIndex.load(tmp_path / "index.npz")) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.npz", "mine.npz"]


def test_a_crash_while_saving_leaves_the_old_index(tmp_path, monkeypatch):
    path = tmp_path / "index.npz"
    HammingIndex(draw(5, 16), names(5)).save(path)

    def crash(file, **_):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(search.np, "savez", crash)
    with pytest.raises(OSError, match="disk full"):
        HammingIndex(draw(7, 24), names(7)).save(path)
    assert len(HammingIndex.load(path)) == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.npz"]


def test_a_folder_of_an_older_index_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "meta.json").write_text('{"version": 1}')
    with pytest.raises(ValueError, match=r"must be a file; got a folder, .* Export the run again"):
        HammingIndex.load(tmp_path)


def test_what_does_not_belong_together_is_refused():
    codes = draw(5, 12)
    index = HammingIndex(codes, names(5))
    for k in (0, 6):
        with pytest.raises(ValueError, match=f"k must be from 1 to the 5 items of the index; got {k}"):
            index.search(codes, k)
    with pytest.raises(ValueError, match="radius must be at least 0"):
        index.within(codes, -1)
    for bits in (11, 13, 24):
        with pytest.raises(ValueError, match=f"12 bits of the index; got {bits}"):
            index.search(draw(1, bits), 1)
    with pytest.raises(ValueError, match="bytes"):
        index.search(pack(draw(1, 24)), 1)
    with pytest.raises(ValueError, match="bits past 12 must be 0"):
        index.search(pack(draw(9, 16)), 1)
    with pytest.raises(ValueError, match="-1"):
        index.search(torch.zeros(1, 12), 1)
    with pytest.raises(ValueError, match="equally many"):
        HammingIndex(codes, names(4))
    with pytest.raises(ValueError, match="equally many"):
        HammingIndex(codes[:0], [])
    with pytest.raises(ValueError, match="distinct"):
        HammingIndex(codes, ["a"] * 5)
    with pytest.raises(ValueError, match="bits must be given"):
        HammingIndex(pack(codes), names(5))
