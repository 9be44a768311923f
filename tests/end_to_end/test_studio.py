"""The studio as it is used: the command, its page in a real browser, and the way out."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import MAIN, environment, run
from tests.support.recipes import save_netg

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address that `studio` prints; at the end, Ctrl-C stops it without a traceback."""
    words = [
        "studio",
        f"--netg-path={save_netg(tmp_path)}",
        "--nobrowser",
        "--nogpu",
        "--port=18098",
    ]
    process = subprocess.Popen(
        [sys.executable, str(MAIN), *words], cwd=tmp_path, env=environment(tmp_path),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        yield re.findall(r"http://127\.0\.0\.1:18098/\?token=\S+", line)[0]
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate(timeout=30)[1]
        assert process.returncode in (0, 130)
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open the page in")
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process")
def test_the_wall_is_drawn_in_a_browser(address: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
         "--disable-background-networking", f"--user-data-dir={tmp_path / 'browser'}",
         "--virtual-time-budget=20000", "--lang=zh-CN", address],
        capture_output=True, text=True, timeout=120, env=os.environ | {"LANGUAGE": "zh_CN"},
    )  # fmt: skip
    faces = re.findall(r'<img alt="[^"]+" src="face\?', done.stdout)
    assert len(faces) >= 12, done.stdout[-2000:] + done.stderr[-2000:]
    assert "netg_last.pth" in done.stdout


def test_what_it_cannot_open_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "studio", "--netg-path=none.pth", "--nobrowser", code=2)
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("--netg-path")
