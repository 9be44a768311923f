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
from animegan.core.streams import lasting
from tqdm import tqdm

def say(text):
    print(text, file=sys.stderr, flush=True)

with lasting(), Stop() as stop, tqdm(total=2, mininterval=0) as bar:
    print("ready", flush=True)
    sys.stdin.read()  # the reader of stderr is gone by now
    signal.raise_signal(signal.SIGINT)
    for _ in range(2):
        bar.update()
        say("word")
    say("go on with ...")
    print("saved", flush=True)
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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_that_is_ignored_stays_ignored(name):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Stop() as stop:
            signal.raise_signal(number)
            assert not stop.asked
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_closed_terminal_hangs_up_twice_and_the_state_is_saved_all_the_same():
    with Stop() as stop:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert stop.asked == signal.SIGHUP


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
