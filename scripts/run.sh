#!/bin/sh
# Sets up the environment in .venv, then runs one of two jobs. Both can be run again at any time.
#   sh scripts/run.sh demo   draw simple faces, train on them, generate new ones
#                            (about 5 minutes with installation, 4 without)
#   sh scripts/run.sh test   linter, type checker and all the tests
# Set PYTHON to use an interpreter other than python3. Further arguments are passed on to the job.
set -eu
cd "$(dirname "$0")/.."

job=${1:-demo}
case "$job" in
    demo) extras="" ;;
    test) extras="[dev,eval,prepare,download]" ;;
    *) echo "$job: no such job; write demo or test" >&2; exit 2 ;;
esac
[ $# -eq 0 ] || shift

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python: Python 3.11 or newer is needed; set PYTHON to one" >&2
    exit 2
fi

# reinstall if the requirements have changed
want="$extras $(cat pyproject.toml scripts/constraints.txt | cksum)"
if [ "$(cat ".venv/.done-$job" 2>/dev/null)" != "$want" ]; then
    [ -d .venv ] || "$python" -m venv .venv
    # visdom 0.2.4 (Python 3.11) imports pkg_resources at build time: no isolation, older setuptools
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "setuptools<81" wheel
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
        --constraint scripts/constraints.txt --editable ".$extras"
    echo "$want" > ".venv/.done-$job"
fi

if [ "$job" = demo ]; then
    exec .venv/bin/python main.py demo "$@"
fi
.venv/bin/python -m ruff check .
.venv/bin/python -m ruff format --check .
.venv/bin/python -m mypy
.venv/bin/python -m pytest "$@"
