import logging
import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from animegan.core.signals import Stop, Terminated, terminable
from tests.support.said import heard

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_only_asks(number):
    said = heard()
    with Stop() as stop:
        assert stop.asked == 0
        signal.raise_signal(number)
        assert stop.asked == number
    (line,) = said
    assert "saving" in line
    assert "repeat to exit" in line


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_the_handlers_of_before_come_back(error):
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with Stop() as stop:
            assert [signal.getsignal(number) for number in SIGNALS] == [stop._take] * 2
            if error:
                raise error
    except ZeroDivisionError:
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


SCRIPT = """
import signal, sys
sys.path.insert(0, {root!r})
from animegan.core.signals import Stop
with Stop() as stop:
    signal.raise_signal(signal.{first})
    print("saving", stop.asked, flush=True)
    signal.raise_signal(signal.{second})
    print("never", flush=True)
print("never")
"""


@pytest.mark.parametrize(
    ("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGTERM"), ("SIGINT", "SIGTERM")]
)
def test_the_second_leaves_at_once(first, second):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script = SCRIPT.format(root=root, first=first, second=second)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 128 + getattr(signal, second)
    assert f"saving {int(getattr(signal, first))}" in done.stdout
    assert "never" not in done.stdout


PIPED = """
import signal, sys
sys.path.insert(0, {root!r})
from animegan.core.signals import Stop
from tqdm import tqdm

def say(text):
    print(text, file=sys.stderr, flush=True)

with Stop() as stop, tqdm(total=2, mininterval=0) as bar:
    print("ready", flush=True)
    sys.stdin.read()  # the reader of stderr is gone by now
    signal.raise_signal(signal.SIGINT)
    for _ in range(2):
        bar.update()
        say("word")
    print("saved", flush=True)
say("go on with ...")
sys.exit(128 + stop.asked)
"""


def test_a_reader_of_stderr_that_ctrl_c_ended_too_does_not_keep_us_from_saving():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with subprocess.Popen(
        [sys.executable, "-c", PIPED.format(root=root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        process.stderr.close()
        process.stdin.close()
        assert process.stdout.readline() == b"saved\n"
        assert process.wait() == 128 + signal.SIGINT


def test_stderr_comes_back():
    before = sys.stderr
    with Stop():
        assert sys.stderr is not before
        assert sys.stderr.isatty() == before.isatty()
    assert sys.stderr is before


def test_a_print_that_was_interrupted_does_not_end_the_training():
    class Interrupted(logging.Handler):
        def emit(self, record):
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

        def close(self):
            logging.getLogger("animegan").removeHandler(self)

    with closing(Interrupted()) as handler, Stop() as stop:
        logging.getLogger("animegan").addHandler(handler)
        signal.raise_signal(signal.SIGINT)
        assert stop.asked == signal.SIGINT


def test_sigterm_is_raised_within_terminable_and_nowhere_else():
    with pytest.raises(Terminated), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with terminable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
