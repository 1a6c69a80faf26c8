"""What is under way, for coroutines and for plain functions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from obrolan.errors import ApiMisuse

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

__all__ = ["Pending"]

T = TypeVar("T")

logger = logging.getLogger("obrolan")


class Pending(Generic[T]):
    """Something that a bot does, begun already: ``await`` it in a coroutine of the bot's loop, or call :meth:`result` in another thread.

    Who does neither lets it be done; if it fails, the log has it.
    """

    __slots__ = ("_future", "_waited")

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, T]) -> None:
        """Begin the work."""
        self._waited = False
        self._future: asyncio.Task[T] | concurrent.futures.Future[T]
        if _running_loop() is loop:
            self._future = loop.create_task(work)
        else:
            self._future = asyncio.run_coroutine_threadsafe(work, loop)

    def __await__(self) -> Generator[object, None, T]:
        """Wait for it."""
        self._waited = True
        if isinstance(self._future, asyncio.Task):
            return self._future.__await__()
        return asyncio.wrap_future(self._future).__await__()

    def result(self, timeout: float | None = None) -> T:
        """Wait for it in a plain function.

        Raises what it raises, TimeoutError if it takes longer than so many seconds, ApiMisuse on the bot's own loop, which waiting would
        stop.
        """
        if isinstance(self._future, asyncio.Task):
            raise ApiMisuse("result() would stop the bot's event loop; await it there")
        self._waited = True
        return self._future.result(timeout)

    def __del__(self) -> None:
        """Nobody will ask for the result any more."""
        # A task tells the log by itself.
        if not self._waited and isinstance(self._future, concurrent.futures.Future):
            self._future.add_done_callback(_tell_log)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _tell_log(done: concurrent.futures.Future[T]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        logger.error("what a bot did failed, and nobody asked for its result", exc_info=error)
