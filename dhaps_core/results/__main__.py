"""``python -m dhaps_core.results FOLDER``; see `dhaps_core.results.report`."""

import sys

from dhaps_core.results.report import main

if __name__ == "__main__":
    main(sys.argv[1:])
