"""The entry point of `main.py`, `python -m animegan` and the installed command.

What must hold before the first slow import is set up here: Ctrl-C, and streams that last.
"""

import sys


def run() -> int:
    """Run the command line of this process and return its exit code; see `animegan.cli.app.main`.

    1 also if what was printed could not be written, as to a full disk.
    """
    try:
        from animegan.core.streams import lasting

        with lasting() as out:
            try:
                from animegan.cli.app import main

                code = main(sys.argv[1:])
            except KeyboardInterrupt:  # during the imports of `app` itself
                print("stopped", file=sys.stderr)
                code = 130
            out.flush()
            if out.lost is not None:
                print(f"stdout: cannot be written ({out.lost.strerror})", file=sys.stderr)
                code = code or 1
            return code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
