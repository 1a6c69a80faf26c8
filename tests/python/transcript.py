"""Reads a transcript. What its lines mean is described in tests/transcripts/README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

FOLDER = Path(__file__).parents[1] / "transcripts"

SID = re.compile(rb"sid_[0-9a-f]{32}")
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Wrong(Exception):
    """What came is not what the transcript says."""


@dataclass(frozen=True)
class Value:
    """A place in a text for a value that is known only when the transcript is played."""

    name: str

    @property
    def form(self) -> re.Pattern[bytes]:
        """What its values look like."""
        return SID if self.name.startswith("sid") else TIME


#: Bytes, with places for values.
Template: TypeAlias = list[bytes | Value]


@dataclass
class Captures:
    """The values seen so far, by name."""

    values: dict[str, bytes] = field(default_factory=dict)

    def filled(self, template: Template) -> bytes:
        """Return the bytes, with the values."""
        return b"".join(part if isinstance(part, bytes) else self.values[part.name] for part in template)

    def compare(self, template: Template, came: bytes) -> None:
        """Compare byte for byte; a value that is seen for the first time is kept."""
        at = 0
        for part in template:
            if isinstance(part, Value) and part.name not in self.values:
                value = part.form.match(came, at)
                # Two names never stand for one session: its id is given out once.
                if value is None or (part.form is SID and value[0] in self.values.values()):
                    raise Wrong(f"at byte {at}, ${part.name} should stand")
                self.values[part.name] = value[0]
            known = part if isinstance(part, bytes) else self.values[part.name]
            if not came.startswith(known, at):
                raise Wrong(f"at byte {at}, this should stand: {known!r}")
            at += len(known)
        if at < len(came):
            raise Wrong(f"at byte {at}, it should end")


@dataclass(frozen=True)
class Connect:
    """A connection is opened."""

    name: str
    address: str | None


@dataclass(frozen=True)
class Send:
    """Bytes are sent."""

    name: str
    content: Template


@dataclass(frozen=True)
class Expect:
    """A frame comes next."""

    name: str
    frame: Template


@dataclass(frozen=True)
class Peer:
    """A peer does something, or must see something, that needs no text."""

    name: str
    what: Literal["nothing", "closed", "closes", "sends no more", "stops reading", "reads again"]


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    milliseconds: int


@dataclass(frozen=True)
class Happen:
    """Something happens to the server."""

    what: Literal[
        "the server restarts",
        "the server stops",
        "the store fails",
        "the store works",
        "passwords wait",
        "passwords go on",
    ]


Act: TypeAlias = Connect | Send | Expect | Peer | Wait | Happen


@dataclass(frozen=True)
class Transcript:
    """A conversation: the settings of the server, and what is done, each act with the line it stands on."""

    name: str
    settings: dict[str, object]
    acts: list[tuple[int, Act]]


def names() -> list[str]:
    """Return the names of all transcripts."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(name: str) -> Transcript:
    """Read the transcript of that name."""
    settings: dict[str, object] = {}
    acts: list[tuple[int, Act]] = []
    for number, line in written_out((FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")):
        if setting := re.fullmatch(r"set (\S+) = (.*)", line):
            settings[setting[1]] = json.loads(setting[2])
        else:
            acts.append((number, act(line)))
    return Transcript(name, settings, acts)


def written_out(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with those that are repeated or stand for others written out."""
    numbered = enumerate((line.strip() for line in lines), 1)
    for number, line in numbered:
        if block := re.fullmatch(r"repeat (\d+)\.\.(\d+)", line):
            body = []
            for inner in numbered:
                if inner[1] == "end":
                    break
                body.append(inner)
            for time in range(int(block[1]), int(block[2]) + 1):
                for inner_number, inner_line in body:
                    if inner_line and not inner_line.startswith("#"):
                        yield inner_number, inner_line.replace("#", str(time))
        elif login := re.fullmatch(r"(\w+) logs in", line):
            name = login[1]
            yield number, f"{name} connects"
            yield number, f"{name}> REGISTER {name} rahasia-{name} ID {name}"
            yield number, f'{name}< {{"status":"OK","data":"registrasi berhasil"}}'
            yield number, f"{name}> AUTH {name} rahasia-{name}"
            yield number, f'{name}< {{"status":"OK","data":"autentikasi berhasil","tokenid":"$sid_{name}"}}'
        elif line and not line.startswith("#"):
            yield number, line


def act(line: str) -> Act:
    """Read one line."""
    if time := re.fullmatch(r"(\d+(?:ms|s|m|h|d)) pass", line):
        return Wait(milliseconds(time[1]))
    match line:
        case (
            "the server restarts"
            | "the server stops"
            | "the store fails"
            | "the store works"
            | "passwords wait"
            | "passwords go on"
        ):
            return Happen(line)
    said = re.fullmatch(r"([A-Za-z0-9_]+)(>>|>|<|) ?(.*)", line, re.DOTALL)
    if said is None:
        raise ValueError(f"this line says nothing a transcript knows: {line}")
    name, sign, text = said.groups()
    match sign, text:
        case ">>", _:
            return Send(name, template(text, escapes=True))
        case ">", _:
            return Send(name, [*template(text, escapes=True), b"\n"])
        case "<", ("nothing" | "closed") as what:
            return Peer(name, what)
        case "", ("closes" | "sends no more" | "stops reading" | "reads again") as what:
            return Peer(name, what)
        case "<", _:
            return Expect(name, template(text, escapes=False))
        case "", "connects":
            return Connect(name, None)
    if connects := re.fullmatch(r"connects from (\S+)", text):
        return Connect(name, connects[1])
    raise ValueError(f"this line says nothing a transcript knows: {line}")


ESCAPED = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\", "$": b"$"}
TOKENS = {
    True: re.compile(
        r"\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>[nrt0\\$])|\$(?P<value>(?:sid|time)\w*)|(?P<text>[^\\$]+|\$)",
        re.ASCII,
    ),
    False: re.compile(r"\$(?P<value>(?:sid|time)\w*)|(?P<text>[^$]+|\$)", re.ASCII),
}


def template(text: str, *, escapes: bool) -> Template:
    """Read a text with places for values and, if it is to be sent, with bytes that are not written well."""
    parts: Template = []
    end = 0
    text = repeated(text)
    for token in TOKENS[escapes].finditer(text):
        if token.start() != end:
            break
        end = token.end()
        found = token.groupdict()
        if found["value"] is not None:
            parts.append(Value(found["value"]))
        elif found["text"] is not None:
            parts.append(found["text"].encode())
        elif found["hex"] is not None:
            parts.append(bytes.fromhex(found["hex"]))
        else:
            parts.append(ESCAPED[found["sign"]])
    if end != len(text):
        raise ValueError(f"a backslash begins no byte here: {text[end:]}")
    return parts


def repeated(text: str) -> str:
    """Write out $(3*ab) as ababab, and $(1..3*<#>) as <1><2><3>."""

    def once(found: re.Match[str]) -> str:
        first, last, count, repeat = found.groups()
        if count is not None:
            return str(repeat * int(count))
        return "".join(repeat.replace("#", str(number)) for number in range(int(first), int(last) + 1))

    return re.sub(r"\$\((?:(\d+)\.\.(\d+)|(\d+))\*([^)]*)\)", once, text)


def milliseconds(text: str) -> int:
    """Read a length of time as the server's configuration writes it."""
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    if found is None:
        raise ValueError(f"time is a number and ms, s, m, h or d, as 30d; not {text}")
    return int(found[1]) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[found[2]]
