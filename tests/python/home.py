"""Servers and bots for the tests of clients and bots."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import obrolan

if TYPE_CHECKING:
    from typing_extensions import Self

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OBROLAN_")}


@contextmanager
def free_port() -> Iterator[int]:
    """Yield a port that nobody listens on, and that the system gives to nobody else meanwhile."""
    with socket.socket() as bound:
        # What is bound and does not listen refuses connections, and a server that says the same may listen there.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def url_of(server: str, user: str) -> str:
    """Return the URL of a user on a server."""
    return server.replace("obrolan://", f"obrolan://{user}:rahasia-{user}@")


def account(server: str, user: str) -> str:
    """Make an account, and return its URL."""
    url = url_of(server, user)
    obrolan.register(url)
    return url


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def new_bot(*, replay: bool = False, concurrency: int = 64, drain: float = 10) -> obrolan.Bot:
    """Return a bot that has no server yet."""
    return obrolan.Bot("obrolan://robot@localhost", replay=replay, concurrency=concurrency, drain=drain)


def waits_for_an_answer(bot: obrolan.Bot) -> bool:
    """Return whether a handler of a bot waits for the answer to a question."""
    assert bot._running is not None
    return any(turn.is_resting for turn in list(bot._running.turns._working))


class Home:
    """An ``obrolan serve`` of its own process, which can be killed and comes back with what it has stored, at the same port."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self._folder = folder
        self._reserved = ExitStack()
        self._port = self._reserved.enter_context(free_port())
        self.server = f"obrolan://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        ready = self._folder / "ready"
        ready.unlink(missing_ok=True)
        process = self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "obrolan", "serve", "--log", "off"),
                *("--listen", f"127.0.0.1:{self._port}"),
                *("--data", str(self._folder / "data"), "--ready-file", str(ready)),
            ],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        )

        def is_ready() -> bool:
            assert process.poll() is None
            return ready.exists()

        until(is_ready)

    def kill(self) -> None:
        """End it without a warning."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=30)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill it."""
        self.kill()
        self._reserved.close()
