#!/bin/sh
# Makes the environment in .venv and then does one of two jobs; both may be run again at any time.
#   sh scripts/run.sh demo   draw simple faces, train on them, draw new ones (about 6 minutes)
#   sh scripts/run.sh test   style, types and all the tests
# PYTHON names another interpreter than python3. What follows the job is handed on to it.
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

# installed anew when what is to be installed has changed
want="$extras $(cat pyproject.toml constraints.txt | cksum)"
if [ "$(cat ".venv/.done-$job" 2>/dev/null)" != "$want" ]; then
    [ -d .venv ] || "$python" -m venv .venv
    # visdom 0.2.4 (Python 3.11) imports pkg_resources to build: no isolation, an older setuptools
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "setuptools<81" wheel
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
        --constraint constraints.txt --editable ".$extras"
    echo "$want" > ".venv/.done-$job"
fi

if [ "$job" = demo ]; then
    exec .venv/bin/python main.py demo "$@"
fi
.venv/bin/python -m ruff check .
.venv/bin/python -m ruff format --check .
.venv/bin/python -m mypy
.venv/bin/python -m pytest "$@"
