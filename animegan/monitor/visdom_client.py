"""Send curves, images and text to a visdom server from a background thread.

Complete windows are posted as JSON over HTTP (the format in visdom's README under "Customizing
plots"). visdom's own client is not used, since it has no timeouts, prints, and starts threads.
After an outage, missing windows are simply sent again.
"""

import http.client
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from animegan.core.program import command_line
from animegan.monitor.base import Monitor, NullMonitor
from animegan.monitor.panels import KNOWN_KEYS, Series, collect, panel_of
from animegan.monitor.visdom_connection import FAILURES, REFUSED, VisdomServer, describe
from animegan.monitor.visdom_windows import image_window, order, plot_window, text_window

logger = logging.getLogger(__name__)

Record = Mapping[str, float]

MAX_WAITING = 10_000  # queued steps; older ones are read back from history
PROBE_SECONDS = 2.0
CLOSE_SECONDS = 2.0


def connect(
    server: str,
    port: int,
    env: str,
    history: Callable[[], Iterable[Record]],
) -> Monitor:
    """Return a `VisdomMonitor`, or a `NullMonitor` (and a message) if no server answers.

    Takes at most about 2 s. See `VisdomMonitor` for the arguments. Raises UsageError if `server`
    is not an address.
    """
    fault = ["no answer"]
    where = VisdomServer(server, port, timeout=PROBE_SECONDS)

    def probe() -> None:
        fault[0] = _fault(where)

    thread = threading.Thread(target=probe, name="visdom-probe", daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)  # a DNS lookup may outlast the socket's timeout
    if not fault[0]:
        logger.info(f"visdom: losses and pictures at {where.page(_env_name(env))}")
        return VisdomMonitor(server, port, env, history=history)
    port_option = {} if where.port == 8097 else {"visdom_port": where.port}
    place = "" if where.is_here else f" on {where.host}"
    why = "" if fault[0] == REFUSED else f" ({fault[0]})"
    logger.info(
        f"no visdom at {where.url}{why}: losses and pictures are in the run's folder; "
        f"`{command_line('monitor', **port_option)}`{place} starts one"
    )
    return NullMonitor()


def _env_name(env: str) -> str:
    """Return the name that visdom's server gives an environment."""
    return env.replace("/", "_")


def _fault(server: VisdomServer) -> str:
    """Describe what is wrong with a server; empty if a visdom server answers."""
    try:
        envs = json.loads(server.post("env_state", {}))
    except FAILURES as failure:
        return describe(failure)
    except ValueError:
        envs = None
    return "" if isinstance(envs, list) else "the server there is not visdom"


class VisdomMonitor:
    """A `Monitor` that shows curves, image grids and text in an environment of a visdom server.

    Its methods only queue values; a background thread sends them.

    Args:
        server: host or URL.
        port: used unless the URL has one.
        env: visdom environment.
        history: returns the run's records so far, each with "step" and scalars by key; after an
            outage, curves are rebuilt from it.
        timeout: limit of each network operation, in seconds.
        interval: minimum pause between updates, in seconds.
        longest_pause: pauses double after each failure, up to this many seconds.
        share: maximum share of one CPU that the thread uses, 0 to 1.
    """

    def __init__(
        self,
        server: str = "http://127.0.0.1",
        port: int = 8097,
        env: str = "main",
        *,
        history: Callable[[], Iterable[Record]],
        timeout: float = 5.0,
        interval: float = 1.0,
        longest_pause: float = 30.0,
        share: float = 0.01,
    ) -> None:
        self._server = VisdomServer(server, port, timeout)
        self._env = _env_name(env)
        self._history = history
        self._interval, self._longest_pause, self._share = interval, longest_pause, share

        # queued by the trainer for the thread, guarded by the lock
        self._lock = threading.Lock()
        self._scalars: deque[tuple[int, dict[str, float]]] = deque()
        self._images: dict[str, tuple[int, Tensor]] = {}
        self._texts: dict[str, str] = {}
        self._overflowed = False
        self._news = threading.Event()
        self._closing = threading.Event()
        self._given_up = threading.Event()

        # owned by the thread: everything to show, and the windows still to be sent
        self._series: dict[str, Series] = {}
        self._keys = set(KNOWN_KEYS)
        self._sheets: dict[str, tuple[int, Tensor]] = {}
        self._notes: dict[str, str] = {}
        self._due: set[str] = set()
        self._witness = ""  # a window that exists on the server, unless it was restarted
        self._stale = True
        self._thread = threading.Thread(target=self._run, name="visdom", daemon=True)
        self._thread.start()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Monitor.scalars`; beyond MAX_WAITING queued steps, the oldest are dropped."""
        with self._lock:
            self._scalars.append((step, dict(values)))
            if len(self._scalars) > MAX_WAITING:
                self._scalars.popleft()
                self._overflowed = True
        self._news.set()

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        """See `Monitor.images`; replaces a queued grid of the same name."""
        sheet = (step, pixels.detach().cpu().clone())
        with self._lock:
            self._images[name] = sheet
        self._news.set()

    def text(self, name: str, content: str) -> None:
        """See `Monitor.text`."""
        with self._lock:
            self._texts[name] = content
        self._news.set()

    def close(self) -> None:
        """Send what is queued, for at most CLOSE_SECONDS."""
        self._closing.set()
        self._news.set()
        self._thread.join(CLOSE_SECONDS)
        self._given_up.set()
        self._server.abort()

    def _run(self) -> None:
        pause = self._interval
        away = closing = False
        while not closing:
            self._news.wait()
            self._news.clear()  # before reading the queue, so that no news is lost
            closing = self._closing.is_set()
            started = time.thread_time()
            self._take()
            try:
                self._deliver()
            except FAILURES as failure:
                if self._given_up.is_set():
                    return
                if not away and not self._closing.is_set():
                    logger.info(
                        f"visdom: lost {self._server.url} ({describe(failure)}); training "
                        "continues, and the plots will be completed once it is back"
                    )
                away = self._stale = True
                self._news.set()
                self._closing.wait(pause)
                pause = min(pause * 2, self._longest_pause)
            else:
                if away:
                    logger.info(f"visdom: {self._server.url} is back, plots are complete")
                away = False
                pause = self._interval
                self._closing.wait(max(pause, (time.thread_time() - started) / self._share))

    def _take(self) -> None:
        """Move queued values into the thread's own state."""
        with self._lock:
            scalars, self._scalars = self._scalars, deque()
            images, self._images = self._images, {}
            texts, self._texts = self._texts, {}
            overflowed, self._overflowed = self._overflowed, False
        keys = {key for _, values in scalars for key in values}
        if overflowed or keys - self._keys:  # a new key may have history: the run was resumed
            self._stale = True
        self._keys |= keys
        if self._stale:
            self._recall()
        for step, values in scalars:
            for key, value in values.items():
                self._series.setdefault(key, Series()).add(step, float(value))
        self._sheets |= images
        self._notes |= texts
        self._due |= {panel_of(key).name for key in keys} | images.keys() | texts.keys()

    def _recall(self) -> None:
        """Reload the series from history, keep newer points, and mark every window as due."""
        known, self._series = self._series, {}
        try:
            self._series = collect(self._history(), self._keys)
        except (OSError, ValueError) as failure:
            logger.info(f"visdom: cannot read the run's metrics ({failure}); plots have gaps")
        for key, old in known.items():
            series = self._series.setdefault(key, Series())
            for step, value in old.after(series.last_step):
                series.add(step, value)
        self._stale = False
        self._make_all_due()

    def _make_all_due(self) -> None:
        self._witness = ""
        self._due |= {panel_of(key).name for key in self._series}
        self._due |= self._sheets.keys() | self._notes.keys()

    def _deliver(self) -> None:
        """Send every window that is due. Raises one of FAILURES; unsent windows stay due."""
        if self._witness and self._due:
            place = {"win": self._witness, "eid": self._env}
            if self._server.post("win_exists", place) != "true":
                self._make_all_due()
        for name in sorted(self._due, key=order):
            if self._given_up.is_set():
                raise http.client.HTTPException("given up")
            self._server.post("events", {"win": name, "eid": self._env, **self._content(name)})
            self._due.discard(name)
            self._witness = name

    def _content(self, name: str) -> dict[str, object]:
        if name in self._notes:
            return text_window(name, self._notes[name])
        if name in self._sheets:
            return image_window(name, *self._sheets[name])
        return plot_window({k: s for k, s in self._series.items() if panel_of(k).name == name})
