"""A server for tests, and the bots and people on it."""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote

import obrolan
from obrolan.client import Client, register
from obrolan.testing.link import Link, LoopThread
from obrolan.testing.person import Person

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from obrolan.bot import Bot
    from obrolan.running import Running

__all__ = ["RunningBot", "Server"]


class Server:
    """The real server, in this process and in memory, with bots and people on it.

    It serves from when it is made until the end of its ``with`` block, and ends bots and people with it. For other settings than the
    default ones, give it a server: ``Server(obrolan.Server(limits={"mailbox_messages": 10}))``.
    """

    def __init__(self, server: obrolan.Server | None = None) -> None:
        """Start it."""
        self._server = obrolan.Server() if server is None else server
        self._links = LoopThread("obrolan-links")
        self._accounts: dict[str, str] = {}
        self._bots: list[RunningBot] = []
        self._stack = ExitStack()
        self._stack.callback(self._links.stop)
        self._stack.callback(self._server.stop)

    @property
    def url(self) -> str:
        """Where it listens. Who connects there does so directly: no link is in between."""
        return self._server.url

    def run(self, bot: Bot, name: str | None = None) -> RunningBot:
        """Run a bot on this server, on a thread of its own, under a name that its URL or its file gives unless this does.

        Its account is made, whatever its URL says; of the bot itself nothing is changed. Returns when messages reach it.
        """
        name = name or bot.name
        running = RunningBot(bot, name, self._link(), self._account(name))
        self._bots.append(running)
        self._stack.callback(running.stop)
        return running

    def client(self, name: str) -> Person:
        """Let somebody come in, whose account is made if there is none."""
        link = self._link()
        person = Person(name, self._url(name, self._account(name), link.port), link)
        self._stack.callback(person.close)
        return person

    def group(self, name: str, *members: str) -> None:
        """Make a group with these users in it, the first as its owner. Accounts that there are none of are made."""
        for number, member in enumerate(members):
            with Client(self._url(member, self._account(member)), messages=None) as client:
                if number == 0:
                    client.add_group(name)
                else:
                    client.join_group(name)

    def advance(self, seconds: float) -> None:
        """Put the clocks forward: the server's, and those of the event loops of running bots. What is due by then happens now."""
        self._server._put_forward(seconds)
        for bot in self._bots:
            bot.advance(seconds)

    def stop(self) -> None:
        """Stop bots, people and the server."""
        self._stack.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _link(self) -> Link:
        link = Link(self._links, self._server.address)
        self._stack.callback(link.close)
        return link

    def _account(self, name: str) -> str:
        """Return the password of a user, who is made if there is none of that name."""
        if name not in self._accounts:
            password = secrets.token_hex(16)
            register(self._url(name, password))
            self._accounts[name] = password
        return self._accounts[name]

    def _url(self, name: str, password: str, port: int | None = None) -> str:
        host, listens = self._server.address
        return f"obrolan://{quote(name, safe='')}:{password}@{host}:{port or listens}"


class RunningBot:
    """A bot that runs in a test, until :meth:`stop` or the end of its ``with`` block."""

    #: The user that it is.
    name: str
    #: The way to the server.
    link: Link

    def __init__(self, bot: Bot, name: str, link: Link, password: str) -> None:
        """Start it, and wait until messages reach it."""
        self.name = name
        self.link = link
        self._bot = bot
        self._loop = _Loop()
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        url = f"obrolan://{quote(name, safe='')}:{password}@127.0.0.1:{link.port}"
        self._thread = threading.Thread(
            target=self._run, args=(url,), name=f"obrolan-bot-{name}", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def advance(self, seconds: float) -> None:
        """Put the clock of its event loop forward."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.advance, seconds)

    def stop(self) -> None:
        """Stop it, and wait until it has. Raises what ended it before."""
        if self._thread.is_alive():
            self._bot.stop()
        self._thread.join()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _run(self, url: str) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(url))
        except BaseException as error:  # noqa: BLE001
            # It is raised where the bot is stopped.
            self._failed = error
        finally:
            _finish(self._loop)
            self._ready.set()

    async def _serve(self, url: str) -> None:
        async def tell(running: Running) -> None:
            await running.ready.wait()
            self._ready.set()

        telling: list[asyncio.Task[None]] = []
        try:
            await self._bot.serve(
                url, ready=lambda running: telling.append(self._loop.create_task(tell(running)))
            )
        finally:
            for task in telling:
                task.cancel()


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    def __init__(self) -> None:
        self._ahead = 0.0
        super().__init__()

    def time(self) -> float:
        return super().time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop as asyncio.run does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()
