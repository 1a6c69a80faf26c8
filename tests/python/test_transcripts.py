"""Plays tests/transcripts through obrolan.Engine."""

from typing import get_args

import pytest

import transcript
from host import Host, Kind
from transcript import Captures, Connect, Expect, Happen, Peer, Send, Transcript, Wait, Wrong

#: What a kind of host cannot do.
LACKS = {
    "memory": {"the server restarts", "the store fails", "the store works"},
    "journal": {"limits.memory_messages", "limits.memory_files"},
    "bytes": set[str](),
}


def played_by(kind: Kind, script: Transcript) -> bool:
    wants = {act.what for _, act in script.acts if isinstance(act, Happen)} | set(script.settings)
    return not wants & LACKS[kind]


PLAYED = [
    pytest.param(kind, script, id=f"{kind}-{script.name}")
    for script in map(transcript.read, transcript.names())
    for kind in get_args(Kind)
    if played_by(kind, script)
]


@pytest.mark.parametrize(("kind", "script"), PLAYED)
def test_transcript(kind: Kind, script: Transcript) -> None:
    host = Host(kind, script.settings)
    captures = Captures()
    line = 0
    try:
        for number, act in script.acts:
            line = number
            if not isinstance(act, Expect) and not (
                isinstance(act, Peer) and act.what in {"nothing", "closed"}
            ):
                nothing_left(host)
            play(host, captures, act)
        nothing_left(host)
        if host.config.persistence:
            host.restart()
    except Exception as error:
        error.args = (f"tests/transcripts/{script.name}.txt:{line}: {error}",)
        raise


def play(host: Host, captures: Captures, act: transcript.Act) -> None:
    match act:
        case Connect(name, address):
            host.connect(name, address)
        case Send(name, content):
            host.send(name, captures.filled(content))
        case Expect(name, frame):
            came = received(host, name)
            if came is None:
                raise Wrong(f"{name} is closed, where a frame should come")
            try:
                captures.compare(frame, came)
            except Wrong as wrong:
                raise Wrong(f"{name}< {came!r}: {wrong}") from None
        case Peer(name, "nothing"):
            nothing_for(host, name)
        case Peer(name, "closed"):
            if (came := received(host, name)) is not None:
                raise Wrong(f"{name}< {came!r}, where it should be closed")
            del host.conns[name]
        case Peer(name, "closes"):
            host.close(name)
        case Peer(name, "sends no more"):
            host.half_close(name)
        case Peer(name, what):
            host.set_reading(name, reads=what == "reads again")
        case Wait(time):
            host.wait(time)
        case Happen(what):
            happen(host, what)


def happen(host: Host, what: str) -> None:
    match what:
        case "the server restarts":
            host.restart()
        case "the server stops":
            host.stop()
        case "the store fails":
            host.store.fails = True
        case "the store works":
            host.store_works()
        case "passwords wait":
            host.passwords_wait = True
        case "passwords go on":
            host.passwords_wait = False
            host.settle()


def received(host: Host, name: str) -> bytes | None:
    conn = host.conns[name]
    if not conn.came:
        raise Wrong(f"nothing comes to {name}" + (f" but {conn.unended!r}" if conn.unended else ""))
    return conn.came.popleft()


def nothing_left(host: Host) -> None:
    for name in host.conns:
        nothing_for(host, name)


def nothing_for(host: Host, name: str) -> None:
    conn = host.conns[name]
    if conn.came or conn.unended:
        raise Wrong(f"{name} is also sent {list(conn.came) or conn.unended!r}")


def test_every_transcript_is_played() -> None:
    played = {
        script.name for script in (param.values[1] for param in PLAYED) if isinstance(script, Transcript)
    }
    assert played == set(transcript.names())
