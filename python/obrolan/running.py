"""A run of a bot: its connection, its threads, and the messages that are being handled."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from typing import TYPE_CHECKING, Literal

from obrolan.aio import AsyncClient
from obrolan.errors import Error, RateLimited
from obrolan.events import Closing, Connected, Gap, Lost, Message, NoMessages, Resumed
from obrolan.pool import Pool
from obrolan.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from obrolan.bot import Bot
    from obrolan.events import Event

__all__ = ["Running", "is_coroutine_function", "printable"]

logger = logging.getLogger("obrolan")


class Running:
    """What a bot has while it runs, on one event loop."""

    def __init__(self, bot: Bot, url: str) -> None:
        """Prepare to run the bot as the user of a URL."""
        self.loop = asyncio.get_running_loop()
        self._bot = bot
        messages: Literal["unconfirmed", "new"] = "unconfirmed" if bot.replay else "new"
        self.client = AsyncClient(url, messages=messages, timeout=None, wait=False)
        self.turns = Turns(self.client, self._handle, bot.concurrency)
        self._pool = Pool()
        self._stop = asyncio.Event()
        #: Set when messages come in.
        self.ready = asyncio.Event()
        self._user = ""
        self._tellings: set[asyncio.Task[None]] = set()
        self._told = asyncio.Lock()

    async def serve(self) -> None:
        """Run until it is stopped. Raises AuthError if the server refuses the login, and what a handler lets out to end the program."""
        await self.client.open()
        pump = self.loop.create_task(self._pump())
        stop = self.loop.create_task(self._stop.wait())
        try:
            fatal = self.turns.fatal
            await asyncio.wait((pump, stop, fatal), return_when=asyncio.FIRST_COMPLETED)
            if fatal.done():
                raise fatal.result()
            if pump.done():
                pump.result()
        finally:
            stop.cancel()
            pump.cancel()
            try:
                await self.turns.drain(self._bot.drain)
            finally:
                self._pool.close()
                await self.client.close()
                for task in self._tellings:
                    task.cancel()

    def stop(self) -> None:
        """Have it stop: handlers that are at work have time to finish."""
        self._stop.set()

    async def _pump(self) -> None:
        whoami = self.loop.create_task(self._who_am_i())
        try:
            async for event in self.client:
                if not isinstance(event, Message):
                    self._tell(event)
                    continue
                await whoami
                if event.sender == self._user:
                    self.turns.ledger.begin(event.id)()
                else:
                    await self.turns.take(event)
        finally:
            whoami.cancel()
            # If it failed, the client has ended, which says why.
            await asyncio.gather(whoami, return_exceptions=True)

    async def _who_am_i(self) -> None:
        while not self._user:
            try:
                self._user = (await self.client.whoami()).user
            except Error as error:  # noqa: PERF203  (it waits for the network)
                if self.client._living().ended is not None:
                    raise
                logger.warning("it could not ask who it is: %s; trying again", printable(str(error)))
                await asyncio.sleep(error.retry_after if isinstance(error, RateLimited) else 1)
        # Messages were asked for before this was.
        self.ready.set()

    def _tell(self, event: Event) -> None:
        match event:
            case Lost(why, None):
                logger.warning("%s; trying again until it is back", printable(why))
            case Lost(why):
                logger.warning("%s; waiting so long", printable(why))
            case Connected():
                logger.info("connected")
            case Resumed():
                logger.info("connected again")
            case Gap(count):
                logger.warning("%d messages were lost because the mailbox was full", count)
            case NoMessages(why):
                logger.error("the server sends no messages: %s", printable(why))
            case Closing():
                logger.info("the server stops")
        handlers = self._bot.event_handlers(event)
        if handlers:
            task = self.loop.create_task(self._tell_handlers(event, handlers))
            self._tellings.add(task)
            task.add_done_callback(self._tellings.discard)

    async def _tell_handlers(self, event: Event, handlers: list[Callable[..., object]]) -> None:
        # One event after the other, in their order.
        async with self._told:
            for handler in handlers:
                await self._tell_handler(handler, event)

    async def _tell_handler(self, handler: Callable[..., object], event: Event) -> None:
        try:
            await self._call(handler, event)
        except Exception:
            logger.exception("the handler of %s failed", type(event).__name__)

    async def _handle(self, message: Message) -> None:
        handler = self._bot.handler(message)
        if handler is None:
            return
        proceed: Callable[[Message], Awaitable[object]] = functools.partial(self._call, handler)
        for middleware in reversed(self._bot.middlewares):
            proceed = _around(middleware, proceed)
        try:
            await proceed(message)
        except asyncio.CancelledError as error:
            # Whoever ends the loop cancels all its tasks, this one perhaps before the one that stops the bot.
            await asyncio.sleep(0)
            if self.turns.stopping:
                raise
            failed = RuntimeError("the handler was cancelled, and not by the bot")
            failed.__cause__ = error
            await self._failed(message, failed)
        except Exception as error:  # noqa: BLE001  (it is handled, or logged)
            await self._failed(message, error)

    async def _failed(self, message: Message, error: Exception) -> None:
        handler = self._bot.error_handler
        if handler is None:
            logger.error("the handler of message %d failed", message.id, exc_info=error)
            return
        try:
            await self._call(handler, message, error)
        except Exception:
            logger.exception("the error handler failed for message %d", message.id)

    async def _call(self, handler: Callable[..., object], *args: object) -> None:
        if is_coroutine_function(handler):
            result = handler(*args)
        else:
            result = await asyncio.wrap_future(self._pool.submit(functools.partial(handler, *args)))
        if inspect.isawaitable(result):
            await result


def _around(
    middleware: Callable[..., Awaitable[object]], proceed: Callable[[Message], Awaitable[object]]
) -> Callable[[Message], Awaitable[object]]:
    return lambda message: middleware(message, proceed)


def is_coroutine_function(handler: Callable[..., object]) -> bool:
    """Whether a handler runs on the loop, and not in the pool."""
    # An object is called by a method of its class.
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def printable(text: str) -> str:
    """Escape what could change a terminal: a part of it may come from a server."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
