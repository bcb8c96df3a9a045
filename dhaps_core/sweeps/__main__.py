"""``python -m dhaps_core.sweeps GRID.yaml``; see `dhaps_core.sweeps.sweep`."""

import sys

from dhaps_core.sweeps.sweep import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
