"""Threads for handlers that are plain functions."""

from __future__ import annotations

import contextvars
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pool"]

T = TypeVar("T")


class Pool:
    """Threads, begun when none is free, so that one that waits keeps nobody else from going on. It is the caller who bounds the work.

    The program does not wait for them when it ends, as it does for those of ``concurrent.futures``: a handler that hangs does not keep a
    bot from being stopped.
    """

    def __init__(self) -> None:
        """Begin with no thread."""
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = 0
        self._free = threading.Semaphore(0)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have a thread do something, in the caller's context. To be called on one thread alone."""
        future: Future[T] = Future()
        context = contextvars.copy_context()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = context.run(work)
            except StopIteration as error:
                # A future of asyncio takes none, and whoever waits for it would do so for ever. A coroutine does the same.
                raised = RuntimeError("the function raised StopIteration")
                raised.__cause__ = error
                future.set_exception(raised)
            except BaseException as error:  # noqa: BLE001  (it is raised where the future is waited for)
                future.set_exception(error)
            else:
                future.set_result(result)

        self._work.put(do)
        if not self._free.acquire(blocking=False):
            self._threads += 1
            threading.Thread(target=self._serve, name=f"obrolan-bot-{self._threads}", daemon=True).start()
        return future

    def close(self) -> None:
        """Let the threads end when they are done."""
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self) -> None:
        while (do := self._work.get()) is not None:
            do()
            del do
            self._free.release()
