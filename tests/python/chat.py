"""A few people on an engine that keeps everything in memory, for the tests of the engine."""

from __future__ import annotations

from obrolan.engine import Engine, Output, Writable

#: 2026-11-23T09:00:00.000Z.
NOW = 1_795_424_400_000

SEED = bytes(range(32))


def new_engine() -> Engine:
    """Return an engine that knows nobody."""
    return Engine(seed=SEED, now=NOW)


def say(engine: Engine, conn: int, line: str) -> bytes:
    """Send a line, and return what comes on its connection; the other outputs are of no interest."""
    data = line.encode() + b"\n"
    assert engine.receive(NOW, conn, data).consumed == len(data)
    drain(engine)
    return take(engine, conn)


def drain(engine: Engine) -> list[Output]:
    """Return what the engine wants done, but for writing."""
    return [output for output in engine.outputs() if not isinstance(output, Writable)]


def take(engine: Engine, conn: int) -> bytes:
    """Take all that is to be sent on a connection."""
    content = engine.outgoing(conn)
    engine.sent(NOW, conn, len(content))
    return content
