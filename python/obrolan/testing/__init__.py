"""Tests for bots and clients, on the real server, in this process and in memory.

::

    from obrolan import testing
    from echo import bot

    def test_echo() -> None:
        with testing.Server() as srv, srv.run(bot), srv.client("ann") as ann:
            ann.send("echo", "hi")
            assert ann.expect("hi", timeout=2).sender == "echo"

For pytest there are the fixtures ``obrolan_server``, a :class:`Server`, and ``obrolan_client``, which makes a :class:`Person`:
``obrolan_client("ann")``.
"""

from obrolan.testing.link import Link
from obrolan.testing.person import Person
from obrolan.testing.server import RunningBot, Server

__all__ = ["Link", "Person", "RunningBot", "Server"]
