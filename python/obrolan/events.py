"""What comes from a server: messages and other events, and the answers to requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from obrolan.errors import ApiMisuse, AuthError, RateLimited, RequestError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from obrolan.pending import Pending
    from obrolan.turns import Turn

__all__ = [
    "Closing",
    "Connected",
    "Event",
    "File",
    "Gap",
    "Lost",
    "Message",
    "NoMessages",
    "Response",
    "Resumed",
]


@dataclass(frozen=True, slots=True)
class File:
    """The file of a message. Its content is fetched with ``get_file`` or ``save_file``."""

    #: Its number on the server.
    id: str
    #: The name the sender gave it. Another's choice: not fit to be used as a path as it is.
    name: str
    #: Its bytes.
    size: int
    #: SHA-256 of the content, in hex.
    sha256: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the user, private or of a group: a text, or a file.

    :meth:`reply` and the methods below it are for messages that came to a :class:`obrolan.Bot`.
    """

    #: Its number, which grows from message to message.
    id: int
    #: Who sent it: ``name``, or ``name@realm``.
    sender: str
    #: To whom it was sent; may be empty in a group's.
    to: str
    #: The group it was sent to; None if it is private.
    group: str | None
    #: When the server accepted it, in UTC.
    time: datetime
    #: The text; empty if it is a file.
    text: str
    #: The file, if it is one.
    file: File | None = None
    _turn: Turn | None = field(default=None, kw_only=True, repr=False, compare=False)

    @property
    def command(self) -> str | None:
        """The first word of a text that begins with a slash: ``/roll``."""
        return self.text.split(maxsplit=1)[0] if self.text.startswith("/") else None

    @property
    def argument(self) -> str:
        """What follows the first word of the text; may be empty."""
        return "".join(self.text.split(maxsplit=1)[1:])

    def reply(self, text: str) -> Pending[int]:
        """Answer it, in its group or to its sender; the result is the new message's number.

        It is on its way at once. ``await`` it, or in a plain handler call its ``result()``, to know that the server has it. A bot that was
        killed and is given the message again (``replay=True``) does not send the same reply twice.

        Raises RequestError as :meth:`obrolan.Client.send`.
        """
        return self._origin().reply(text)

    def reply_file(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Pending[int]:
        """Answer it with a file, as :meth:`obrolan.Client.send_file` sends one; once, as :meth:`reply` answers."""
        return self._origin().reply_file(source, name, progress)

    def save_file(
        self, path: str | os.PathLike[str], *, progress: Callable[[int], object] | None = None
    ) -> Pending[int]:
        """Fetch its file to a path, as :meth:`obrolan.Client.save_file` does."""
        if self.file is None:
            raise ApiMisuse("this message has no file; on_file is for those that have")
        return self._origin().save_file(self.file, path, progress)

    def ask(self, text: str, *, timeout: float | None = 60) -> Pending[Message]:
        """Reply with a question; the result is the sender's next message here, which goes to no other handler.

        Until then, other messages of the conversation are handled. Raises Timeout if no answer comes within so many seconds.
        """
        return self._origin().ask(text, timeout)

    def _origin(self) -> Turn:
        if self._turn is None:
            raise ApiMisuse(
                "this message did not come to a bot; answer it with the client it came to: client.send(message.sender, ...)"
            )
        return self._turn


@dataclass(frozen=True, slots=True)
class Connected:
    """The client is logged in, with a new session."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The client is logged in again, and goes on with the session it had."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is lost, or could not be made. The client goes on trying."""

    #: Why, for people.
    why: str
    #: The seconds that the server said to wait, which the client does, if there were too many attempts to log in.
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages were lost because the mailbox was full."""

    #: How many.
    count: int


@dataclass(frozen=True, slots=True)
class Closing:
    """The server stops and is about to close the connection."""


@dataclass(frozen=True, slots=True)
class NoMessages:
    """The server refused to send messages."""

    #: Why, for people.
    why: str


#: What a client's iterator yields. Later versions may add to it.
Event: TypeAlias = Message | Connected | Resumed | Lost | Gap | Closing | NoMessages


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request."""

    #: Whether its status is OK.
    ok: bool
    #: The server's text, for people; may be empty.
    data: str
    #: The protocol's word for what is wrong; None if nothing is.
    code: str | None
    #: Why it failed and what to do about it, for people.
    reason: str
    #: All of its fields as JSON has them, but ``messages`` as a list of :class:`Message`.
    body: Mapping[str, object] = field(repr=False)

    def checked(self) -> Response:
        """Return itself if it is OK.

        Raises RateLimited, AuthError or RequestError if it is not.
        """
        if self.ok:
            return self
        if self.code == "throttled":
            raise RateLimited(self.number("retry_after"))
        if self.code in {"bad_credentials", "no_session"}:
            raise AuthError(self.reason)
        raise RequestError(self.code or "", self.data, self.reason)

    def number(self, name: str) -> int:
        """Return the field of that name; 0 if it is no whole number."""
        value = self.body.get(name)
        return value if isinstance(value, int) else 0

    def text(self, name: str) -> str:
        """Return the field of that name; empty if it is no text."""
        value = self.body.get(name)
        return value if isinstance(value, str) else ""

    def names(self, name: str) -> list[str]:
        """Return the texts in the field of that name; empty if it is no list."""
        value = self.body.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
