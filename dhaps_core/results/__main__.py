"""``python -m dhaps_core.results FOLDER``: the rounds of every run below it, its plots and notebooks."""

import sys
from collections.abc import Sequence
from pathlib import Path

from dhaps_core.escaping import one_line
from dhaps_core.results.runs import find_rounds
from dhaps_core.results.tables import round_table


def main(arguments: Sequence[str]) -> None:
    """Print the table of a folder, and where its plots and notebooks are."""
    if len(arguments) != 1:
        sys.exit("usage: python -m dhaps_core.results FOLDER")
    folder = Path(arguments[0])
    try:
        sys.stdout.write(round_table(find_rounds(folder)) + "\n")
    except FileNotFoundError as error:
        sys.exit(str(error))
    for kind, pattern in (("plot", "*.png"), ("executed notebook", "*.ipynb")):
        for path in sorted(folder.glob(pattern)):
            sys.stdout.write(f"{kind}: {one_line(str(path))}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
