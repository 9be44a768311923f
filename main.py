"""The commands of animegan: `python main.py train`, `generate`, ... live in animegan/cli/app.py."""

import sys

from animegan.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
