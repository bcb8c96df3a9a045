"""Changes of a valid example that a reader must survive: of its bytes, its lines, its JSON, its
pickle's steps."""

import json
import pickletools
import random
from typing import Any

__all__ = ["NASTY", "mutate_bytes", "mutate_json", "mutate_pickle", "mutate_text"]

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 1e308, -1e308, 1e-320, 0.5, "", " ",
    "0",
    "a", "\0", "\ud800", "../../x", "/etc/passwd", "~", "$HOME", "a" * 10_000, "猫", "NaN", "=1+1", "<b>",
    [], {}, [[]],
    [None], {"": None}, [1, "1"], {"a": {"a": {"a": {}}}}, [0] * 1000,
)  # fmt: skip
TOKENS = (
    b"", b"\0", b"\n", b"\r", b"\r\n", b",", b";", b"\t", b'"', b"'", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff",
    b"\x80",
    b"[", b"]", b"{", b"}", b"[" * 2000, b"{" * 2000, b"0", b"-1", b"1e999", b"9" * 400, b"9" * 5000, b"NaN",
    b"Infinity", b"null", b"true", b"../", b"/", b"~/", b"$HOME/", b"C:\\", b"a" * 5000, b"\xe7\x8c\xab",
    b"%s%n",
    b"&a [*a]", b"*a", b"<<: *a", b"!!python/object/apply:os.system [x]", b"!!binary aGk=", b"? ",
    b"- - - ", b"--- ",
    b"2020-02-30", b".inf", b"0x", b"1_0", b"!!timestamp x", b"&a [&b [*a, *b]]", b"=cmd|' /C calc'!A0",
)  # fmt: skip


def mutate_bytes(data: bytes, draws: random.Random) -> bytes:
    """One to three changes: bits, bytes, numbers of four bytes, pieces cut, doubled, moved or put in."""
    for _ in range(draws.choice((1, 1, 2, 3))):
        at, length = draws.randrange(len(data) + 1), draws.choice((1, 1, 2, 4, 16, 100))
        piece = data[at : at + length]
        match draws.randrange(9):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + draws.randbytes(length) + data[at:]
            case 2:
                data = data[:at] + draws.randbytes(len(piece)) + data[at + length :]
            case 3:
                data = data[:at] + piece * draws.choice((2, 2, 50)) + data[at + length :]
            case 4:
                data = data[:at] + data[at + length :]
            case 5:
                data = data[:at] + draws.choice(TOKENS) + data[at + draws.choice((0, length)) :]
            case 6:
                number = draws.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 100_000))
                data = data[:at] + number.to_bytes(4, draws.choice(("big", "little"))) + data[at + 4 :]
            case _:
                if piece:
                    data = data[:at] + bytes([piece[0] ^ 1 << draws.randrange(8)]) + data[at + 1 :]
    return data


def mutate_text(data: bytes, draws: random.Random) -> bytes:
    """As `mutate_bytes`, or a change of whole lines and words."""
    kind = draws.randrange(4)
    if kind == 0:
        return mutate_bytes(data, draws)
    mark = draws.choice((b"\n", b" ", b","))
    parts = data.split(mark)
    at, other = draws.randrange(len(parts)), draws.randrange(len(parts))
    if kind == 1:
        parts[at] = draws.choice(TOKENS)
    elif kind == 2:
        parts.insert(at, parts[other])
    else:
        parts[at], parts[other] = parts[other], parts[at]
    return mark.join(parts)


def mutate_json(data: bytes, draws: random.Random) -> bytes:
    """A value, a name or a list somewhere in a JSON file becomes another."""
    if draws.random() < 0.3:
        return mutate_text(data, draws)
    content = [json.loads(data)]
    node: Any = content
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = draws.choice(places)
        inside = node[place]
        if isinstance(inside, dict | list) and inside and draws.random() < 0.85:
            node = inside
            continue
        break
    match draws.randrange(5):
        case 0 if isinstance(node, dict):
            del node[place]
        case 0:
            node.pop(place) if node is not content else None
        case 1 if isinstance(node, dict):
            node[str(draws.choice(NASTY))[:50]] = node.pop(place)
        case 2 if isinstance(inside, list) and inside:
            inside.append(draws.choice(inside))
        case 3:
            node[place] = [inside] if draws.random() < 0.5 else {"a": inside}
        case _:
            node[place] = draws.choice(NASTY)
    return json.dumps(content[0]).encode()


def mutate_pickle(data: bytes, draws: random.Random) -> bytes:
    """Steps of a pickle are left out, doubled, moved or replaced; the rest stays a pickle."""
    if draws.random() < 0.3:
        return mutate_bytes(data, draws)
    places = [place for _, _, place in pickletools.genops(data)]
    steps = [data[a:b] for a, b in zip(places, [*places[1:], len(data)], strict=True)]
    for _ in range(draws.choice((1, 1, 2, 4))):
        at, other = draws.randrange(len(steps)), draws.randrange(len(steps))
        match draws.randrange(5):
            case 0:
                del steps[at]
            case 1:
                steps.insert(at, steps[other])
            case 2:
                steps[at], steps[other] = steps[other], steps[at]
            case 3:
                steps.insert(at, draws.choice(STEPS))
            case _:
                steps[at] = draws.choice(STEPS)
    return b"".join(steps)


STEPS = (
    b"0", b"2", b"(", b"t", b"l", b"d", b"}", b"]", b")", b"N", b"e", b"a", b"s", b"u", b"b", b"R", b"\x81",
    b"\x93",
    b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x88",
    b"G" + bytes(8),
    b"U\x02u1", b"U\x02O8", b"U\x0aV100000000", b"cos\nsystem\n", b"cbuiltins\neval\n", b"cnumpy\nload\n",
    b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n", b"ccodecs\nencode\n", b"c_codecs\nencode\n", b"C\x03abc",
    b"X\x02\0\0\0ab",
    b"\x8d\xff\xff\xff\xff\0\0\0\0", b"\x8e\0\0\0\x80\0\0\0\0", b"B\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f",
    b"\x8b\xff\xff\xff\x7f", b"q\xff", b"h\0", b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f", b"P1\n", b"Q",
    b"\x82\x01",
    b"I99999999999999999999\n", b"L" + b"9" * 5000 + b"L\n", b"F1e999\n", b"\x97", b"\x98",
    b"\x96\0\0\0\x40\0\0\0\0",
)  # fmt: skip
