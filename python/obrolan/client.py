"""The client for programs that wait for answers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar

from obrolan import _obrolan
from obrolan.errors import ConnectionLost
from obrolan.requests import Call, Requests

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from typing_extensions import Self

    from obrolan.events import Event, File, Response

__all__ = ["Client", "Messages", "register"]

P = ParamSpec("P")
T = TypeVar("T")

#: Which messages come as events: all that are not confirmed, those to come alone, or none.
Messages: TypeAlias = Literal["unconfirmed", "new"] | None

#: What is called with the number of bytes that passed since the last time; ``tqdm.update``, say. An exception in it stops the file.
Progress: TypeAlias = Callable[[int], object]

#: The number beyond which messages are asked for.
AFTER: dict[Messages, int | None] = {"unconfirmed": 0, "new": 2**64 - 1, None: None}


def register(url: str, *, country: str = "-", name: str | None = None, timeout: float = 30) -> None:
    """Make an account for the user of a URL, with its password.

    Raises RequestError (``user_exists``, say), RateLimited, ConnectionLost if the server is not reached.
    """
    _, _, user = _obrolan.parse_url(url)
    _obrolan.register(url, country, name or user or "-", timeout).checked()


def _blocking(call: Callable[Concatenate[Any, P], Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """Make a method that makes a request and waits for its answer."""

    @functools.wraps(call)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.make(call(self, *args, **kwargs))

    return method


class Client:
    """A user's connection to a server, which keeps itself up.

    After a lost connection it logs in again, and what was not answered is made again, and done once. Threads may share it.

    ``url`` is ``obrolan://USER:PASSWORD@HOST:PORT``, with ``%40`` for an ``@`` in a name or password. Iterating over the client yields
    events as they come, each of :data:`obrolan.Event`, until it is closed. A message comes again to the user's next client until it is
    confirmed.

    Each request waits up to ``timeout`` seconds for its answer, None for as long as it takes. With ``wait=False`` it does not wait for
    the login either, and goes on trying.

    Raises AuthError if the server refuses the login, RateLimited if there were too many attempts, ConnectionLost if it is not reached,
    Timeout, ApiMisuse if ``url`` is none.
    """

    timeout: float | None

    def __init__(
        self, url: str, *, messages: Messages = "unconfirmed", timeout: float | None = 30, wait: bool = True
    ) -> None:
        """Connect and log in."""
        self.timeout = timeout
        self._raw = _obrolan.RawClient(url, AFTER[messages])
        if wait:
            self._raw.wait_for_login(timeout)

    auth = _blocking(Requests.auth)
    logout = _blocking(Requests.logout)
    register = _blocking(Requests.register)
    send = _blocking(Requests.send)
    send_group = _blocking(Requests.send_group)
    add_realm = _blocking(Requests.add_realm)
    add_group = _blocking(Requests.add_group)
    join_group = _blocking(Requests.join_group)
    leave_group = _blocking(Requests.leave_group)
    list_users = _blocking(Requests.list_users)
    list_my_groups = _blocking(Requests.list_my_groups)
    list_group = _blocking(Requests.list_group)
    inbox = _blocking(Requests.inbox)
    ack = _blocking(Requests.ack)
    subscribe = _blocking(Requests.subscribe)
    history = _blocking(Requests.history)
    upload = _blocking(Requests.upload)
    ping = _blocking(Requests.ping)
    help = _blocking(Requests.help)
    resume = _blocking(Requests.resume)
    passwd = _blocking(Requests.passwd)
    whoami = _blocking(Requests.whoami)
    list_realms = _blocking(Requests.list_realms)
    quit = _blocking(Requests.quit)

    def make(self, call: Call[T]) -> T:
        """Make a request and return what it gives.

        Raises RequestError, AuthError or RateLimited if the server answers ERROR; ConnectionLost if there is no connection when the time
        is over, or the client has ended; Timeout if there is one, and no answer came; ApiMisuse if the request cannot be written.
        """
        return call.read(self._raw.ask(call.request, self.timeout, call.key).checked())

    def request(self, line: str) -> Response:
        """Make a request that is written out already, and return its answer, OK or ERROR."""
        return self._raw.ask(line, self.timeout)

    def send_file(
        self,
        to: str,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Send a file to a user, part by part; gives the message's number.

        ``source`` is a path, or the content itself. ``name`` is what the recipient sees: by default the path's last part. With a ``key`` of
        the caller's, 1 to 64 bytes, it is sent once within 24 hours, by whatever process. ``progress`` is
        called with the number of bytes that passed since the last time, as ``tqdm.update`` takes them; an exception in it stops the file.

        Raises as every request, for each part; OSError if the file cannot be read.
        """
        return self._raw.send_file(to, False, key, source, name, self._patience(), progress, None).number(
            "id"
        )

    def send_group_file(
        self,
        group: str,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Send a file to every other member of a group, as :meth:`send_file` does to a user."""
        return self._raw.send_file(group, True, key, source, name, self._patience(), progress, None).number(
            "id"
        )

    def get_file(self, file: File, *, progress: Progress | None = None) -> bytes:
        """Fetch the content of a file.

        Raises ServerError if what came is not what was sent, and as every request, for each part.
        """
        return self._raw.get_file(file.id, file.sha256, None, self._patience(), progress, None)

    def save_file(self, file: File, path: str | os.PathLike[str], *, progress: Progress | None = None) -> int:
        """Fetch a file to a path, and give its size. What is at the path is replaced when all has come, and not before."""
        return self._raw.get_file(file.id, file.sha256, path, self._patience(), progress, None)

    def next_event(self, timeout: float | None = None) -> Event | None:
        """Wait for the next event; None if none comes within so many seconds.

        Raises ConnectionLost when the client was closed, AuthError when the server refused to let it in again, and all events are taken.
        """
        return self._raw.next_event(timeout)

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> Event:
        """Wait for the next event. Ends when the client is closed."""
        try:
            event = self._raw.next_event(None)
        except ConnectionLost:
            raise StopIteration from None
        if event is None:
            raise StopIteration
        return event

    def confirm(self, id: int) -> None:
        """Confirm all messages up to a number: they do not come again. Returns at once, and is not forgotten over a lost connection."""
        self._raw.confirm(id)

    @property
    def connected(self) -> bool:
        """Whether it is logged in right now."""
        return self._raw.connected

    def fileno(self) -> int:
        """Return a descriptor that is readable while :meth:`next_event` would not wait. For polling alone."""
        return self._raw.fileno()

    def close(self, timeout: float = 5) -> None:
        """End it, after waiting for what was asked and confirmed to reach the server, if there is a connection."""
        self._raw.close(timeout)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _patience(self) -> float:
        return float("inf") if self.timeout is None else self.timeout
