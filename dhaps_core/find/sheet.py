"""A contact sheet: each query with what was found for it, as one PNG or as an HTML page of its own."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from dhaps_core.data.images import Images
from dhaps_core.escaping import one_line
from dhaps_core.files import at_home, replace_bytes
from dhaps_core.find.loaded import Hit, Loaded
from dhaps_core.find.pictures import SHOWN, small_pictures

__all__ = ["Found", "laid_out", "sheet_path", "write_sheet"]

_TILE, _LINE, _GAP = 112, 15, 8  # pixels
_COLUMNS = 10
_QUERY = "looked for"
_MOST = 89_000_000  # pixels of a PNG: what is more, other programs refuse


@dataclass(frozen=True)
class Found:
    """One query and what was found for it.

    Attributes:
        name: of the query.
        picture: JPEG of the query; empty where there is none.
        hits: what was found.
        pictures: JPEG of each of them.
    """

    name: str
    picture: bytes
    hits: Sequence[Hit]
    pictures: Sequence[bytes]

    def tiles(self) -> list[tuple[bytes, str, str]]:
        """Picture, name and what is told of it, the query first."""
        told = [(hit.key, _told(hit)) for hit in self.hits]
        return [
            (self.picture, self.name, _QUERY),
            *((picture, *lines) for picture, lines in zip(self.pictures, told, strict=True)),
        ]


def laid_out(
    loaded: Loaded, names: Sequence[str], images: Images, hits: Sequence[Sequence[Hit]]
) -> list[Found]:
    """Queries with what was found for each, and all their pictures."""
    pictures = loaded.pictures({hit.key for one in hits for hit in one})
    return [
        Found(name, picture, found, [pictures[hit.key] for hit in found])
        for name, picture, found in zip(names, small_pictures(images), hits, strict=True)
    ]


def sheet_path(path: str | Path) -> Path:
    """Where a sheet is to go, checked before anything is searched for it.

    Raises:
        ValueError: if the file is called neither .png nor .html, or its folder is not there.
    """
    path = at_home(path)
    if path.suffix.lower() not in _KINDS:
        raise ValueError(f"a sheet must be a .png or an .html file; got {path.name!r}. Rename it.")
    if not path.parent.is_dir():
        raise ValueError(f"a sheet must go into a folder that is there; got {str(path)!r}. Make the folder.")
    return path


def write_sheet(path: str | Path, found: Sequence[Found]) -> None:
    """Write a sheet, as PNG or HTML by the name of the file, in place of what was there.

    Raises:
        ValueError: if the path is none of a sheet, or the picture would be too large.
        OSError: if it cannot be written.
    """
    path = sheet_path(path)
    replace_bytes(path, _KINDS[path.suffix.lower()](found))


def _told(hit: Hit) -> str:
    bits = f"{hit.distance} bit{'s' * (hit.distance != 1)}"
    return bits if hit.score is None else f"{bits}, {hit.score:.2f}"


def _png(found: Sequence[Found]) -> bytes:
    lines = [
        tiles[start : start + _COLUMNS]
        for tiles in (one.tiles() for one in found)
        for start in range(0, len(tiles), _COLUMNS)
    ]
    high, wide = _TILE + 2 * _LINE + _GAP, _TILE + _GAP
    size = (_GAP + max(map(len, lines), default=0) * wide, _GAP + len(lines) * high)
    if size[0] * size[1] > _MOST:
        rule = f"a PNG must have at most {_MOST:,} pixels"
        raise ValueError(f"{rule}; got {size[0]} x {size[1]}. Ask for fewer, or write an .html.")
    sheet = Image.new("RGB", size, "white")
    for row, tiles in enumerate(lines):
        for column, tile in enumerate(tiles):
            _draw(sheet, _GAP + column * wide, _GAP + row * high, tile)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _draw(sheet: Image.Image, left: int, top: int, tile: tuple[bytes, str, str]) -> None:
    picture, *texts = tile
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    if picture:
        with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
            shown = ImageOps.contain(image.convert("RGB"), (SHOWN, SHOWN))  # tiny ones larger, as in HTML
        sheet.paste(shown, (left + (_TILE - shown.width) // 2, top + (_TILE - shown.height) // 2))
    edge = "black" if texts[1] == _QUERY else "#ccc"
    draw.rectangle([left, top, left + _TILE - 1, top + _TILE - 1], outline=edge)
    for i, text in enumerate(texts):
        line = _cut(one_line(text), lambda part: draw.textlength(part, font) <= _TILE)
        draw.text((left, top + _TILE + i * _LINE), line, fill="black", font=font)


def _cut(text: str, fits: Callable[[str], bool]) -> str:
    """Text as long as it fits; of a name the end tells more than the start."""
    text = text[-_TILE:]
    if fits(text):
        return text
    return next((f"...{text[i:]}" for i in range(len(text)) if fits(f"...{text[i:]}")), "")


def _html(found: Sequence[Found]) -> bytes:
    rows = "".join(f"<div>{''.join(_tile(*tile) for tile in one.tiles())}</div>" for one in found)
    style = (
        "body{font:12px sans-serif}div{display:flex;flex-wrap:wrap;gap:8px;margin-bottom:16px}"
        f"figure{{margin:0;width:{SHOWN + 16}px}}figure:first-child{{font-weight:bold}}"
        f"figcaption{{overflow-wrap:anywhere}}img{{width:{SHOWN}px;height:{SHOWN}px;object-fit:contain}}"
    )
    head = f'<meta charset="utf-8"><title>Found</title><style>{style}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{rows}</body></html>\n'
    return page.encode("utf-8", "replace")


def _tile(picture: bytes, name: str, told: str) -> str:
    source = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    shown = f'<img alt="" src="{source}">' if picture else ""
    return f"<figure>{shown}<figcaption>{escape(one_line(name))}<br>{escape(told)}</figcaption></figure>"


_KINDS: dict[str, Callable[[Sequence[Found]], bytes]] = {".png": _png, ".html": _html}
