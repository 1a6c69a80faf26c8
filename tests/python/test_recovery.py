"""From a snapshot and a journal back to an engine."""

from __future__ import annotations

import pytest

from chat import NOW, SEED, drain, say, take
from obrolan import ApiMisuse, Config, Engine, Recovery, RecoveryError
from obrolan.engine import Persist

CONFIG = Config(persistence=True)

LINES = [
    "REGISTER ann secret99 ID Ann",
    "AUTH ann secret99",
    "ADD_GROUP g",
    "SEND ann one",
    "SEND_GROUP g two",
    "ACK 1",
]


def conversation() -> tuple[Engine, list[Persist]]:
    engine = Engine(CONFIG, seed=SEED, now=NOW)
    return engine, talk(engine)


def talk(engine: Engine) -> list[Persist]:
    conn = engine.connect(NOW)
    journal: list[Persist] = []
    for line in LINES:
        engine.receive(NOW, conn, f"{line}\n".encode())
        records = [output for output in drain(engine) if isinstance(output, Persist)]
        for record in records:
            engine.persisted(NOW, record.seq)
        journal += records
        drain(engine)
        assert take(engine, conn).startswith(b'{"status":"OK"'), line
    return journal


def recovered(journal: list[Persist]) -> Recovery:
    recovery = Engine.recover(CONFIG, seed=bytes(32))
    for record in journal:
        recovery.record(record.seq, record.record)
    return recovery


def test_the_journal_makes_the_same_state() -> None:
    engine, journal = conversation()
    assert [record.seq for record in journal] == list(range(1, len(journal) + 1))
    again = recovered(journal).start(NOW)
    assert again.digest() == engine.digest()
    assert len(engine.digest()) == 32
    assert again.accounts == 1
    assert again.connections == 0
    assert engine.digest() != recovered(journal[:-1]).start(NOW).digest()


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_a_snapshot_stands_for_the_records_before_it(buffer: type[bytes | bytearray | memoryview]) -> None:
    engine, journal = conversation()
    snapshot = engine.snapshot()
    assert snapshot.seq == len(journal)
    assert repr(snapshot) == f"Snapshot(seq={len(journal)}, content=<{len(snapshot.content)} bytes>)"

    recovery = Engine.recover(CONFIG, seed=bytes(32))
    recovery.snapshot(buffer(snapshot.content))
    again = recovery.start(NOW)
    assert again.digest() == engine.digest()
    assert again.snapshot() == snapshot
    conn = again.connect(NOW)
    again.receive(NOW, conn, b"AUTH ann secret99\n")
    assert [output.seq for output in again.outputs() if isinstance(output, Persist)] == [snapshot.seq + 1]


def test_damage_is_told_and_ends_the_recovery() -> None:
    _, journal = conversation()
    for damaged, says in (
        ([journal[0], journal[2]], "record 2 should come next, but 3 did"),
        ([journal[0], journal[0]], "record 2 should come next, but 1 did"),
        ([Persist(1, b"\xff\xff", None)], "record 1 does not read"),
    ):
        recovery = Engine.recover(CONFIG, seed=SEED)
        for record in damaged[:-1]:
            recovery.record(record.seq, record.record)
        with pytest.raises(RecoveryError, match=says):
            recovery.record(damaged[-1].seq, damaged[-1].record)
        with pytest.raises(ApiMisuse, match="begin a new one"):
            recovery.record(1, journal[0].record)
        with pytest.raises(ApiMisuse, match="begin a new one"):
            recovery.start(NOW)


def test_a_snapshot_that_is_none_or_comes_late_is_told() -> None:
    engine, journal = conversation()
    for content, says in (
        (b"", "it is empty"),
        (b"\x63", "layout 99"),
        (engine.snapshot().content[:-1], "does not read"),
    ):
        with pytest.raises(RecoveryError, match=says):
            Engine.recover(CONFIG, seed=SEED).snapshot(content)
    recovery = recovered(journal)
    with pytest.raises(RecoveryError, match="before the records"):
        recovery.snapshot(engine.snapshot().content)


def test_bodies_that_the_host_kept_are_missed() -> None:
    engine = Engine(Config(persistence=True, messages="host"), seed=SEED, now=NOW)
    recovery = Engine.recover(CONFIG, seed=SEED)
    # Without the last record, by which the message was confirmed.
    for record in talk(engine)[:-1]:
        recovery.record(
            record.seq, record.record[: record.message.body_at] if record.message else record.record
        )
    with pytest.raises(RecoveryError, match="message 1 has no body in the journal"):
        recovery.start(NOW)


def test_a_recovery_starts_one_engine() -> None:
    recovery = recovered(conversation()[1])
    recovery.start(NOW)
    with pytest.raises(ApiMisuse, match="has started its engine"):
        recovery.start(NOW)


def test_the_engine_goes_on_from_its_store_when_that_works_again() -> None:
    engine, journal = conversation()
    durable = engine.digest()
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"REGISTER bob secret99 ID Bob\n")
    [record] = [output for output in drain(engine) if isinstance(output, Persist)]
    engine.persist_failed(NOW, record.seq)
    drain(engine)
    assert b'"code":"unavailable"' in take(engine, conn)
    with pytest.raises(ApiMisuse, match="the store failed"):
        engine.snapshot()

    with pytest.raises(ApiMisuse, match="it read too little of the store"):
        engine.restore(NOW, recovered(journal[:-1]))
    recovery = recovered(journal)
    engine.restore(NOW, recovery)
    assert engine.digest() == durable
    assert engine.connections == 2
    with pytest.raises(ApiMisuse, match="has started its engine"):
        engine.restore(NOW, recovery)
    assert say(engine, conn, "AUTH bob secret99").count(b"bad_credentials") == 1
