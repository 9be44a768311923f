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
    demo) extras="[monitor]" ;;
    test) extras="[dev,monitor,lite2,fid,download,cascade]" ;;
    *) echo "$job: no such job; write demo or test" >&2; exit 2 ;;
esac
[ $# -eq 0 ] || shift

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python: Python 3.11 or newer is needed; set PYTHON to one" >&2
    exit 2
fi

# install MESSAGE ARGUMENTS...: pip install, with a line per download instead of pip's own output
install() {
    echo "$1"
    shift
    rm -f .venv/failed  # a pipe has the status of its last command alone
    { PYTHONUNBUFFERED=1 .venv/bin/python -m pip install --disable-pip-version-check \
        --progress-bar off "$@" 2>.venv/errors || : >.venv/failed; } | sed -n \
        -e 's,^ *Downloading \([^ ]*/\)\{0\,1\}\([^ /]*\) \((.*)\)$,    \2 \3,p' \
        -e 's,^Collecting \([^ ]*\).*,    \1,p' \
        -e 's,^Installing collected packages: .*,    unpacking (a few minutes for torch),p' \
        -e 's,^Successfully installed .*,    done,p'
    if [ -e .venv/failed ]; then
        cat .venv/errors >&2
        return 1
    fi
}

# torch without CUDA is a tenth of the size; only on Linux with an Intel or AMD processor does the
# usual build bring CUDA along. Nothing is lost if the registry in use does not have the other one.
without_cuda() {
    [ "$(uname -sm)" = "Linux x86_64" ] || return 1
    ! command -v nvidia-smi >/dev/null && [ ! -e /dev/nvidia0 ] && [ ! -e /dev/dxg ] || return 1
    ! .venv/bin/python -c 'import torch' 2>/dev/null || return 1
    torch=$(sed -n 's/^torch==//p' scripts/constraints.txt)
    vision=$(sed -n 's/^torchvision==//p' scripts/constraints.txt)
    timeout 60 .venv/bin/python -m pip download --quiet --no-deps --disable-pip-version-check \
        --retries 0 --timeout 10 --dest .venv/cpu "torch==$torch+cpu" "torchvision==$vision+cpu" \
        >/dev/null 2>&1
}

# reinstall if the requirements have changed
want="$extras $(cat pyproject.toml scripts/constraints.txt | cksum)"
if [ "$(cat ".venv/.done-$job" 2>/dev/null)" != "$want" ]; then
    if [ ! -d .venv ]; then
        echo "1/4 creating the environment .venv"
        "$python" -m venv .venv
    fi
    # visdom 0.2.4 (Python 3.11) imports pkg_resources at build time: no isolation, older setuptools
    install "2/4 the tools that build packages" "setuptools<81" wheel
    if without_cuda; then
        install "3/4 torch for machines without an NVIDIA GPU" .venv/cpu/*.whl
    fi
    install "4/4 animegan and the packages it needs (up to 3 GB if torch comes with CUDA)" \
        --no-build-isolation --constraint scripts/constraints.txt --editable ".$extras"
    rm -rf .venv/cpu
    echo "$want" > ".venv/.done-$job"
fi

if [ "$job" = demo ]; then
    exec .venv/bin/python main.py demo "$@"
fi
echo "ruff"
.venv/bin/python -m ruff check .
.venv/bin/python -m ruff format --check .
echo "mypy"
.venv/bin/python -m mypy
echo "pytest"
# a worker per core, each with one thread: threads of several workers would wait for each other
OMP_NUM_THREADS=1 exec .venv/bin/python -m pytest -n auto "$@"
