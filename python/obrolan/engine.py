"""The engine as a state machine, for programs that bring their own sockets, disks and clocks.

Bytes and times go into an :class:`Engine`; what it wants done comes out of :meth:`Engine.outputs`, one of the classes of :data:`Output`,
made for ``match``::

    for output in engine.outputs():
        match output:
            case Writable(conn):
                n = sockets[conn].send(engine.outgoing(conn))
                engine.sent(now(), conn, n)
            case Close(conn):
                sockets.pop(conn).close()

A host that keeps a journal, hashes passwords on other threads, or keeps messages and files itself says so in :class:`Config`, and is
told by :class:`Persist` and the classes of :data:`Ask`.
"""

from typing import TypeAlias

from obrolan._obrolan import (
    Accounts,
    AskAppendUpload,
    AskDropUpload,
    AskFinishUpload,
    AskHashPassword,
    AskReadFile,
    AskReadHistory,
    AskReadMessages,
    AskVerifyPassword,
    Close,
    Config,
    Done,
    Engine,
    Failed,
    FileBytes,
    FileStored,
    History,
    Limits,
    LoggedIn,
    LoginFailed,
    MessageRef,
    Messages,
    Outputs,
    Password,
    PasswordHash,
    PasswordMatches,
    Persist,
    Readable,
    Received,
    Recovery,
    Registered,
    Snapshot,
    Throttled,
    Writable,
    hash_password,
    verify_password,
)

__all__ = [
    "Accounts",
    "Answer",
    "Ask",
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
    "Event",
    "Failed",
    "FileBytes",
    "FileStored",
    "History",
    "Limits",
    "LoggedIn",
    "LoginFailed",
    "MessageRef",
    "Messages",
    "Output",
    "Outputs",
    "Password",
    "PasswordHash",
    "PasswordMatches",
    "Persist",
    "Readable",
    "Received",
    "Recovery",
    "Registered",
    "Snapshot",
    "Throttled",
    "Writable",
    "hash_password",
    "verify_password",
]

#: Work that the engine wants done, to be returned with :meth:`Engine.answer` under its ``ticket``.
Ask: TypeAlias = (
    AskHashPassword
    | AskVerifyPassword
    | AskReadMessages
    | AskReadHistory
    | AskAppendUpload
    | AskFinishUpload
    | AskDropUpload
    | AskReadFile
)

#: Something a log would tell. Nothing needs to be done.
Event: TypeAlias = Registered | LoggedIn | LoginFailed | Throttled

#: What the host has to do. Later versions may add to it.
Output: TypeAlias = Persist | Writable | Readable | Close | Ask | Event

#: The work of an :data:`Ask`, done.
Answer: TypeAlias = (
    PasswordHash | PasswordMatches | Messages | History | Done | FileStored | FileBytes | Failed
)
