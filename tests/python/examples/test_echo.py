"""The test of the echo bot."""

from echo import bot

from obrolan import testing


def test_echo() -> None:
    with testing.Server() as srv, srv.run(bot), srv.client("ann") as ann:
        ann.send("echo", "hi")
        assert ann.expect("hi", timeout=2).sender == "echo"
