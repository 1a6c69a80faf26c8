"""The part of obrolan that is written in Rust. Import its names from obrolan and obrolan.engine."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, final, overload

from typing_extensions import Buffer, Self

from obrolan.engine import Answer, Output
from obrolan.events import Event, Response

__all__ = [
    "Accounts",
    "AskAppendUpload",
    "AskDropUpload",
    "AskFinishUpload",
    "AskHashPassword",
    "AskReadFile",
    "AskReadHistory",
    "AskReadMessages",
    "AskVerifyPassword",
    "Close",
    "Config",
    "Done",
    "Engine",
    "Failed",
    "FileBytes",
    "FileStored",
    "History",
    "Limits",
    "LoggedIn",
    "LoginFailed",
    "MessageRef",
    "Messages",
    "Outputs",
    "Password",
    "PasswordHash",
    "PasswordMatches",
    "Persist",
    "RawClient",
    "Readable",
    "Received",
    "Recovery",
    "Registered",
    "Server",
    "Snapshot",
    "Throttled",
    "Writable",
    "__version__",
    "hash_password",
    "main",
    "parse_url",
    "register",
    "verify_password",
]

__version__: Final[str]

_Setting: TypeAlias = str | int | bool | os.PathLike[str] | Sequence[str]

@final
class Config:
    """The configuration of an engine."""

    __match_args__ = (
        "realm",
        "accounts",
        "limits",
        "persistence",
        "passwords",
        "messages",
        "files",
    )
    def __new__(
        cls,
        *,
        realm: str = ...,
        accounts: Accounts = ...,
        limits: Limits = ...,
        persistence: bool = ...,
        passwords: Literal["inside", "host"] = ...,
        messages: Literal["inside", "host"] = ...,
        files: Literal["inside", "host"] = ...,
    ) -> Self: ...
    @property
    def realm(self) -> str:
        """This server's own name: name@realm means name here."""

    @property
    def accounts(self) -> Accounts:
        """Who may register and log in."""

    @property
    def limits(self) -> Limits:
        """The limits."""

    @property
    def persistence(self) -> bool:
        """Whether the host keeps a journal. If so, Persist tells it of every record, and nothing that a record could reveal leaves
        before Engine.persisted. If not, the engine forgets all when it is dropped.
        """

    @property
    def passwords(self) -> Literal["inside", "host"]:
        """Who hashes and verifies passwords, some 20 ms of work and 19 MiB each: "inside", the engine itself, or "host", who is asked."""

    @property
    def messages(self) -> Literal["inside", "host"]:
        """Who keeps the bodies of messages: "inside" in memory, or "host", who is given them with the journal and so needs persistence."""

    @property
    def files(self) -> Literal["inside", "host"]:
        """Who keeps the contents of files: "inside" in memory and, if there is one, in the journal, or "host"."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Accounts:
    """Who may register and log in."""

    __match_args__ = (
        "registration_open",
        "min_password_length",
        "admins",
        "list_users_needs_session",
        "throttle_loopback",
    )
    def __new__(
        cls,
        *,
        registration_open: bool = ...,
        min_password_length: int = ...,
        admins: Sequence[str] = ...,
        list_users_needs_session: bool = ...,
        throttle_loopback: bool = ...,
    ) -> Self: ...
    @property
    def registration_open(self) -> bool:
        """Whether anybody may register; otherwise admins alone. The first account may always be registered."""

    @property
    def min_password_length(self) -> int:
        """The shortest password, in characters."""

    @property
    def admins(self) -> tuple[str, ...]:
        """The admins' user names. If there are none, the first account registered is the admin."""

    @property
    def list_users_needs_session(self) -> bool:
        """Whether LIST_USERS is for sessions only; others are shown an empty list."""

    @property
    def throttle_loopback(self) -> bool:
        """Whether the limits on attempts to log in hold for peers on this machine too."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Limits:
    """The limits. 0 never means unlimited: it is refused."""

    __match_args__ = (
        "connections",
        "line_before_session",
        "line",
        "input_buffer",
        "output_buffer",
        "output_total",
        "mailbox_messages",
        "sessions_per_user",
        "session_idle",
        "idle_before_session",
        "group_members",
        "groups_per_user",
        "dedupe_keys",
        "users",
        "realms",
        "password_queue",
        "memory_messages",
        "file_size",
        "user_files",
        "uploads_per_user",
        "memory_files",
    )
    def __new__(
        cls,
        *,
        connections: int = ...,
        line_before_session: int = ...,
        line: int = ...,
        input_buffer: int = ...,
        output_buffer: int = ...,
        output_total: int = ...,
        mailbox_messages: int = ...,
        sessions_per_user: int = ...,
        session_idle: int = ...,
        idle_before_session: int = ...,
        group_members: int = ...,
        groups_per_user: int = ...,
        dedupe_keys: int = ...,
        users: int = ...,
        realms: int = ...,
        password_queue: int = ...,
        memory_messages: int = ...,
        file_size: int = ...,
        user_files: int = ...,
        uploads_per_user: int = ...,
        memory_files: int = ...,
    ) -> Self: ...
    @property
    def connections(self) -> int:
        """Connections at a time."""

    @property
    def line_before_session(self) -> int:
        """Bytes of a line on a connection without a session."""

    @property
    def line(self) -> int:
        """Bytes of a line on a connection with a session."""

    @property
    def input_buffer(self) -> int:
        """Bytes of unfinished lines on all connections together, and of parts of files on their way to the host; a line beyond is
        answered "busy".
        """

    @property
    def output_buffer(self) -> int:
        """Bytes waiting to be sent on a connection, beyond which it takes no further request and is pushed no event."""

    @property
    def output_total(self) -> int:
        """Bytes waiting to be sent on all connections together, beyond which a request with a large answer is answered "busy"."""

    @property
    def mailbox_messages(self) -> int:
        """Unconfirmed messages of a user."""

    @property
    def sessions_per_user(self) -> int:
        """Sessions of a user; the oldest makes room."""

    @property
    def session_idle(self) -> int:
        """Milliseconds after which an unused session ends."""

    @property
    def idle_before_session(self) -> int:
        """Milliseconds after which a connection without a session is closed if no request comes. One that is ending is closed after as
        long without a byte sent, whatever is left.
        """

    @property
    def group_members(self) -> int:
        """Members of a group."""

    @property
    def groups_per_user(self) -> int:
        """Groups that a user is in."""

    @property
    def dedupe_keys(self) -> int:
        """Requests of a user that are remembered by their dedupe keys for 24 hours; the oldest make room."""

    @property
    def users(self) -> int:
        """Accounts."""

    @property
    def realms(self) -> int:
        """Realms."""

    @property
    def password_queue(self) -> int:
        """Passwords being hashed or verified at a time; requests beyond are answered "busy"."""

    @property
    def memory_messages(self) -> int:
        """Bytes of message bodies in memory when the engine itself keeps them; messages beyond are answered "busy"."""

    @property
    def file_size(self) -> int:
        """Bytes of a file."""

    @property
    def user_files(self) -> int:
        """Bytes of all files that a user sent or has not finished uploading. A file counts as 4 KiB and 4 bytes for each recipient at
        least.
        """

    @property
    def uploads_per_user(self) -> int:
        """Uploads of a user that are not finished."""

    @property
    def memory_files(self) -> int:
        """Bytes of all files in memory when the engine itself keeps them."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Engine:
    """The engine: accounts, sessions, private and group messages for any number of connections.

    It has no socket, no file, no clock and no thread. The host brings those and keeps to one rule: after every input, do what outputs()
    yields, in that order, until it ends. Several inputs may be given before.

    Times are milliseconds since 1970, the same in all inputs; time that goes backwards counts as standing still. The same seed and the
    same inputs give the same outputs, whatever pieces the bytes come in. Threads may share an engine: it does one thing at a time.

    Raises obrolan.ConfigError if the configuration cannot be kept. seed is 32 random bytes, new at every start: os.urandom(32). Session
    ids and the keys of hashes come from it.
    """

    def __new__(cls, config: Config | None = None, *, seed: Buffer, now: int) -> Self: ...
    @staticmethod
    def recover(config: Config | None = None, *, seed: Buffer) -> Recovery:
        """Begin to rebuild an engine from what its host has stored.

        Raises obrolan.ConfigError if the configuration cannot be kept.
        """

    def connect(self, now: int, peer: str | None = None) -> int:
        """A connection was made, by a peer at this IP address, or by None in this process or on this machine. Returns its number, which is
        not used again.

        Raises obrolan.Refused if it is not taken: close it.
        """

    def receive(self, now: int, conn: int, data: Buffer) -> Received:
        """Bytes came in. Takes as many as it can now; the host offers the others again after Readable.

        The bytes of a bytes object are read where they are; those of any other buffer are copied first.

        Raises obrolan.ApiMisuse if there is no such connection or its stream has ended, and then has changed nothing.
        """

    def peer_closed(self, now: int, conn: int, how: Literal["eof", "gone"]) -> None:
        """The peer ended the connection: "eof" if it sends nothing more and may still read, "gone" if the connection is gone.

        Raises obrolan.ApiMisuse if there is no such connection.
        """

    def outputs(self) -> Outputs:
        """What is to be done, until there is nothing more."""

    def outgoing(self, conn: int, limit: int | None = None) -> bytes:
        """The bytes to be sent on a connection now, at most limit of them; empty if there are none or no such connection. Say with sent how
        many went.

        One bytes object, copied once out of the engine: a view of the engine's memory would hold up its next input.
        """

    def sent(self, now: int, conn: int, n: int) -> None:
        """This many bytes of outgoing were sent.

        Raises obrolan.ApiMisuse if there is no such connection, or there were not so many bytes.
        """

    def wants_read(self, conn: int) -> bool:
        """Whether the connection takes bytes now. If not, Readable tells when it does."""

    def persisted(self, now: int, up_to: int) -> None:
        """All records up to this one are durable. What was held behind them may leave.

        Raises obrolan.ApiMisuse if not all of these are on their way to the journal.
        """

    def persist_failed(self, now: int, first: int) -> None:
        """This record and all after it could not be made durable, and will not be. What was answered in reliance on them becomes
        "unavailable", and so does every request until restore.

        Raises obrolan.ApiMisuse if the record is not on its way to the journal.
        """

    def restore(self, now: int, recovery: Recovery) -> None:
        """The store works again, and this was recovered from it: the engine goes on from there, with its connections. The recovery is over
        then.

        Raises obrolan.ApiMisuse if the store has not failed or too little was recovered, obrolan.RecoveryError as Recovery.start.
        """

    def answer(self, now: int, ticket: int, answer: Answer) -> None:
        """The work of an ask was done. Its connection may be gone by now; then nothing happens.

        Raises obrolan.ApiMisuse if no such work is asked, or the answer is of another kind.
        """

    def next_timeout(self) -> int | None:
        """When to call handle_timeout if nothing comes in before; None if there is nothing to wait for."""

    def handle_timeout(self, now: int) -> None:
        """Do what is due by now: close idle connections, end unused sessions, drop unused uploads."""

    def shutdown(self, now: int) -> None:
        """Take no further connection and no further request. Subscribers are told; what was asked is answered and sent, and every
        connection comes out as Close when it is.
        """

    def snapshot(self) -> Snapshot:
        """The whole state, bodies of messages and contents of files included if the engine keeps them. Takes time and memory in proportion
        to it; other Python threads run meanwhile.

        Raises obrolan.ApiMisuse if the store failed and the engine was not restored.
        """

    def digest(self) -> bytes:
        """SHA-256 of the state: equal states have equal digests."""

    def file_digests(self) -> list[bytes]:
        """The SHA-256 of every content that a message names, some of them more than once. What a host has besides is of no use."""

    @property
    def connections(self) -> int:
        """How many connections are open."""

    @property
    def accounts(self) -> int:
        """How many accounts there are."""

    def _panic(self) -> None:
        """Panics, for the tests of what happens then."""

@final
class Received:
    """What Engine.receive did."""

    __match_args__ = (
        "consumed",
        "wants_read",
    )
    def __new__(cls, consumed: int, wants_read: bool) -> Self: ...
    @property
    def consumed(self) -> int:
        """How many of the bytes were taken. The host offers the others again after Readable."""

    @property
    def wants_read(self) -> bool:
        """Whether the connection takes more now. If not, Readable tells when it does."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Outputs:
    """The outputs of an engine: Engine.outputs makes it."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Output: ...

@final
class Persist:
    """Write a record to the journal. When it is durable, say so with Engine.persisted."""

    __match_args__ = (
        "seq",
        "record",
        "message",
    )
    def __new__(cls, seq: int, record: Buffer, message: MessageRef | None) -> Self: ...
    @property
    def seq(self) -> int:
        """The record's position. The first is 1, and no number is left out."""

    @property
    def record(self) -> bytes:
        """The record."""

    @property
    def message(self) -> MessageRef | None:
        """If the record brings a message: where its body is. A host that keeps bodies on their own stores record[:body_at] in the
        journal and record[body_at:] under the message's number.
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class MessageRef:
    """Where the body of a message is in its record."""

    __match_args__ = (
        "id",
        "prev",
        "body_at",
    )
    def __new__(cls, id: int, prev: int, body_at: int) -> Self: ...
    @property
    def id(self) -> int:
        """The message's number."""

    @property
    def prev(self) -> int:
        """The number of the message before it in the same conversation; 0 if it is the first."""

    @property
    def body_at(self) -> int:
        """Where the body begins in the record; it goes to the record's end."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Writable:
    """Engine.outgoing has bytes for the connection. Told once until all of them are sent."""

    __match_args__ = ("conn",)
    def __new__(cls, conn: int) -> Self: ...
    @property
    def conn(self) -> int:
        """The connection."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Readable:
    """The connection takes bytes again."""

    __match_args__ = ("conn",)
    def __new__(cls, conn: int) -> Self: ...
    @property
    def conn(self) -> int:
        """The connection."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Close:
    """Close the connection; all that was to be sent is sent, or was not read for too long. The engine does not know its number any
    more.
    """

    __match_args__ = (
        "conn",
        "reason",
    )
    def __new__(cls, conn: int, reason: Literal["quit", "peer_closed", "idle", "stopping"]) -> Self: ...
    @property
    def conn(self) -> int:
        """The connection."""

    @property
    def reason(self) -> Literal["quit", "peer_closed", "idle", "stopping"]:
        """Why: "quit" (the peer said QUIT), "peer_closed" (the peer closed its side, and everything was answered), "idle" (no session
        and no request for Limits.idle_before_session) or "stopping" (the engine is shutting down).
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskHashPassword:
    """Hash a password with hash_password. Answered by PasswordHash."""

    __match_args__ = (
        "ticket",
        "password",
        "salt",
    )
    def __new__(cls, ticket: int, password: Password, salt: Buffer) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def password(self) -> Password:
        """The password."""

    @property
    def salt(self) -> bytes:
        """The salt: 16 random bytes."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskVerifyPassword:
    """Verify a password with verify_password. Answered by PasswordMatches."""

    __match_args__ = (
        "ticket",
        "password",
        "hash",
    )
    def __new__(cls, ticket: int, password: Password, hash: str) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def password(self) -> Password:
        """The password."""

    @property
    def hash(self) -> str:
        """The PHC string to verify against."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskReadMessages:
    """Read the bodies of messages, in this order. Answered by Messages. The reader must see every record that came out of the engine
    before this.
    """

    __match_args__ = (
        "ticket",
        "ids",
        "budget",
    )
    def __new__(cls, ticket: int, ids: Sequence[int], budget: int) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The messages, at least one."""

    @property
    def budget(self) -> int:
        """Bytes after which no further body is wanted."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskReadHistory:
    """Read messages of one conversation backwards, each leading to the next by the MessageRef.prev it was stored with. Every message
    read has been given out with its record. Answered by History.
    """

    __match_args__ = (
        "ticket",
        "newest",
        "before",
        "floor",
        "limit",
        "budget",
    )
    def __new__(
        cls, ticket: int, newest: int, before: int | None, floor: int, limit: int, budget: int
    ) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def newest(self) -> int:
        """The conversation's last message: the first to be read, if there is no before."""

    @property
    def before(self) -> int | None:
        """If given, this message itself, which may be of any conversation, is read too; the first after it is the one before it."""

    @property
    def floor(self) -> int:
        """Messages up to this one are not to be read."""

    @property
    def limit(self) -> int:
        """How many are wanted at most; 1 or more."""

    @property
    def budget(self) -> int:
        """Bytes of bodies after which no further one is wanted."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskAppendUpload:
    """Keep a part of an upload. Answered by Done. What is asked about one upload is done in order; it needs not outlive the host."""

    __match_args__ = (
        "ticket",
        "upload",
        "offset",
        "content",
    )
    def __new__(cls, ticket: int, upload: int, offset: int, content: Buffer) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def upload(self) -> int:
        """The upload's number. The engine counts them from 1, anew at every start."""

    @property
    def offset(self) -> int:
        """Where the part begins: at the upload's end, where its last part began, or at 0. What is there from here on is replaced. If
        this fails, the upload ends here.
        """

    @property
    def content(self) -> bytes:
        """The part."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskFinishUpload:
    """Keep an upload for good, under the SHA-256 of its content. Answered by FileStored when it is durable; the upload is over then.
    Equal contents are kept once.
    """

    __match_args__ = (
        "ticket",
        "upload",
    )
    def __new__(cls, ticket: int, upload: int) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def upload(self) -> int:
        """The upload's number."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskDropUpload:
    """Forget an upload, if it is there. Answered by Done."""

    __match_args__ = (
        "ticket",
        "upload",
    )
    def __new__(cls, ticket: int, upload: int) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def upload(self) -> int:
        """The upload's number."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AskReadFile:
    """Read a part of a content. Answered by FileBytes."""

    __match_args__ = (
        "ticket",
        "sha256",
        "offset",
        "length",
    )
    def __new__(cls, ticket: int, sha256: Buffer, offset: int, length: int) -> Self: ...
    @property
    def ticket(self) -> int:
        """To be given back with the answer."""

    @property
    def sha256(self) -> bytes:
        """The content's SHA-256: 32 bytes."""

    @property
    def offset(self) -> int:
        """Where the part begins."""

    @property
    def length(self) -> int:
        """Its bytes, all of which are there."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Registered:
    """For a log: an account was made."""

    __match_args__ = (
        "conn",
        "user",
    )
    def __new__(cls, conn: int, user: str) -> Self: ...
    @property
    def conn(self) -> int:
        """Over which connection."""

    @property
    def user(self) -> str:
        """The user's name: chosen by a peer, so to be escaped where it is shown."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class LoggedIn:
    """For a log: a user logged in."""

    __match_args__ = (
        "conn",
        "user",
    )
    def __new__(cls, conn: int, user: str) -> Self: ...
    @property
    def conn(self) -> int:
        """Over which connection."""

    @property
    def user(self) -> str:
        """The user's name: chosen by a peer, so to be escaped where it is shown."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class LoginFailed:
    """For a log: an attempt to log in failed."""

    __match_args__ = ("conn",)
    def __new__(cls, conn: int) -> Self: ...
    @property
    def conn(self) -> int:
        """Over which connection."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Throttled:
    """For a log: an attempt to log in was refused because there were too many."""

    __match_args__ = ("conn",)
    def __new__(cls, conn: int) -> Self: ...
    @property
    def conn(self) -> int:
        """Over which connection."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class PasswordHash:
    """The PHC string of a password."""

    __match_args__ = ("hash",)
    def __new__(cls, hash: str) -> Self: ...
    @property
    def hash(self) -> str:
        """What hash_password returned."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class PasswordMatches:
    """Whether a password was right."""

    __match_args__ = ("matches",)
    def __new__(cls, matches: bool) -> Self: ...
    @property
    def matches(self) -> bool:
        """What verify_password returned."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Messages:
    """Bodies of messages: at least the first one asked for, and more of them in order as long as the ones before stay within the budget."""

    __match_args__ = ("bodies",)
    def __new__(cls, bodies: Iterable[Buffer]) -> Self: ...
    @property
    def bodies(self) -> tuple[bytes, ...]:
        """The bodies."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class History:
    """A part of a conversation. It ends where no message is left above the floor, or where the host keeps no older ones."""

    __match_args__ = (
        "before",
        "messages",
        "more",
    )
    def __new__(cls, before: Buffer | None, messages: Iterable[Buffer], more: bool) -> Self: ...
    @property
    def before(self) -> bytes | None:
        """The body of the message before, if one was given and is kept."""

    @property
    def messages(self) -> tuple[bytes, ...]:
        """Bodies, the newest first; at least one, if there is one."""

    @property
    def more(self) -> bool:
        """Whether the next one could be read too."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Done:
    """It is done."""

    __match_args__ = ()
    def __new__(cls) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class FileStored:
    """A content is durable."""

    __match_args__ = (
        "sha256",
        "size",
    )
    def __new__(cls, sha256: Buffer, size: int) -> Self: ...
    @property
    def sha256(self) -> bytes:
        """Its SHA-256: 32 bytes."""

    @property
    def size(self) -> int:
        """Its bytes, as many as were appended."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class FileBytes:
    """Bytes of a content, as many as were asked for."""

    __match_args__ = ("content",)
    def __new__(cls, content: Buffer) -> Self: ...
    @property
    def content(self) -> bytes:
        """The bytes."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Failed:
    """The work could not be done. The peer is answered "unavailable"."""

    __match_args__ = ()
    def __new__(cls) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Password:
    """A password, prepared as the protocol says (section 2). Its repr shows nothing of it.

    Raises obrolan.ApiMisuse if the text is empty or has characters that no password may have.
    """

    def __new__(cls, typed: str) -> Self: ...
    def expose(self) -> str:
        """The prepared text, for a hash function alone."""

    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Recovery:
    """Rebuilds an engine: the snapshot if there is one, then every record after it in order, then start. Engine.recover makes it.

    After an obrolan.RecoveryError it is over.
    """

    def snapshot(self, content: Buffer, /) -> None:
        """Take a snapshot; first of all, and at most one.

        Raises obrolan.RecoveryError if it is damaged or came late.
        """

    def record(self, seq: int, record: Buffer) -> None:
        """Take the next record.

        Raises obrolan.RecoveryError if it is damaged or not the next one.
        """

    def start(self, now: int) -> Engine:
        """The engine, as it was after the last record.

        Raises obrolan.RecoveryError if the engine is to keep the bodies of messages or the contents of files itself, and one did not come
        with the journal.
        """

@final
class Snapshot:
    """The whole state at a point of the journal."""

    __match_args__ = (
        "seq",
        "content",
    )
    def __new__(cls, seq: int, content: Buffer) -> Self: ...
    @property
    def seq(self) -> int:
        """The last record in it. A host may drop the journal up to here once the snapshot is durable, and must not use the snapshot
        before this record is durable itself.
        """

    @property
    def content(self) -> bytes:
        """What Recovery.snapshot takes."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Server:
    """The real server in this process, on a thread of its own, for tests and small deployments. It serves when this returns, until stop or
    the end of its with block.

    Settings are those of the configuration file, with its names and forms; those of a section come as a dict:

        Server(accounts={"registration": "closed"}, limits={"connections": 100, "line": "64 KiB"})

    Unless they say otherwise, the system chooses a port of this machine alone, nothing is kept, and nothing is logged. A log goes to
    standard error; the first server that has one sets what is logged of all servers in the process.

    Raises obrolan.ConfigError if a setting is wrong, and obrolan.ServerError if the server does not start.
    """

    def __new__(
        cls,
        *,
        listen: str = "127.0.0.1:0",
        storage: Literal["memory", "disk"] = "memory",
        log: str = "off",
        **settings: _Setting | Mapping[str, _Setting],
    ) -> Self: ...
    @staticmethod
    def from_toml(text: str) -> Server:
        """A server with the configuration that this text is, as a file for "obrolan serve" has it. It logs as the program does.

        Raises obrolan.ConfigError if the text is wrong, saying where, and obrolan.ServerError if the server does not start.
        """

    @property
    def url(self) -> str:
        """Where it listens, as an obrolan URL."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: the host's IP address and the port, as socket.create_connection takes them."""

    def stop(self) -> None:
        """Stop it: subscribers are told, what was asked is answered, all is stored. Returns when it has stopped; does nothing if that was
        asked before.

        Raises obrolan.ServerError if it could not go on, now or earlier.
        """

    def _put_forward(self, seconds: float) -> None:
        """Put its clock forward by so many seconds, for tests: what is due by then is done when this returns."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

def hash_password(password: Password, salt: Buffer) -> str:
    """Hash a password with argon2id to a PHC string, with a salt of 16 bytes: what AskHashPassword wants.

    Takes some 20 ms and 19 MiB; other Python threads run meanwhile.
    """

def verify_password(password: Password, hash: str) -> bool:
    """Whether a password has this PHC string: what AskVerifyPassword wants. Takes as long as hash_password."""

def main(argv: Sequence[str]) -> int:
    """Run the program obrolan with a command line, argv[0] being its name, and return its exit code.

    It watches for signals by itself, so Python should not: the script obrolan sets SIGINT to the system's default first.
    """

@final
class RawClient:
    """A connection to a server that keeps itself up. Threads may share it. Timeouts are seconds, or None for no end.

    It begins to connect when it is made, and goes on trying until it is logged in or the server refuses the login for good. `after` says
    which messages come as events: those with numbers beyond it, or None for none.
    """

    def __new__(cls, url: str, after: int | None) -> Self: ...
    def wait_for_login(self, timeout: float | None) -> None:
        """Wait until it is logged in, which no event tells then.

        Raises AuthError if the server refuses the login, RateLimited if it does so for now, ConnectionLost if the first attempt fails,
        Timeout.
        """

    def ask(
        self, request: str | Mapping[str, str | int | None], timeout: float | None, key: str | None = None
    ) -> Response:
        """Make a request and wait for its answer: a dict of the request's name and its parameters, or a line as it is.

        Raises Timeout, ConnectionLost if there is no connection when the time is over or the client has ended, ApiMisuse if it is no
        request.
        """

    def post(self, request: str | Mapping[str, str | int | None], key: str | None = None) -> int | None:
        """Make a request whose answer comes out of take_events under the number that this returns; None if there is no room for it now."""

    def next_event(self, timeout: float | None) -> Event | None:
        """The next event; None if none comes in time.

        Raises AuthError or ConnectionLost when the client has ended, and all its events are taken.
        """

    def take_events(self, most: int) -> list[Event | tuple[int, Response]]:
        """Events that are there already, at most so many of them, each as it is or, the answer to a request that was posted, as a tuple of
        the request's number and its response.

        Raises as next_event.
        """

    def hold_messages(self, held: bool) -> None:
        """Have messages wait where they are, or let them come again: while they are held, other events pass."""

    def confirm(self, id: int) -> None:
        """Confirm all messages up to a number: they do not come again. Returns at once."""

    def fileno(self) -> int:
        """A descriptor that is readable while there are events to take, or the client has ended. For polling alone."""

    @property
    def connected(self) -> bool:
        """Whether it is logged in right now."""

    def close(self, patience: float) -> None:
        """End it, after waiting so many seconds at most for what was asked and confirmed to be answered."""

    def send_file(
        self,
        to: str,
        group: bool,
        key: str | None,
        content: bytes | str | os.PathLike[str],
        name: str | None,
        timeout: float,
        progress: Callable[[int], object] | None,
        glance: Callable[[], object] | None,
    ) -> Response:
        """Send bytes, or the file at a path, to a user or a group; returns the response, or raises as obrolan.Client.send_file."""

    @overload
    def get_file(
        self,
        id: str,
        sha256: str | None,
        path: None,
        timeout: float,
        progress: Callable[[int], object] | None,
        glance: Callable[[], object] | None,
    ) -> bytes:
        """Fetch a file to a path, and return its size; or, without a path, return its bytes."""

    @overload
    def get_file(
        self,
        id: str,
        sha256: str | None,
        path: str | os.PathLike[str],
        timeout: float,
        progress: Callable[[int], object] | None,
        glance: Callable[[], object] | None,
    ) -> int:
        """Fetch a file to a path, and return its size; or, without a path, return its bytes."""

def register(url: str, country: str, name: str, timeout: float) -> Response:
    """Make an account for the user of a URL; returns the response."""

def parse_url(url: str) -> tuple[str, int, str | None]:
    """A URL's host, port and user, who may be missing.

    Raises obrolan.ApiMisuse if it is none.
    """
