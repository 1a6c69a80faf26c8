"""A host of the engine in memory, in the three ways that transcripts are played, and what all of them do."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from obrolan import Accounts, Config, Engine, Limits, Recovery, Refused
from obrolan.engine import (
    Answer,
    Ask,
    AskAppendUpload,
    AskDropUpload,
    AskFinishUpload,
    AskHashPassword,
    AskReadFile,
    AskReadHistory,
    AskReadMessages,
    AskVerifyPassword,
    Close,
    Done,
    FileBytes,
    FileStored,
    History,
    LoggedIn,
    LoginFailed,
    Messages,
    Password,
    PasswordHash,
    PasswordMatches,
    Persist,
    Readable,
    Registered,
    Throttled,
    Writable,
)
from transcript import Wrong, milliseconds

#: How an engine is hosted: with nothing kept; with a journal that tells late that it is written, messages and files being the host's;
#: with a journal and snapshots, bytes coming and going one by one. Passwords are the host's always: argon2id takes its time.
Kind = Literal["memory", "journal", "bytes"]

#: 2026-11-23T09:00:00.000Z.
START = 1_795_424_400_000

#: Records after which a host with snapshots makes one.
SNAPSHOT_EVERY = 5

#: What a host says to a connection that the engine does not take, before it closes it.
REFUSED = b'{"status":"ERROR","data":"request tidak dikenali","code":"busy"}'

END = b"\r\n\r\n"


@dataclass
class Conn:
    """A connection, as its host sees it, and its peer, who sees what came."""

    #: None once the engine does not know it any more.
    id: int | None
    #: What the engine has not taken yet.
    input: bytearray = field(default_factory=bytearray)
    wants_read: bool = True
    half_closed: bool = False
    reads: bool = True
    #: What came after the last whole frame.
    unended: bytearray = field(default_factory=bytearray)
    #: Frames; None is the end of the stream.
    came: deque[bytes | None] = field(default_factory=deque)

    def read(self, content: bytes) -> list[bytes]:
        """Take what came, and return the frames that are whole now."""
        at = max(len(self.unended) - len(END) + 1, 0)
        self.unended += content
        frames = []
        while (end := self.unended.find(END, at)) >= 0:
            frames.append(bytes(self.unended[:end]))
            del self.unended[: end + len(END)]
            at = 0
        return frames


@dataclass
class Store:
    """What a host keeps of its journal."""

    snapshot: bytes | None = None
    #: The records after the snapshot.
    journal: list[tuple[int, bytes]] = field(default_factory=list)
    #: Where in the journal the records begin that the engine was not told of as durable.
    on_their_way: int = 0
    #: With the record that brought each, and the message before it.
    bodies: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
    fails: bool = False
    failed: bool = False


class Host:
    """An engine with its connections and its store."""

    def __init__(self, kind: Kind, settings: dict[str, object]) -> None:
        """Start an engine that knows nobody."""
        self.kind = kind
        self.config = configured(kind, settings)
        self.engine = Engine(self.config, seed=bytes(32), now=START)
        self.now = START
        self.starts = 1
        self.conns: dict[str, Conn] = {}
        self.store = Store()
        self.asked: deque[Ask] = deque()
        self.uploads: dict[int, bytearray] = {}
        self.contents: dict[bytes, bytes] = {}
        self.passwords_wait = False

    def connect(self, name: str, address: str | None) -> None:
        """Open a connection."""
        try:
            self.conns[name] = Conn(self.engine.connect(self.now, address))
        except Refused:
            self.conns[name] = Conn(None, came=deque([REFUSED, None]))

    def send(self, name: str, content: bytes) -> None:
        """Let a peer send."""
        self.now += 1
        self.conns[name].input += content
        self.settle()

    def half_close(self, name: str) -> None:
        """Let a peer send no more, and still read."""
        self.conns[name].half_closed = True
        self.settle()

    def close(self, name: str) -> None:
        """Let a peer be gone."""
        conn = self.conns.pop(name)
        if conn.id is not None:
            self.engine.peer_closed(self.now, conn.id, "gone")
        self.settle()

    def set_reading(self, name: str, *, reads: bool) -> None:
        """Let a peer stop reading, or read again."""
        conn = self.conns[name]
        conn.reads = reads
        if conn.id is not None:
            self.take(conn.id)
        self.settle()

    def settle(self) -> None:
        """Give the engine what it waits for until it waits for nothing: what is durable last of all."""
        self.drain()
        while self.offer_input() or self.answer() or self.persist():
            self.drain()
        store = self.store
        if self.kind == "bytes" and len(store.journal) >= SNAPSHOT_EVERY and not store.failed:
            snapshot = self.engine.snapshot()
            assert snapshot.seq == store.journal[-1][0]
            self.store.snapshot = snapshot.content
            store.journal.clear()
            store.on_their_way = 0

    def drain(self) -> None:
        """Do what the engine wants done."""
        for output in self.engine.outputs():
            match output:
                case Persist(seq, record, message):
                    if message is not None and self.config.messages == "host":
                        self.store.bodies[message.id] = (seq, message.prev, record[message.body_at :])
                        record = record[: message.body_at]
                    self.store.journal.append((seq, record))
                case Writable(conn):
                    self.take(conn)
                case Readable(conn):
                    self.by_id(conn).wants_read = True
                case Close(conn):
                    closed = self.by_id(conn)
                    closed.id = None
                    closed.came.append(None)
                case Registered() | LoggedIn() | LoginFailed() | Throttled():
                    pass
                case _:
                    self.asked.append(output)

    def piece(self, length: int) -> int:
        """Return how many bytes go at once, of a text of this length: of a long one more than one, as that takes its time too."""
        return 1 + length // 1024 if self.kind == "bytes" else 1 << 30

    def by_id(self, conn: int) -> Conn:
        """Return the connection of which the engine speaks."""
        return next(known for known in self.conns.values() if known.id == conn)

    def take(self, conn: int) -> None:
        """Take what may leave on a connection."""
        records_on_their_way = self.store.on_their_way < len(self.store.journal)
        peer = self.by_id(conn)
        while peer.reads and (content := self.engine.outgoing(conn, self.piece(len(peer.unended)))):
            self.engine.sent(self.now, conn, len(content))
            for frame in peer.read(content):
                if records_on_their_way and not reveals_nothing(frame):
                    raise Wrong(f"this left before the records it could reveal were durable: {frame!r}")
                peer.came.append(frame)

    def offer_input(self) -> bool:
        """Offer the input that waits; return whether there was some."""
        offered = False
        for conn in list(self.conns.values()):
            while conn.id is not None and conn.wants_read and conn.input:
                received = self.engine.receive(
                    self.now, conn.id, bytes(conn.input[: self.piece(len(conn.input))])
                )
                assert received.consumed > 0 or not received.wants_read, "it wants to read, and takes nothing"
                del conn.input[: received.consumed]
                conn.wants_read = received.wants_read
                offered = True
                self.drain()
            if conn.half_closed and conn.id is not None and not conn.input and conn.wants_read:
                conn.wants_read = False
                self.engine.peer_closed(self.now, conn.id, "eof")
                self.drain()
                offered = True
        return offered

    def answer(self) -> bool:
        """Do the oldest work that is asked for and may be done now; return whether there was some."""
        for ask in self.asked:
            if not self.passwords_wait or not isinstance(ask, AskHashPassword | AskVerifyPassword):
                self.asked.remove(ask)
                self.engine.answer(self.now, ask.ticket, self.worked(ask))
                return True
        return False

    def worked(self, ask: Ask) -> Answer:
        """Do some work."""
        match ask:
            case AskHashPassword(_, password):
                return PasswordHash(hashed(password))
            case AskVerifyPassword(_, password, right):
                return PasswordMatches(hashed(password) == right)
            case AskReadMessages(_, ids, budget):
                bodies: list[bytes] = []
                for number in ids:
                    if sum(map(len, bodies)) > budget:
                        break
                    bodies.append(self.store.bodies[number][2])
                return Messages(bodies)
            case AskReadHistory():
                return self.read_history(ask)
            case AskAppendUpload(_, upload, offset, content):
                held = self.uploads.setdefault(upload, bytearray())
                assert offset <= len(held), "a part that leaves a hole"
                held[offset:] = content
                return Done()
            case AskFinishUpload(_, upload):
                whole = bytes(self.uploads.pop(upload))
                sha256 = hashlib.sha256(whole).digest()
                self.contents[sha256] = whole
                return FileStored(sha256, len(whole))
            case AskDropUpload(_, upload):
                self.uploads.pop(upload, None)
                return Done()
            case AskReadFile(_, sha256, offset, length):
                return FileBytes(self.contents[sha256][offset : offset + length])

    def read_history(self, ask: AskReadHistory) -> History:
        """Read a conversation backwards."""
        anchor = None if ask.before is None else self.store.bodies[ask.before]
        following = ask.newest if anchor is None else anchor[1]
        messages: list[bytes] = []
        while following > ask.floor and len(messages) < ask.limit and sum(map(len, messages)) <= ask.budget:
            _, prev, body = self.store.bodies[following]
            messages.append(body)
            following = prev
        before = None if anchor is None else anchor[2]
        return History(before, messages, following > ask.floor)

    def persist(self) -> bool:
        """Tell that all records are durable, or that they will not be; return whether some were on their way."""
        store = self.store
        if store.on_their_way == len(store.journal):
            return False
        first, last = store.journal[store.on_their_way][0], store.journal[-1][0]
        if store.fails:
            del store.journal[store.on_their_way :]
            store.bodies = {number: body for number, body in store.bodies.items() if body[0] < first}
            store.failed = True
            self.engine.persist_failed(self.now, first)
        else:
            store.on_their_way = len(store.journal)
            self.engine.persisted(self.now, last)
        return True

    def recovery(self) -> Recovery:
        """Return what is durable, read back."""
        self.starts += 1
        recovery = Engine.recover(self.config, seed=bytes([self.starts] * 32))
        if self.store.snapshot is not None:
            recovery.snapshot(self.store.snapshot)
        for seq, record in self.store.journal:
            recovery.record(seq, record)
        return recovery

    def restart(self) -> None:
        """End without a word, and start again from what is durable."""
        digest = self.engine.digest()
        self.engine = self.recovery().start(self.now)
        assert self.engine.digest() == digest, "the records made another state than the requests"
        self.conns.clear()
        self.asked.clear()
        self.uploads.clear()

    def stop(self) -> None:
        """Stop gracefully."""
        self.engine.shutdown(self.now)
        self.settle()

    def store_works(self) -> None:
        """Let the store work again, and the engine go on from what is durable."""
        self.store.fails = False
        if self.store.failed:
            self.store.failed = False
            self.engine.restore(self.now, self.recovery())
        self.settle()

    def wait(self, duration: int) -> None:
        """Let time pass."""
        until = self.now + duration
        while (due := self.engine.next_timeout()) is not None and due <= until:
            self.now = max(self.now, due)
            self.engine.handle_timeout(self.now)
            self.settle()
            again = self.engine.next_timeout()
            assert again is None or again > self.now, "after a timeout, the engine wants another one at once"
        self.now = until
        self.settle()


def hashed(password: Password) -> str:
    """Stand for argon2id, which takes its time."""
    return f"hashed {password.expose()}"


def reveals_nothing(frame: bytes) -> bool:
    """Return whether a frame may leave whatever the journal does: it is the same whatever was changed."""
    fields: dict[str, Any] = json.loads(frame)
    if "code" in fields:
        return fields["code"] in {
            "unknown_request",
            "bad_parameters",
            "too_long",
            "invalid_utf8",
            "busy",
            "unavailable",
        }
    return fields.get("data") in {"pong", "sampai jumpa"} or "requests" in fields


def configured(kind: Kind, settings: dict[str, object]) -> Config:
    """Return the engine's configuration with the settings of a transcript, which are those of a server."""
    config: dict[str, Any] = {
        "persistence": kind != "memory",
        "passwords": "host",
        "messages": "host" if kind == "journal" else "inside",
        "files": "host" if kind == "journal" else "inside",
    }
    accounts: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for key, value in settings.items():
        match key.split("."):
            case ["accounts", "registration"]:
                accounts["registration_open"] = value == "open"
            case ["accounts", "list_users"]:
                accounts["list_users_needs_session"] = value == "sessions"
            case ["accounts", name]:
                accounts[name] = value
            case ["limits", name]:
                limits[name] = milliseconds(value) if isinstance(value, str) else value
            case [name]:
                config[name] = value
    return Config(accounts=Accounts(**accounts), limits=Limits(**limits), **config)
