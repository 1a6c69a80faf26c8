"""A chat engine that programs embed, and a server made of it.

:class:`Server` runs a chat server in this process. :class:`Engine` is the state machine inside it, for programs that bring their own
sockets: see :mod:`obrolan.engine`.
"""

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
)

__all__ = [
    "Accounts",
    "ApiMisuse",
    "AuthError",
    "Config",
    "ConfigError",
    "ConnectionLost",
    "Engine",
    "Error",
    "Limits",
    "Poisoned",
    "RateLimited",
    "Recovery",
    "RecoveryError",
    "Refused",
    "RequestError",
    "Server",
    "ServerError",
    "__version__",
]
