"""A chat engine that programs embed, a server made of it, and clients and bots for such servers.

:class:`Bot` answers messages; :class:`Client` and :class:`AsyncClient` make any request; :mod:`obrolan.testing` tests both. :class:`Server`
runs a chat server in this process. :class:`Engine` is the state machine inside it, for programs that bring their own sockets: see
:mod:`obrolan.engine`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from obrolan._obrolan import Server, __version__
from obrolan.engine import Accounts, Config, Engine, Limits, Recovery
from obrolan.errors import (
    ApiMisuse,
    AuthError,
    ConfigError,
    ConnectionLost,
    Error,
    Poisoned,
    RateLimited,
    RecoveryError,
    Refused,
    RequestError,
    ServerError,
    Timeout,
)

if TYPE_CHECKING:
    from obrolan.aio import AsyncClient
    from obrolan.bot import Bot
    from obrolan.client import Client, register
    from obrolan.events import (
        Closing,
        Connected,
        Event,
        File,
        Gap,
        Lost,
        Message,
        NoMessages,
        Response,
        Resumed,
    )

__all__ = [
    "Accounts",
    "ApiMisuse",
    "AsyncClient",
    "AuthError",
    "Bot",
    "Client",
    "Closing",
    "Config",
    "ConfigError",
    "Connected",
    "ConnectionLost",
    "Engine",
    "Error",
    "Event",
    "File",
    "Gap",
    "Limits",
    "Lost",
    "Message",
    "NoMessages",
    "Poisoned",
    "RateLimited",
    "Recovery",
    "RecoveryError",
    "Refused",
    "RequestError",
    "Response",
    "Resumed",
    "Server",
    "ServerError",
    "Timeout",
    "__version__",
    "register",
]


_EVENTS = [
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

#: Where names are that are imported when they are first used: asyncio alone takes longer than all that an engine or a server needs.
_LATER = {
    "AsyncClient": "obrolan.aio",
    "Bot": "obrolan.bot",
    "Client": "obrolan.client",
    "register": "obrolan.client",
    **dict.fromkeys(_EVENTS, "obrolan.events"),
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'obrolan' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value
