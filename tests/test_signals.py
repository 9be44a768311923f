import os
import signal
import subprocess
import sys

import pytest

from animegan.signals import Stop

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_only_asks(number):
    said = []
    with Stop(said.append) as stop:
        assert stop.asked == 0
        signal.raise_signal(number)
        assert stop.asked == number
    (line,) = said
    assert "saving" in line
    assert "once more" in line


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_the_handlers_of_before_come_back(error):
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with Stop(print) as stop:
            assert [signal.getsignal(number) for number in SIGNALS] == [stop._take] * 2
            if error:
                raise error
    except ZeroDivisionError:
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


SCRIPT = """
import signal, sys
sys.path.insert(0, {root!r})
from animegan.signals import Stop
with Stop(lambda text: print(text.strip(), flush=True)) as stop:
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
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    script = SCRIPT.format(root=root, first=first, second=second)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 128 + getattr(signal, second)
    assert f"saving {int(getattr(signal, first))}" in done.stdout
    assert "never" not in done.stdout


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError, RuntimeError])
def test_words_that_nobody_takes_do_not_end_the_training(error):
    # a Ctrl-C ends the `tee` that reads our words as well; a handler may also interrupt a print
    def say(text):
        raise error

    with Stop(say) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked == signal.SIGINT
