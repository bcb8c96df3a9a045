"""The text of a grid file: YAML, read within bounds, in which nothing stands twice or means another thing."""

import re
from pathlib import Path
from typing import Any

from dhaps_core.checks import shown
from dhaps_core.files import read_file
from dhaps_core.sweeps.packages import require

__all__ = ["KEYS", "GridError", "grid_error", "load_grid"]

KEYS = ("notebook", "every", "blocks", "threads", "timeout", "resources")
_LARGEST = 1 << 20  # bytes
_MOST_VALUES = 100_000  # in a grid file, with what its anchors stand for
_MOST_BITS = 4096  # of a number


class GridError(ValueError):
    """A grid that cannot run; the message lists every fault with the cell of the grid it is in."""


def load_grid(path: Path) -> tuple[str, dict[str, Any]]:
    """Text of a grid file, and the mapping that it holds; what that means is checked elsewhere.

    Raises:
        GridError: if it cannot be read, is no YAML, or asks for too much.
    """
    try:
        text = read_file(path, _LARGEST).decode("utf-8")
    except UnicodeDecodeError as error:
        raise grid_error(path, f"it must be text in UTF-8; {error}.") from error
    except (OSError, ValueError) as error:
        raise grid_error(path, f"the grid file must be readable, and short; got {error}.") from error
    require("yaml", "pyyaml")
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML in which a key that stands twice is an error, not the last one winning."""

        def get_single_node(self) -> Any:
            node = super().get_single_node()
            if node is not None and _size(node, {}) > _MOST_VALUES:
                rule = f"it must hold at most {_MOST_VALUES:,} values"
                raise grid_error(path, f"{rule}. Make several grids of it.")
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                line = f"in line {key.start_mark.line + 1}"
                if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                    rule = f"keys must be names; got {key.value!r:.80} {line}"
                    raise grid_error(path, f"{rule}. Write its parameters out, or put them under every.")
                name = self.construct_object(key, deep=True)
                if name in seen:
                    raise grid_error(
                        path, f"keys must be unique; got {name!r} twice, again {line}. Rename one."
                    )
                seen.add(name)
            return super().construct_mapping(node, deep)

        def construct_yaml_int(self, node: Any) -> int:
            whole = int(super().construct_yaml_int(node))
            line, digits = f"in line {node.start_mark.line + 1}", node.value.lstrip("+-")
            if ":" in digits or re.match(r"0[0-7_]", digits):
                rule = f"whole numbers must be written in tens; got {node.value}, which YAML reads as {whole}"
                raise grid_error(path, f"{rule}, {line}. Write it so, or quote it.")
            if whole.bit_length() > _MOST_BITS:  # Python reads any in sixteens, and writes none of them
                rule = f"whole numbers must have at most {_MOST_BITS} bits"
                raise grid_error(path, f"{rule}; got {shown(whole)} {line}. Quote it if it is a name.")
            return whole

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    try:
        content = yaml.load(text, Loader)  # noqa: S506  (it is a safe one)
    except GridError:
        raise
    except RecursionError as error:
        rule = "it must be nested less deeply. A list of values is one pair of brackets."
        raise grid_error(path, rule) from error
    except Exception as error:  # also what PyYAML lets through of a date that is none, or of a wrong tag
        raise grid_error(path, f"it must be YAML; {type(error).__name__}: {error}.") from error
    if not isinstance(content, dict):
        raise grid_error(path, f"it must be a mapping with {', '.join(KEYS)}; got {type(content).__name__}.")
    return text, content


def _size(node: Any, sizes: dict[int, int]) -> int:
    """Values below a YAML node with its anchors written out: a few lines of them can stand for billions.

    The sizes of nodes counted so far are kept by id; one that is being counted is more than enough.
    """
    if id(node) not in sizes:
        sizes[id(node)] = _MOST_VALUES + 1  # it holds itself, unless this is replaced before it is seen again
        parts = node.value if isinstance(node.value, list) else []
        flat = [part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in flat)
    return sizes[id(node)]


def grid_error(path: Path, *faults: str) -> GridError:
    """The error about a grid file, with every fault in a line of its own."""
    return GridError("\n- ".join([f"{path.name} must be a grid that can run; nothing was started.", *faults]))
