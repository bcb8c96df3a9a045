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
    ((keys, distances),) = HammingIndex(codes, "abcd").within(codes[:1], 2)
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
    folder = tmp_path / "deep" / "in dex"
    HammingIndex(codes, odd).save(folder)
    loaded = HammingIndex.load(folder)
    assert (loaded.keys, loaded.bits, len(loaded)) == (tuple(odd), 13, 6)
    assert torch.equal(loaded.codes(odd), codes)
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["bit_order"] == "least significant first"
    raw = faiss.read_index_binary(str(folder / meta["codes"]))  # by faiss alone
    distances, _ = raw.search(pack(codes).numpy(), 6)
    np.testing.assert_array_equal(np.sort(brute(codes, codes)[0], axis=1), distances)


def test_keys_of_whole_numbers_are_text_and_are_saved(tmp_path):
    codes = draw(3, 12)
    for keys in (np.arange(3), [np.int64(0), np.uint8(1), 2], torch.arange(3), (str(i) for i in range(3))):
        index = HammingIndex(codes, keys)
        index.save(tmp_path)
        assert HammingIndex.load(tmp_path).keys == index.keys == ("0", "1", "2")
        assert index.search(codes[1:2], 1)[0] == HammingIndex.load(tmp_path).search(codes[1:2], 1)[0]
        assert torch.equal(index.codes([np.int64(1), "1"]), codes[[1, 1]])


@pytest.mark.parametrize(
    "keys", [[1.0, 2.0], [None, "a"], [True, False], [b"a", b"b"], [("a",), "b"], [7, "7"]]
)
def test_other_keys_are_refused_at_the_door(unchecked, keys):
    with pytest.raises(ValueError, match="keys must be"):
        HammingIndex(draw(2, 12), keys)


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


def saved(folder, **changes):
    """An index of which parts are replaced by other content that its meta.json vouches for."""
    HammingIndex(draw(5, 16), names(5)).save(folder)
    meta = json.loads((folder / "meta.json").read_text())
    for part, content in changes.items():
        if isinstance(content, bytes):
            meta[part] = f"{part}-{search._digest(content)}.{meta[part].rpartition('.')[2]}"
            (folder / meta[part]).write_bytes(content)
        else:
            meta[part] = content
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def test_files_of_a_stranger_are_read_by_size_and_kind(tmp_path):
    outside = tmp_path / "secret.json"
    outside.write_text('["secret"]')
    codes = faiss.serialize_index_binary(HammingIndex(draw(5, 16), names(5))._index).tobytes()
    claims = codes[:12] + (2**40).to_bytes(8, "little") + codes[20:]
    cases = [
        *(
            {"codes": content}
            for content in (b"", b"IBxF", codes[:-1], codes + b"x", claims, b"IBMp" + codes[4:])
        ),
        *({"keys": content} for content in (b"", b"{", b"{}", b"[1, 2, 3, 4, 5]", b"[null]", b"[" * 100_000)),
        {"keys": json.dumps(["a"] * 5).encode()},
        {"keys": json.dumps(names(4)).encode()},
        *({"keys": name} for name in ("../secret.json", str(outside), "secret.json", 7, None, ["keys"])),
        *({"bits": bits} for bits in (0, -16, 17, 8, 16.0, True, "16", None, 2**70)),
    ]
    for number, changes in enumerate(cases):
        with pytest.raises(ValueError, match=r"\w{3}") as error:
            HammingIndex.load(saved(tmp_path / str(number), **changes))
        assert "secret'" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="must be there; the index is incomplete"):
        HammingIndex.load(saved(tmp_path / "x", codes=f"codes-{'0' * 32}.faiss"))


def test_saving_again_replaces_the_whole(tmp_path):
    (tmp_path / "keys-mine.json").write_text("not the index's")
    HammingIndex(draw(5, 16), names(5)).save(tmp_path)
    HammingIndex(draw(7, 24, seed=1), names(7)).save(tmp_path)
    assert len(HammingIndex.load(tmp_path)) == 7
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == [
        "codes",
        "keys",
        "keys",
        "meta.json",
    ]


def test_a_crash_while_saving_leaves_the_old_index(tmp_path, monkeypatch):
    HammingIndex(draw(5, 16), names(5)).save(tmp_path)
    replacing = search.replacing

    def crash(path):
        if path.name == "meta.json":
            raise OSError("disk full")
        return replacing(path)

    monkeypatch.setattr(search, "replacing", crash)
    with pytest.raises(OSError, match="disk full"):
        HammingIndex(draw(7, 24), names(7)).save(tmp_path)
    assert len(HammingIndex.load(tmp_path)) == 5


def test_damaged_files_are_refused_and_can_be_replaced(tmp_path):
    index = HammingIndex(draw(5, 16), names(5))
    with pytest.raises(FileNotFoundError):
        HammingIndex.load(tmp_path)
    index.save(tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    for part in ("codes", "keys"):
        content = (tmp_path / meta[part]).read_bytes()
        (tmp_path / meta[part]).write_bytes(content[:-1])
        with pytest.raises(ValueError, match="it is damaged"):
            HammingIndex.load(tmp_path)
        (tmp_path / meta[part]).write_bytes(content)
    for text, told in [
        ("{", "must describe an index"),
        ("[]", "must describe"),
        ('{"version": 1}', "must describe"),
    ]:
        (tmp_path / "meta.json").write_text(text)
        with pytest.raises(ValueError, match=told):
            HammingIndex.load(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps({**meta, "version": 2}))
    with pytest.raises(ValueError, match="must be of version 1; got 2"):
        HammingIndex.load(tmp_path)
    index.save(tmp_path)
    assert HammingIndex.load(tmp_path).keys == index.keys


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
