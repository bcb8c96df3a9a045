"""What all cards share: their module and style, one file each, put together as they are loaded."""

from pathlib import Path

__all__ = ["script", "style"]

HERE = Path(__file__).parent


def script(name: str) -> str:
    """JavaScript module of a card: the shared functions, then the card's own file."""
    return _read("card.js") + _read(f"{name}.js")


def style(name: str) -> str:
    """Style sheet of a card: the shared rules, then the card's own."""
    return _read("card.css") + _read(f"{name}.css")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
