"""`python -m steadypath`: see `steadypath --help`."""

import sys

from steadypath.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
