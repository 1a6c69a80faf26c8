"""The way between a client and the server, which a test can make worse."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Link", "LoopThread"]

T = TypeVar("T")


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self, name: str) -> None:
        """Start it."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[object, object, T]) -> T:
        """Do something on the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        """End it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Link:
    """The way between one client, or one bot, and the server.

    What it does to connections, they notice as they would a bad network: they connect again.
    """

    #: Seconds that bytes take longer, in either direction.
    delay: float

    def __init__(self, thread: LoopThread, server: tuple[str, int]) -> None:
        """Open it."""
        self.delay = 0
        self._thread = thread
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = _bound(0)
        #: Where clients connect to.
        self.port: int = self._socket.getsockname()[1]
        self._listener: asyncio.Server | None = None
        thread.do(self._listen())

    def drop(self) -> None:
        """Cut the connections there are. The next attempt to connect succeeds."""
        self._thread.do(self._drop())

    def refuse(self) -> None:
        """Cut the connections there are, and refuse further ones until :meth:`accept`."""
        self._thread.do(self._refuse())

    def accept(self) -> None:
        """Take connections again."""
        self._thread.do(self._listen())

    def close(self) -> None:
        """Cut the connections, for good."""
        self._thread.do(self._close())

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._connected, sock=self._socket)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            # Nobody is to have the port in between, and one that is bound and does not listen refuses.
            self._socket = _bound(self.port)
        await self._drop()

    async def _close(self) -> None:
        await self._refuse()
        self._socket.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
            self._writers.add(server_writer)
            try:
                await asyncio.gather(self._pass(reader, server_writer), self._pass(server_reader, writer))
            finally:
                self._writers.discard(server_writer)
                server_writer.transport.abort()
        except OSError:
            # One side is gone, which the other is told.
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(1 << 16):
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(content)
            await writer.drain()
        writer.write_eof()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
