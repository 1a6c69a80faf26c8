"""The client for programs on asyncio."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from obrolan import _obrolan
from obrolan.client import AFTER
from obrolan.errors import ApiMisuse, ConnectionLost, Error, RateLimited, Timeout
from obrolan.events import Event, Lost, Response
from obrolan.requests import Call, Requests

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from obrolan.client import Messages, Progress
    from obrolan.events import File

__all__ = ["AsyncClient"]

P = ParamSpec("P")
T = TypeVar("T")

#: So many events are taken at once, so that others on the loop come to their turn.
BATCH = 64
#: With so many events waiting to be taken, further messages stay where they are.
MOST = 256


def _awaited(
    call: Callable[Concatenate[Any, P], Call[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Make a method that makes a request and gives what it gives, when it is answered."""

    @functools.wraps(call)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.make(call(self, *args, **kwargs))

    return method


class AsyncClient:
    """What :class:`obrolan.Client` is, for one event loop, which it never blocks.

    ::

        async with AsyncClient("obrolan://ann:secret99@localhost") as ann:
            await ann.send("bob", "halo")
            async for event in ann:
                ...

    It connects at the beginning of the ``async with`` block, or by :meth:`open`. A request whose ``await`` is cancelled is made all the
    same: its answer is let go. All methods but the constructor belong to the loop.
    """

    timeout: float | None

    def __init__(
        self, url: str, *, messages: Messages = "unconfirmed", timeout: float | None = 30, wait: bool = True
    ) -> None:
        """Remember the arguments, which are those of :class:`obrolan.Client`."""
        self.timeout = timeout
        self._url = url
        self._messages: Messages = messages
        self._wait = wait
        self._opened: _Opened | None = None

    auth = _awaited(Requests.auth)
    logout = _awaited(Requests.logout)
    register = _awaited(Requests.register)
    send = _awaited(Requests.send)
    send_group = _awaited(Requests.send_group)
    add_realm = _awaited(Requests.add_realm)
    add_group = _awaited(Requests.add_group)
    join_group = _awaited(Requests.join_group)
    leave_group = _awaited(Requests.leave_group)
    list_users = _awaited(Requests.list_users)
    list_my_groups = _awaited(Requests.list_my_groups)
    list_group = _awaited(Requests.list_group)
    inbox = _awaited(Requests.inbox)
    ack = _awaited(Requests.ack)
    subscribe = _awaited(Requests.subscribe)
    history = _awaited(Requests.history)
    upload = _awaited(Requests.upload)
    ping = _awaited(Requests.ping)
    help = _awaited(Requests.help)
    resume = _awaited(Requests.resume)
    passwd = _awaited(Requests.passwd)
    whoami = _awaited(Requests.whoami)
    list_realms = _awaited(Requests.list_realms)
    quit = _awaited(Requests.quit)

    async def open(self) -> None:
        """Connect and log in; with ``wait=False``, begin to.

        Raises as the constructor of :class:`obrolan.Client`.
        """
        if self._opened is not None:
            raise ApiMisuse("this client was opened before; make a new one")
        self._opened = _Opened(_obrolan.RawClient(self._url, AFTER[self._messages]))
        if not self._wait:
            return
        try:
            await self._log_in()
        except BaseException:
            await self.close(0)
            raise

    async def _log_in(self) -> None:
        try:
            event = await asyncio.wait_for(anext(self), self.timeout)
        except StopAsyncIteration:
            raise ConnectionLost("the client is closed; open a new one") from None
        except asyncio.TimeoutError:
            raise Timeout(
                "the server did not answer in time; check that it is an obrolan server, and the network between"
            ) from None
        if isinstance(event, Lost):
            if event.retry_after is not None:
                raise RateLimited(event.retry_after)
            raise ConnectionLost(event.why)

    async def make(self, call: Call[T]) -> T:
        """Make a request and return what it gives. Raises as :meth:`obrolan.Client.make`."""
        return call.read((await self._ask(call.request, call.key)).checked())

    async def request(self, line: str) -> Response:
        """Make a request that is written out already, and return its answer, OK or ERROR."""
        return await self._ask(line, None)

    async def _ask(self, request: str | Mapping[str, str | int | None], key: str | None) -> Response:
        asked = self._living().ask(request, key)
        if self.timeout is None:
            return await asked
        try:
            return await asyncio.wait_for(asked, self.timeout)
        except asyncio.TimeoutError:
            if self.connected:
                raise Timeout(
                    "no answer came in time; the request may have been done, or be done yet"
                ) from None
            raise ConnectionLost(
                "there is no connection to the server; the request is made when there is one again"
            ) from None

    async def send_file(
        self,
        to: str,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Send a file to a user, as :meth:`obrolan.Client.send_file` does. To cancel it stops the file."""
        return await self._send_file(to, False, key, source, name, progress)

    async def send_group_file(
        self,
        group: str,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Send a file to every other member of a group, as :meth:`send_file` does to a user."""
        return await self._send_file(group, True, key, source, name, progress)

    async def _send_file(
        self,
        to: str,
        group: bool,
        key: str | None,
        source: str | os.PathLike[str] | bytes,
        name: str | None,
        progress: Progress | None,
    ) -> int:
        send = self._living().raw.send_file
        sent = await self._watched(
            lambda *hooks: send(to, group, key, source, name, self._patience(), *hooks), progress
        )
        return sent.number("id")

    async def get_file(self, file: File, *, progress: Progress | None = None) -> bytes:
        """Fetch the content of a file, as :meth:`obrolan.Client.get_file` does. To cancel it stops the file."""
        get = self._living().raw.get_file
        return await self._watched(
            lambda *hooks: get(file.id, file.sha256, None, self._patience(), *hooks), progress
        )

    async def save_file(
        self, file: File, path: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> int:
        """Fetch a file to a path, as :meth:`obrolan.Client.save_file` does. To cancel it stops the file."""
        get = self._living().raw.get_file
        return await self._watched(
            lambda *hooks: get(file.id, file.sha256, path, self._patience(), *hooks), progress
        )

    def _patience(self) -> float:
        return float("inf") if self.timeout is None else self.timeout

    async def _watched(
        self, work: Callable[[Progress, Callable[[], None]], T], progress: Progress | None
    ) -> T:
        """Have a thread do it, which this one watches: it stops the file when the future is not waited for any more."""
        loop = asyncio.get_running_loop()
        failed: list[BaseException] = []
        stopped = False

        def told(count: int) -> None:
            try:
                if progress is not None:
                    progress(count)
            except Exception as error:  # noqa: BLE001  (it is raised where the file is waited for)
                failed.append(error)

        def passed(count: int) -> None:
            glance()
            loop.call_soon_threadsafe(told, count)

        def glance() -> None:
            if failed:
                raise failed[0]
            if stopped:
                raise asyncio.CancelledError

        try:
            result = await asyncio.to_thread(work, passed, glance)
        finally:
            stopped = True
        if failed:
            raise failed[0]
        return result

    def confirm(self, id: int) -> None:
        """Confirm all messages up to a number: they do not come again. Is not forgotten over a lost connection."""
        self._living().raw.confirm(id)

    @property
    def connected(self) -> bool:
        """Whether it is logged in right now."""
        return self._living().raw.connected

    async def close(self, timeout: float = 5) -> None:
        """End it, after waiting for what was asked and confirmed to reach the server, if there is a connection."""
        if self._opened is not None:
            opened = self._opened
            try:
                await asyncio.to_thread(lambda: opened.raw.close(timeout))
            except BaseException:
                opened.end(ConnectionLost("the client is closed; open a new one"))
                raise
            opened.finish()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event. Ends when the client is closed; raises AuthError when the server does not let it in again."""
        opened = self._living()
        while (event := opened.next_event()) is None:
            if opened.ended is None:
                await opened.arrival()
            elif isinstance(opened.ended, ConnectionLost):
                raise StopAsyncIteration
            else:
                raise type(opened.ended)(*opened.ended.args)
        return event

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    def _living(self) -> _Opened:
        if self._opened is None:
            raise ApiMisuse(
                "this client is not open; use it inside its async with block, or await its open() first"
            )
        return self._opened


class _Opened:
    """A connection on a loop."""

    def __init__(self, raw: _obrolan.RawClient) -> None:
        self.raw = raw
        #: Why it has ended.
        self.ended: Error | None = None
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[Response]] = {}
        self._events: deque[Event] = deque()
        self._held = False
        #: Whoever waits for an event, or for room for a request.
        self._waiting: list[asyncio.Future[None]] = []
        self._fd = raw.fileno()
        self._loop.add_reader(self._fd, self._readable)

    async def ask(self, request: str | Mapping[str, str | int | None], key: str | None) -> Response:
        while (number := self.raw.post(request, key)) is None:
            await self.arrival()
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._answers[number] = answer
        try:
            return await answer
        finally:
            self._answers.pop(number, None)

    def next_event(self) -> Event | None:
        if not self._events:
            return None
        event = self._events.popleft()
        if self._held and len(self._events) <= MOST // 2:
            self._held = False
            self.raw.hold_messages(False)
        return event

    async def arrival(self) -> None:
        """Wait until something has come."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        try:
            await future
        except BaseException:
            # It was cancelled, perhaps when it was woken already.
            if future in self._waiting:
                self._waiting.remove(future)
            raise

    def finish(self) -> None:
        """Take what has come before it was closed."""
        while self.ended is None:
            self._readable()

    def _readable(self) -> None:
        try:
            events = self.raw.take_events(BATCH)
        except Error as error:
            self.end(error)
            return
        for event in events:
            if not isinstance(event, tuple):
                self._events.append(event)
                continue
            number, response = event
            answer = self._answers.get(number)
            if answer is not None and not answer.done():
                answer.set_result(response)
        if not self._held and len(self._events) >= MOST:
            self._held = True
            self.raw.hold_messages(True)
        self._wake()

    def end(self, error: Error) -> None:
        # Its traceback leads back here: a cycle, in which descriptors would wait for the garbage collector. For the same reason whoever
        # is told is told by another one.
        self.ended = error.with_traceback(None)
        self._loop.remove_reader(self._fd)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(type(error)(*error.args))
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
