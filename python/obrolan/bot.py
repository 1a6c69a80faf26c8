"""Bots: programs that answer messages."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, overload

from obrolan import _obrolan
from obrolan.errors import ApiMisuse, ConfigError, Error
from obrolan.events import Event, Message
from obrolan.pending import Pending
from obrolan.running import Running, is_coroutine_function, logger, printable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import FrameType, TracebackType

    from typing_extensions import Self

    from obrolan.aio import AsyncClient
    from obrolan.client import Progress

__all__ = ["Bot"]

T = TypeVar("T")
E = TypeVar("E", bound=Event)
Handler = TypeVar("Handler", bound=Callable[[Message], object])
EventHandler = TypeVar("EventHandler", bound=Callable[..., object])
ErrorHandler = TypeVar("ErrorHandler", bound=Callable[[Message, Exception], object])
Middleware = TypeVar(
    "Middleware", bound=Callable[[Message, Callable[[Message], Awaitable[object]]], Awaitable[object]]
)

#: Where messages are taken from: a group of that name, any group (True), private messages alone (False), or anywhere (None).
InGroup: TypeAlias = str | bool | None


@dataclass(frozen=True)
class _Route:
    handler: Callable[[Message], object]
    kind: Literal["command", "file", "message"]
    in_group: InGroup
    command: str | None = None

    def fits(self, message: Message) -> bool:
        match self.in_group:
            case None:
                pass
            case bool():
                if self.in_group != (message.group is not None):
                    return False
            case name:
                # The server compares names without regard to case.
                if message.group is None or message.group.casefold() != name.casefold():
                    return False
        match self.kind:
            case "command":
                return message.command == self.command
            case "file":
                return message.file is not None
            case "message":
                return message.file is None


class Bot:
    """A program that answers messages, over one connection that keeps itself up.

    ``url`` says where and as whom: ``obrolan://echo:secret99@localhost:8889``.

    Messages come as they are sent, those of one conversation one after the other, different conversations at the same time, up to
    ``concurrency`` of them. A message is confirmed when its handler has returned, and with it those before. What was sent while no bot was
    there is passed over; with ``replay=True`` it comes first, and so does what was being handled when a bot was killed. A handler that
    raises SystemExit ends the bot, and its message comes again as well. A lost connection loses and doubles nothing, in either direction.

    One handler takes a message: that of its command or of files, if there is one, and else of messages; the first of them that was
    defined and fits.

    A bot that is stopped gives its handlers ``drain`` seconds to finish.
    """

    def __init__(self, url: str, *, replay: bool = False, concurrency: int = 64, drain: float = 10) -> None:
        """Make a bot that does nothing yet. Raises ApiMisuse if ``url`` is none."""
        if url:
            _obrolan.parse_url(url)
        if concurrency < 1:
            raise ApiMisuse(
                f"concurrency is {concurrency}; give the number of messages to handle at the same time, from 1 on"
            )
        self.replay = replay
        self.concurrency = concurrency
        self.drain = drain
        self.middlewares: list[Callable[..., Awaitable[object]]] = []
        self.error_handler: Callable[[Message, Exception], object] | None = None
        self._url = url
        self._variable = ""
        self._routes: list[_Route] = []
        self._event_handlers: list[tuple[type, Callable[..., object]]] = []
        self._running: Running | None = None
        self._entered: asyncio.Task[None] | None = None

    @classmethod
    def from_env(
        cls, variable: str = "OBROLAN_URL", *, replay: bool = False, concurrency: int = 64, drain: float = 10
    ) -> Self:
        """Make a bot with the URL that an environment variable holds. If it holds none, the bot cannot run, but be tested."""
        bot = cls(os.environ.get(variable, ""), replay=replay, concurrency=concurrency, drain=drain)
        bot._variable = variable
        return bot

    @property
    def name(self) -> str:
        """The user that it logs in as: the one of its URL; without a URL, the name of the file that its first handler is in."""
        user = _obrolan.parse_url(self._url)[2] if self._url else None
        if user is not None:
            return user
        module = self._routes[0].handler.__module__ if self._routes else "bot"
        if module == "__main__":
            module = Path(getattr(sys.modules[module], "__file__", None) or "bot").stem
        return module.rpartition(".")[2]

    @overload
    def on_message(self, handler: Handler, /) -> Handler: ...
    @overload
    def on_message(
        self, handler: None = None, /, *, in_group: InGroup = None
    ) -> Callable[[Handler], Handler]: ...
    def on_message(
        self, handler: Handler | None = None, /, *, in_group: InGroup = None
    ) -> Handler | Callable[[Handler], Handler]:
        """Have a function handle texts that are no command with a handler. A plain function runs on a thread of its own."""
        add = self._adding("message", in_group)
        return add if handler is None else add(handler)

    @overload
    def on_file(self, handler: Handler, /) -> Handler: ...
    @overload
    def on_file(
        self, handler: None = None, /, *, in_group: InGroup = None
    ) -> Callable[[Handler], Handler]: ...
    def on_file(
        self, handler: Handler | None = None, /, *, in_group: InGroup = None
    ) -> Handler | Callable[[Handler], Handler]:
        """Have a function handle files."""
        add = self._adding("file", in_group)
        return add if handler is None else add(handler)

    def on_command(self, command: str, *, in_group: InGroup = None) -> Callable[[Handler], Handler]:
        """Have a function handle texts whose first word is a command, which begins with a slash; what follows is the message's argument."""
        if not command.startswith("/") or len(command.split()) != 1:
            raise ApiMisuse(f'{command!r} is no command; give one word that begins with a slash: "/roll"')
        return self._adding("command", in_group, command)

    def _adding(
        self, kind: Literal["command", "file", "message"], in_group: InGroup, command: str | None = None
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self._routes.append(_Route(handler, kind, in_group, command))
            return handler

        return add

    def on(self, kind: type[E]) -> Callable[[EventHandler], EventHandler]:
        """Have a function told of events of a class: Connected, Resumed, Lost, Gap, Closing."""
        if kind is Message:
            raise ApiMisuse("messages are handled by on_message, on_command and on_file")

        def add(handler: EventHandler) -> EventHandler:
            self._event_handlers.append((kind, handler))
            return handler

        return add

    def middleware(self, middleware: Middleware) -> Middleware:
        """Have a coroutine function called around every handler, those defined first outermost.

        It is given the message and ``proceed``, the function that goes on with it: ``await proceed(message)``. Who does not call that drops
        the message.
        """
        if not is_coroutine_function(middleware):
            raise ApiMisuse("a middleware is a coroutine function; define it with async def")
        self.middlewares.append(middleware)
        return middleware

    def on_error(self, handler: ErrorHandler) -> ErrorHandler:
        """Have a function called with the message and the exception when a handler fails. Without one, the log is told.

        A handler that was cancelled, and not by the bot, has failed with a RuntimeError. One that raises SystemExit ends the bot.
        """
        self.error_handler = handler
        return handler

    def handler(self, message: Message) -> Callable[[Message], object] | None:
        """Return the handler that takes a message."""
        fitting = [route for route in self._routes if route.fits(message)]
        commands = [route for route in fitting if route.kind == "command"]
        return next((route.handler for route in commands or fitting), None)

    def event_handlers(self, event: Event) -> list[Callable[..., object]]:
        """Return the handlers of an event."""
        return [handler for kind, handler in self._event_handlers if isinstance(event, kind)]

    @property
    def client(self) -> AsyncClient:
        """The bot's client while it runs, for what the bot has no method for. It belongs to the bot's event loop."""
        return self._now().client

    def send(self, to: str, text: str, *, key: str | None = None) -> Pending[int]:
        """Send a message to a user; the result is its number.

        It is on its way at once, and sent again after a lost connection. With a ``key`` it is sent once within 24 hours, by whatever run
        of the bot. May be called on any thread.
        """
        return self._begin(lambda client: client.send(to, text, key=key))

    def send_group(self, group: str, text: str, *, key: str | None = None) -> Pending[int]:
        """Send a message to the other members of a group, as :meth:`send` does to a user."""
        return self._begin(lambda client: client.send_group(group, text, key=key))

    def send_file(
        self,
        to: str,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
    ) -> Pending[int]:
        """Send a file to a user, as :meth:`obrolan.Client.send_file` does. A ``key`` is as that of :meth:`send`."""
        return self._begin(lambda client: client.send_file(to, source, name=name, key=key, progress=progress))

    def send_group_file(
        self,
        group: str,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
    ) -> Pending[int]:
        """Send a file to the other members of a group."""
        return self._begin(
            lambda client: client.send_group_file(group, source, name=name, key=key, progress=progress)
        )

    def _begin(self, work: Callable[[AsyncClient], Coroutine[object, object, T]]) -> Pending[T]:
        running = self._now()
        return Pending(running.loop, work(running.client))

    def _now(self) -> Running:
        if self._running is None:
            if self._entered is not None and (error := _failure(self._entered)) is not None:
                raise error
            raise ApiMisuse("the bot does not run; do this in a handler, or inside its async with block")
        return self._running

    async def serve(
        self, url: str | None = None, *, ready: Callable[[Running], object] | None = None
    ) -> None:
        """Run until :meth:`stop`, or until this is cancelled.

        Raises AuthError if the server refuses the login, ConfigError if there is no URL. While the server is not there, it keeps trying.
        """
        if self._running is not None:
            raise ApiMisuse("the bot runs already; stop it first, or make another one")
        running = self._running = Running(self, url or self._complete_url())
        try:
            if ready is not None:
                ready(running)
            await running.serve()
        finally:
            self._running = None

    def _complete_url(self) -> str:
        if not self._url:
            raise ConfigError(f"{self._variable} is not set; set it to obrolan://USER:PASSWORD@HOST:PORT")
        return self._url

    def stop(self) -> None:
        """Have it stop, from any thread: it takes no further message, and handlers that are at work have time to finish."""
        running = self._running
        if running is not None:
            running.loop.call_soon_threadsafe(running.stop)

    def run(self) -> None:
        """Run as a program: until Ctrl-C or SIGTERM, which let handlers finish. Either one again stops it at once.

        Unless logging is configured, what the bot logs goes to standard error, each line with the time, the bot and its server.

        If it cannot run, the reason goes to standard error, and the exit code is 1.
        """
        try:
            host, port, user = _obrolan.parse_url(self._complete_url())
            _log_to_standard_error(f"{user}@{host}:{port}")
            asyncio.run(self._run())
        except Error as error:
            raise SystemExit(f"{self.name}: {error}") from None

    async def _run(self) -> None:
        with _signals(self.stop):
            await self.serve()

    async def __aenter__(self) -> Self:
        """Begin to run on this loop. If it ends by itself, the log is told, and what is done with the bot raises why."""
        self._entered = asyncio.get_running_loop().create_task(self.serve())
        self._entered.add_done_callback(self._has_ended)
        # So that it runs when this returns.
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it. Raises what ended it before, AuthError say."""
        entered, self._entered = self._entered, None
        if entered is not None:
            self.stop()
            await entered

    def _has_ended(self, entered: asyncio.Task[None]) -> None:
        # The block goes on, perhaps for long, before it raises this.
        if entered is self._entered and (error := _failure(entered)) is not None:
            logger.error("the bot has ended: %s", printable(str(error)))


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


def _log_to_standard_error(who: str) -> None:
    """Have lines of the log say when and who. Logging that is configured stays as it is."""
    if logger.hasHandlers():
        return
    who = printable(who).replace("%", "%%")
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)s {who}: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    logger.addHandler(handler)
    # Or each line comes twice, once a handler of the program's calls logging.warning, which configures the root.
    logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


@contextmanager
def _signals(stop: Callable[[], None]) -> Generator[None]:
    """Have Ctrl-C and SIGTERM call stop, and what they did before when they come again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        stop()

    loop = asyncio.get_running_loop()
    for number in numbers:
        # This makes the loop wake up for the signal. What it would call then has to wait until no handler blocks the loop, and so is
        # nothing; the signal module does not wait.
        loop.add_signal_handler(number, int)
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
