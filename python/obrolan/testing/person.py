"""Somebody who talks to a bot in a test."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from obrolan.client import Client
from obrolan.events import Message

if TYPE_CHECKING:
    from obrolan.testing.link import Link

__all__ = ["Person"]


class Person(Client):
    """A client that expects messages: all that :class:`obrolan.Client` can do, and :meth:`expect`."""

    #: The user's name.
    name: str
    #: The way to the server.
    link: Link

    def __init__(self, name: str, url: str, link: Link) -> None:
        """Log in. :meth:`Server.client` makes the account before."""
        super().__init__(url)
        self.name = name
        self.link = link
        self._came: list[Message] = []

    def expect(self, what: str | re.Pattern[str], *, timeout: float = 2) -> Message:
        """Wait for a message with this text, or one that a pattern is found in, and return it; of a file, its name counts.

        Others that came are kept, and may be expected later.

        Raises AssertionError with what came instead if it does not come within so many seconds.
        """
        until = time.monotonic() + timeout
        for index, earlier in enumerate(self._came):
            if _is(earlier, what):
                return self._came.pop(index)
        while (message := self._next_message(until)) is not None:
            if _is(message, what):
                return message
            self._came.append(message)
        wanted = repr(what.pattern) if isinstance(what, re.Pattern) else repr(what)
        came = "".join(f"\n  {_shown(each)}" for each in self._came) or " nothing"
        raise AssertionError(f"{self.name} expected {wanted} within {timeout:g} s; instead came:{came}")

    def expect_nothing(self, *, timeout: float = 0.2) -> None:
        """Wait for so many seconds.

        Raises AssertionError if a message comes, or one has come that was not expected.
        """
        message = self._came[0] if self._came else self._next_message(time.monotonic() + timeout)
        if message is not None:
            raise AssertionError(f"{self.name} expected nothing; there came:\n  {_shown(message)}")

    def _next_message(self, until: float) -> Message | None:
        """Return the next message, which is confirmed; None if none comes in time."""
        while True:
            event = self.next_event(max(0.0, until - time.monotonic()))
            if isinstance(event, Message):
                self.confirm(event.id)
                return event
            if event is None:
                return None


def _content(message: Message) -> str:
    return message.text if message.file is None else message.file.name


def _is(message: Message, what: str | re.Pattern[str]) -> bool:
    content = _content(message)
    return content == what if isinstance(what, str) else what.search(content) is not None


def _shown(message: Message) -> str:
    content = repr(_content(message))
    if message.file is not None:
        content = f"the file {content}"
    where = f" in {message.group}" if message.group is not None else ""
    return f"{content} from {message.sender}{where}"
