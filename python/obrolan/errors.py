"""What obrolan raises. Everything it raises of its own is an :class:`Error`."""

from typing import Literal

__all__ = [
    "ApiMisuse",
    "AuthError",
    "ConfigError",
    "ConnectionLost",
    "Error",
    "Poisoned",
    "RateLimited",
    "RecoveryError",
    "Refused",
    "RequestError",
    "ServerError",
    "Timeout",
]


class Error(Exception):
    """The root of obrolan's errors."""


class ApiMisuse(Error):
    """A call that does not fit what came before it, or a value that does not fit its place: a mistake in the calling program.

    Nothing was changed.
    """


class ConfigError(Error):
    """A configuration that cannot be kept: each wrong setting, and what to give in its place."""


class RecoveryError(Error):
    """A snapshot or a record that is not this engine's, or is damaged. Recovery cannot go on."""


class Refused(Error):
    """The engine does not take a connection: close it.

    ``reason`` is ``"too_many"`` if there are :attr:`Limits.connections` already, and ``"stopping"`` after
    :meth:`Engine.shutdown`.
    """

    reason: Literal["too_many", "stopping"]

    def __init__(self, reason: Literal["too_many", "stopping"], text: str) -> None:
        """Make the error, with a text for people."""
        super().__init__(reason, text)
        self.reason = reason

    def __str__(self) -> str:
        """Return the text for people."""
        return str(self.args[1])


class ServerError(Error):
    """A server that did not start, or could not go on."""


class Poisoned(Error):
    """A fault in obrolan itself. The object it was met in raises this from then on: make a new one, and report the fault."""


class ConnectionLost(Error):
    """The connection to the server is gone, and what was asked was not answered."""


class Timeout(Error, TimeoutError):
    """What was waited for did not come in time. A request may have been done all the same, or be done yet."""


class AuthError(Error):
    """The server does not let this user in: the name or the password is wrong, or the session has ended."""


class RateLimited(Error):
    """The server refuses attempts for now. ``retry_after`` is the number of seconds to wait before the next one."""

    retry_after: float

    def __init__(self, retry_after: float) -> None:
        """Make the error."""
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return the text for people."""
        return f"too many attempts; try again in {self.retry_after:g} seconds"


class RequestError(Error):
    """The server answered a request with an error.

    ``code`` is the protocol's word for it (``"no_such_user"``), which keeps its meaning; ``data`` is the server's text, for people;
    ``reason`` says in English why, and what to do about it.
    """

    code: str
    data: str
    reason: str

    def __init__(self, code: str, data: str, reason: str = "") -> None:
        """Make the error."""
        super().__init__(code, data, reason)
        self.code = code
        self.data = data
        self.reason = reason

    def __str__(self) -> str:
        """Return the text for people."""
        return f"{self.reason or self.data} ({self.code})"
