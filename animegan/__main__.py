"""`python -m animegan`: the same as the command `animegan`."""

import sys

from animegan.cli.app import run

if __name__ == "__main__":
    sys.exit(run())
