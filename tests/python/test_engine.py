"""The engine: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import array
import inspect
import json
import re
from collections.abc import Callable
from typing import Any, cast

import pytest

import obrolan.engine
from chat import NOW, SEED, drain, new_engine, say, take
from obrolan import Accounts, ApiMisuse, Config, ConfigError, Engine, Limits, Poisoned, Refused
from obrolan.engine import (
    AskHashPassword,
    AskVerifyPassword,
    Close,
    Done,
    Failed,
    FileStored,
    LoggedIn,
    LoginFailed,
    MessageRef,
    Messages,
    Password,
    PasswordHash,
    PasswordMatches,
    Persist,
    Readable,
    Received,
    Registered,
    Throttled,
    Writable,
    hash_password,
    verify_password,
)

PING = b'{"status":"OK","data":"pong"}\r\n\r\n'


def test_two_people_chat() -> None:
    engine = new_engine()
    ann, bob = engine.connect(NOW), engine.connect(NOW, "192.0.2.7")
    for conn, name in ((ann, "ann"), (bob, "bob")):
        assert say(engine, conn, f"REGISTER {name} secret99 ID {name}").startswith(b'{"status":"OK"')
        assert b'"tokenid":"sid_' in say(engine, conn, f"AUTH {name} secret99")
    say(engine, bob, "SUBSCRIBE")
    assert say(engine, ann, "SEND bob halo") == b'{"status":"OK","data":"pesan terkirim","id":1}\r\n\r\n'
    assert take(engine, bob) == (
        b'{"event":"message","id":1,"from":"ann","to":"bob","time":"2026-11-23T09:00:00.000Z","text":"halo"}\r\n\r\n'
    )
    assert (engine.connections, engine.accounts) == (2, 2)


def test_outputs_come_in_order_and_are_made_for_match() -> None:
    engine = Engine(Config(limits=Limits(idle_before_session=1000)), seed=SEED, now=NOW)
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"REGISTER ann secret99 ID Ann\nAUTH ann secret99\nAUTH ann wrong999\nQUIT\n")
    assert list(engine.outputs()) == [
        Registered(conn, "ann"),
        Writable(conn),
        LoggedIn(conn, "ann"),
        LoginFailed(conn),
    ]
    take(engine, conn)
    match list(engine.outputs()):
        case [Close(closed, "quit")]:
            assert closed == conn
        case outputs:
            raise AssertionError(outputs)


def test_an_iterator_that_has_ended_stays_so() -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    outputs = engine.outputs()
    assert list(outputs) == []
    engine.receive(NOW, conn, b"PING\n")
    assert list(outputs) == []
    assert list(engine.outputs()) == [Writable(conn)]


def test_inputs_may_be_given_while_outputs_are_drained() -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"PING\n")
    pongs = 0
    for output in engine.outputs():
        assert output == Writable(conn)
        assert take(engine, conn) == PING
        pongs += 1
        if pongs < 3:
            engine.receive(NOW, conn, b"PING\n")
    assert pongs == 3


def test_what_is_to_be_sent_can_be_taken_in_parts() -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"PING\nPING\n")
    drain(engine)
    assert engine.outgoing(conn, 5) == PING[:5]
    assert engine.outgoing(conn, limit=0) == b""
    engine.sent(NOW, conn, 5)
    assert engine.outgoing(conn) == PING[5:] + PING
    assert engine.outgoing(conn, 10_000) == PING[5:] + PING
    assert engine.outgoing(conn + 1) == b""


def test_what_is_shared_with_others_and_what_is_not_come_as_one() -> None:
    engine = new_engine()
    conns = [engine.connect(NOW) for _ in range(3)]
    for conn in conns:
        say(engine, conn, f"REGISTER user{conn} secret99 ID x")
        say(engine, conn, f"AUTH user{conn} secret99")
        say(engine, conn, "ADD_GROUP g" if conn == conns[0] else "JOIN_GROUP g")
        say(engine, conn, "SUBSCRIBE")
    for text in ("one", "two"):
        say(engine, conns[0], f"SEND_GROUP g {text}")
        engine.receive(NOW, conns[1], b"PING\n")
    whole = engine.outgoing(conns[1])
    assert re.findall(rb'"text":"\w+"|pong', whole) == [b'"text":"one"', b"pong", b'"text":"two"', b"pong"]
    assert b"".join(engine.outgoing(conns[1], at + 7)[at:] for at in range(0, len(whole), 7)) == whole


class Bytes(bytes):
    """A subclass, which is a buffer as any other."""


@pytest.mark.parametrize(
    "data",
    [
        b"PING\n",
        Bytes(b"PING\n"),
        bytearray(b"PING\n"),
        memoryview(b"PING\n"),
        memoryview(bytearray(b"xPING\nx"))[1:-1],
        memoryview(b"xxPING\n")[2:].toreadonly(),
        array.array("B", b"PING\n"),
        memoryview(b"PING\n").cast("B", (5, 1)),
    ],
    ids=repr,
)
def test_any_contiguous_buffer_is_taken(data: bytes | bytearray | memoryview | array.array[int]) -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    assert engine.receive(NOW, conn, data) == Received(5, wants_read=True)
    drain(engine)
    assert take(engine, conn) == PING


def test_a_buffer_can_be_used_again_at_once() -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    buffer = bytearray(b"PING\nPIN")
    engine.receive(NOW, conn, buffer)
    buffer[:] = b"G\n"
    engine.receive(NOW, conn, buffer)
    drain(engine)
    assert take(engine, conn) == PING * 2


@pytest.mark.parametrize("data", [memoryview(b"P-I-N-G-\n-")[::2], memoryview(b"\nGNIP")[::-1]])
def test_bytes_that_do_not_stand_one_after_the_other_are_refused(data: memoryview) -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    with pytest.raises(ApiMisuse, match="give a contiguous one"):
        engine.receive(NOW, conn, data)
    assert say(engine, conn, "PING") == PING


@pytest.mark.parametrize("data", ["PING\n", None, 5, [80]])
def test_what_is_no_buffer_is_a_type_error(data: Any) -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    with pytest.raises(TypeError, match="bytes-like"):
        engine.receive(NOW, conn, data)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda engine, conn: engine.receive(NOW, conn + 1, b""), "no such connection"),
        (lambda engine, _: engine.receive(NOW, 0, b""), "no such connection"),
        (lambda engine, conn: engine.peer_closed(NOW, conn + 1, "eof"), "no such connection"),
        (lambda engine, conn: engine.peer_closed(NOW, conn, "away"), 'give one of ["eof", "gone"]'),
        (lambda engine, conn: engine.sent(NOW, conn, 1), "1 bytes sent where outgoing had 0"),
        (lambda engine, _: engine.persisted(NOW, 1), "the record 1 is not on its way"),
        (lambda engine, _: engine.persist_failed(NOW, 1), "the record 1 is not on its way"),
        (lambda engine, _: engine.answer(NOW, 1, Done()), "no work is asked under this ticket"),
        (lambda engine, _: engine.answer(NOW, 1, FileStored(b"short", 5)), "a SHA-256 has 32 bytes"),
        (lambda engine, _: engine.connect(NOW, "localhost"), '"localhost" is no IP address'),
        (lambda engine, _: engine.restore(NOW, Engine.recover(seed=SEED)), "whose store failed"),
        (lambda *_: Engine(seed=b"short", now=NOW), "the seed has 5 bytes"),
        (lambda *_: Engine.recover(seed=bytes(33)), "the seed has 33 bytes"),
        (lambda *_: cast("Any", Config)(passwords="outside"), '"outside" is not known here'),
        (lambda *_: Password(""), "no password"),
        (lambda *_: hash_password(Password("secret99"), b"salt"), "the salt has 4 bytes"),
    ],
)
def test_misuse_is_told_and_changes_nothing(call: Callable[[Any, int], object], says: str) -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    digest = engine.digest()
    with pytest.raises(ApiMisuse, match=re.escape(says)):
        call(engine, conn)
    assert list(engine.outputs()) == []
    assert engine.digest() == digest
    assert say(engine, conn, "PING") == PING


def test_bytes_after_the_end_of_the_stream_are_misuse() -> None:
    engine = new_engine()
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"PING\nPING")
    engine.peer_closed(NOW, conn, "eof")
    with pytest.raises(ApiMisuse, match="bytes after the end of the stream"):
        engine.receive(NOW, conn, b"\n")
    drain(engine)
    assert take(engine, conn) == PING * 2
    assert drain(engine) == [Close(conn, "peer_closed")]


@pytest.mark.parametrize("answer", [None, b"hash", "Done", Done])
def test_what_is_no_answer_is_a_type_error(answer: Any) -> None:
    engine = new_engine()
    with pytest.raises(TypeError, match="an answer is a PasswordHash, "):
        engine.answer(NOW, 1, answer)


def test_negative_numbers_are_no_times_and_no_limits() -> None:
    engine = new_engine()
    with pytest.raises(OverflowError):
        engine.connect(-1)
    with pytest.raises(OverflowError):
        Limits(users=-1)


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::1", "fe80::1%eth0"])
def test_logins_are_throttled_by_the_address_of_the_peer(peer: str) -> None:
    engine = Engine(Config(passwords="host"), seed=SEED, now=NOW)
    conn = engine.connect(NOW, peer)
    for _ in range(100):
        engine.receive(NOW, conn, b"AUTH ann wrong999\n")
        for output in drain(engine):
            match output:
                case AskVerifyPassword(ticket):
                    engine.answer(NOW, ticket, PasswordMatches(matches=False))
                case Throttled():
                    assert output.conn == conn
                    return
    raise AssertionError("a hundred attempts were let through")


def test_connections_beyond_the_limit_and_after_shutdown_are_refused() -> None:
    engine = Engine(Config(limits=Limits(connections=1)), seed=SEED, now=NOW)
    conn = engine.connect(NOW)
    with pytest.raises(Refused, match="as many connections as the limit allows") as refused:
        engine.connect(NOW)
    assert refused.value.reason == "too_many"
    engine.shutdown(NOW)
    assert drain(engine) == [Close(conn, "stopping")]
    with pytest.raises(Refused, match="the server is stopping") as refused:
        engine.connect(NOW)
    assert refused.value.reason == "stopping"


def test_timeouts_are_when_the_engine_says() -> None:
    engine = Engine(Config(limits=Limits(idle_before_session=1000)), seed=SEED, now=NOW)
    assert engine.next_timeout() is None
    conn = engine.connect(NOW)
    assert engine.next_timeout() == NOW + 1000
    engine.handle_timeout(NOW + 999)
    assert drain(engine) == []
    engine.handle_timeout(NOW + 1000)
    assert drain(engine) == [Close(conn, "idle")]


def test_a_slow_reader_is_read_from_again_when_it_has_read() -> None:
    engine = Engine(Config(limits=Limits(output_buffer=10)), seed=SEED, now=NOW)
    conn = engine.connect(NOW)
    assert engine.receive(NOW, conn, b"PING\nPING\n") == Received(5, wants_read=False)
    assert not engine.wants_read(conn)
    assert drain(engine) == []
    take(engine, conn)
    assert list(engine.outputs()) == [Readable(conn)]
    assert engine.wants_read(conn)


def test_passwords_are_hashed_by_the_host_as_by_the_engine() -> None:
    engine = Engine(Config(passwords="host"), seed=SEED, now=NOW)
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"REGISTER ann secret99 ID Ann\n")
    [ask] = drain(engine)
    assert isinstance(ask, AskHashPassword)
    assert (ask.password.expose(), len(ask.salt)) == ("secret99", 16)
    with pytest.raises(ApiMisuse, match="not of the kind that was asked for"):
        engine.answer(NOW, ask.ticket, PasswordMatches(matches=True))
    phc = hash_password(ask.password, memoryview(ask.salt))
    engine.answer(NOW, ask.ticket, PasswordHash(phc))
    drain(engine)
    assert take(engine, conn) == b'{"status":"OK","data":"registrasi berhasil"}\r\n\r\n'

    engine.receive(NOW, conn, b"AUTH ann secret99\n")
    [verify] = drain(engine)
    assert isinstance(verify, AskVerifyPassword)
    assert verify == AskVerifyPassword(verify.ticket, Password("secret99"), phc)
    assert verify_password(verify.password, verify.hash)
    assert not verify_password(Password("secret98"), verify.hash)
    engine.answer(NOW, verify.ticket, Failed())
    drain(engine)
    assert b'"code":"unavailable"' in take(engine, conn)


def test_a_journal_holds_answers_back_until_it_is_written() -> None:
    engine = Engine(Config(persistence=True, messages="host"), seed=SEED, now=NOW)
    conn = engine.connect(NOW)
    for line in (b"REGISTER ann secret99 ID Ann\n", b"AUTH ann secret99\n", b"SEND ann halo\n"):
        engine.receive(NOW, conn, line)
    records = [output for output in drain(engine) if isinstance(output, Persist)]
    assert [record.seq for record in records] == [1, 2, 3]
    assert engine.outgoing(conn) == b""
    message = records[2].message
    assert message is not None
    assert (message.id, message.prev) == (1, 0)
    assert json.loads(records[2].record[message.body_at :])["text"] == "halo"
    engine.persisted(NOW, 2)
    assert list(engine.outputs()) == [Writable(conn)]
    assert take(engine, conn).count(b"OK") == 2
    engine.persist_failed(NOW, 3)
    drain(engine)
    assert b'"code":"unavailable"' in take(engine, conn)


def test_a_fault_poisons_the_engine_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    engine, other = new_engine(), new_engine()
    conn = engine.connect(NOW)
    outputs = engine.outputs()
    with pytest.raises(Poisoned, match="a fault in obrolan, please report it: somebody called _panic"):
        engine._panic()
    assert "somebody called _panic" in capfd.readouterr().err
    for call in (
        lambda: engine.connect(NOW),
        lambda: engine.receive(NOW, conn, b"PING\n"),
        lambda: next(outputs),
        lambda: list(engine.outputs()),
        lambda: engine.outgoing(conn),
        lambda: engine.snapshot(),
        lambda: engine.accounts,
        lambda: engine._panic(),
    ):
        with pytest.raises(Poisoned, match="an earlier call met a fault"):
            call()
    assert say(other, other.connect(NOW), "PING") == PING


def test_an_impossible_configuration_is_refused() -> None:
    for config, says in (
        (Config(limits=Limits(users=0)), "the limit users is 0"),
        (Config(realm="no name"), 'the realm "no name" is no name'),
        (Config(messages="host"), "set persistence"),
    ):
        with pytest.raises(ConfigError, match=says):
            Engine(config, seed=SEED, now=NOW)
        with pytest.raises(ConfigError, match=says):
            Engine.recover(config, seed=SEED)


def test_the_defaults_of_a_configuration() -> None:
    config = Config()
    assert (config.realm, config.persistence, config.passwords) == ("localhost", False, "inside")
    assert config.accounts == Accounts(registration_open=True, min_password_length=1, admins=[])
    assert config.limits == Limits()
    assert (config.limits.line, config.limits.session_idle) == (1 << 20, 30 * 24 * 3_600_000)
    assert config == Config(realm="localhost") != Config(realm="example")
    assert Accounts(admins=["ann", "bob"]).admins == ("ann", "bob")


VALUES = [
    value
    for _, value in inspect.getmembers(obrolan.engine, inspect.isclass)
    if "__match_args__" in vars(value)
]


def test_there_are_value_classes() -> None:
    assert {Config, Persist, MessageRef, AskHashPassword, Registered, PasswordHash} <= set(VALUES)
    assert len(VALUES) > 25


@pytest.mark.parametrize("value", VALUES)
def test_values_are_named_after_their_fields(value: Any) -> None:
    fields = {name for name, member in vars(value).items() if inspect.isgetsetdescriptor(member)}
    assert set(value.__match_args__) == fields
    assert tuple(inspect.signature(value).parameters) == value.__match_args__
    with pytest.raises(TypeError):
        type("Sub", (value,), {})


@pytest.mark.parametrize(
    "value", [Config(), Limits(), Writable(1), Persist(1, b"", None), PasswordHash("hash")]
)
def test_values_do_not_change(value: Any) -> None:
    for name in (*value.__match_args__, "other"):
        with pytest.raises(AttributeError):
            setattr(value, name, None)


def test_values_are_compared_by_what_they_hold() -> None:
    persist = Persist(7, b"record", MessageRef(3, 2, 1))
    assert persist == Persist(seq=7, record=bytearray(b"record"), message=MessageRef(3, 2, 1))
    assert hash(persist) == hash(Persist(7, b"record", MessageRef(3, 2, 1)))
    assert persist != Persist(7, b"record", None)
    assert persist != (7, b"record", MessageRef(3, 2, 1))
    assert Writable(1) != Readable(1)
    assert Messages([b"one", bytearray(b"two")]).bodies == (b"one", b"two")
    assert {Done(): "done"}[Done()] == "done"
    ask = AskHashPassword(1, Password("secret99"), bytes(16))
    assert {ask: "asked"}[AskHashPassword(1, Password("secret99"), bytes(16))] == "asked"
    assert ask != AskHashPassword(1, Password("secret98"), bytes(16))


def test_what_is_shown_of_a_value_is_fit_for_a_log() -> None:
    assert repr(Persist(7, b"record", MessageRef(3, 2, 1))) == (
        "Persist(seq=7, record=<6 bytes>, message=MessageRef(id=3, prev=2, body_at=1))"
    )
    assert repr(Close(1, "quit")) == "Close(conn=1, reason='quit')"
    assert repr(Registered(1, "a\nb")) == r"Registered(conn=1, user='a\nb')"
    assert repr(Messages([b"one"])) == "Messages(bodies=<1 buffers>)"
    assert repr(Done()) == "Done()"
    ask = AskVerifyPassword(1, Password("secret99"), "$argon2id$hash")
    assert repr(ask) == "AskVerifyPassword(ticket=1, password=Password(…), hash=<hidden>)"
    for shown in (repr(PasswordHash("$argon2id$hash")), str(ask.password), f"{ask.password!r}"):
        assert "secret" not in shown
        assert "argon2id" not in shown
