"""Nothing grows that is used again and again."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from chat import NOW, SEED, new_engine
from obrolan import ApiMisuse, Config, Engine, Poisoned, Server
from obrolan.engine import AskHashPassword, PasswordHash, Persist, Writable

STATUS = Path("/proc/self/status")

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells the memory in use by a file")

CONFIG = Config(persistence=True, passwords="host")


def resident() -> int:
    """Return the bytes of memory in use."""
    gc.collect()
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


def host(engine: Engine) -> None:
    """Do all that the engine wants done."""
    for output in engine.outputs():
        match output:
            case AskHashPassword(ticket):
                engine.answer(NOW, ticket, PasswordHash("hash"))
            case Persist(seq):
                engine.persisted(NOW, seq)
            case Writable(conn):
                engine.sent(NOW, conn, len(engine.outgoing(conn)))


def converse() -> None:
    engine = Engine(CONFIG, seed=SEED, now=NOW)
    conn = engine.connect(NOW, "192.0.2.7")
    engine.receive(NOW, conn, bytearray(b"REGISTER ann secret99 ID Ann\nHELP\n" + b"x" * 4000))
    host(engine)
    recovery = Engine.recover(CONFIG, seed=SEED)
    recovery.snapshot(engine.snapshot().content)
    assert recovery.start(NOW).digest() == engine.digest()


def misuse() -> None:
    with pytest.raises(ApiMisuse):
        new_engine().sent(NOW, 1, 1)
    with pytest.raises(ApiMisuse):
        new_engine().receive(NOW, 1, memoryview(b"PING")[::2])


def panic() -> None:
    with pytest.raises(Poisoned):
        new_engine()._panic()


def serve() -> None:
    with Server():
        pass


@pytest.mark.parametrize(("work", "times"), [(converse, 2000), (misuse, 2000), (panic, 200), (serve, 20)])
def test_memory_stays(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()
    before = resident()
    for _ in range(times):
        work()
    # A thousandth of what the first round used may stay here or there; what leaks comes again each time.
    assert resident() - before < max(256 << 10, times * 100)


def test_an_engine_in_use_stays_as_large_as_it_is() -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"REGISTER ann secret99 ID Ann\nAUTH ann secret99\nSUBSCRIBE\n")
    host(engine)
    number = 0

    def send(times: int) -> None:
        nonlocal number
        for _ in range(times):
            number += 1
            engine.receive(NOW, conn, b"SEND ann %s\nACK %d\n" % (b"x" * 1000, number))
            host(engine)

    send(5000)
    before = resident()
    send(5000)
    assert resident() - before < 1 << 20
