"""What tests of bots are made of, and obrolan talk."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import obrolan
from obrolan import Bot, Message, talk, testing

EXAMPLES = Path(__file__).parent / "examples"


def test_what_came_instead_is_told(obrolan_server: testing.Server) -> None:
    obrolan_server.group("room", "ann", "bob")
    with obrolan_server.client("ann") as ann, obrolan_server.client("bob") as bob:
        with pytest.raises(AssertionError, match=r"^bob expected 'hi' within 0.1 s; instead came: nothing$"):
            bob.expect("hi", timeout=0.1)
        ann.send("bob", "ho\n")
        ann.send_group("room", "hum")
        ann.send_file("bob", b"x", name="x.txt")
        ann.send("bob", "all of it")
        bob.expect("all of it")
        with pytest.raises(AssertionError) as told:
            bob.expect(re.compile("^h[ae]"), timeout=0.1)
        assert str(told.value) == (
            "bob expected '^h[ae]' within 0.1 s; instead came:\n"
            "  'ho\\n' from ann\n"
            "  'hum' from ann in room\n"
            "  the file 'x.txt' from ann"
        )
        with pytest.raises(AssertionError, match=r"bob expected nothing; there came:\n  'ho\\n' from ann"):
            bob.expect_nothing()
        # What was not expected then may be now, in any order.
        assert bob.expect(re.compile("um$")).group == "room"
        assert bob.expect("x.txt").file is not None
        assert bob.expect("ho\n").sender == "ann"
        bob.expect_nothing()


def test_links_break_to_order(obrolan_server: testing.Server) -> None:
    with obrolan_server.client("ann") as ann, obrolan_server.client("bob") as bob:
        ann.link.refuse()
        assert isinstance(ann.next_event(60), obrolan.Lost)
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", ann.link.port)):
            pass
        bob.send("ann", "meanwhile")
        ann.link.accept()
        ann.link.accept()
        ann.expect("meanwhile", timeout=10)
        ann.link.delay = 0.05
        began = time.monotonic()
        ann.ping()
        assert time.monotonic() - began >= 0.1
        ann.link.delay = 0
        ann.link.drop()
        ann.ping()
        with obrolan_server.client("carol") as carol:
            carol.send("ann", "x" * 500_000)
            ann.expect("x" * 500_000, timeout=10)


def test_people_come_again_with_what_is_theirs(obrolan_server: testing.Server) -> None:
    with obrolan_server.client("ann") as ann, obrolan_server.client("Bob") as bob:
        ann.send("Bob", "one")
        ann.send("Bob", "two")
        bob.expect("two")
        assert [user.casefold() for user in ann.list_users().names] == ["ann", "bob"]
    with obrolan_server.client("Bob") as bob:
        bob.expect_nothing()


def test_the_clock_goes_forward(obrolan_server: testing.Server) -> None:
    with obrolan_server.client("ann") as ann:
        ann.send("ann", "today")
        today = ann.expect("today").time
        obrolan_server.advance(86_400)
        ann.send("ann", "tomorrow")
        assert 86_400 <= (ann.expect("tomorrow").time - today).total_seconds() < 86_460


def test_a_bot_that_cannot_log_in_fails_the_test() -> None:
    with testing.Server() as server:
        bot = Bot("obrolan://robot@localhost")
        with server.run(bot):
            pass
        server._accounts["robot"] = "wrong-password"
        with pytest.raises(obrolan.AuthError):
            server.run(bot)


def test_other_settings_and_other_names() -> None:
    with testing.Server(obrolan.Server(accounts={"min_password_length": 12})) as server:
        with pytest.raises(obrolan.RequestError, match="weak_password"):
            obrolan.register(server.url.replace("://", "://zoe:short@"))
        bot = Bot.from_env("NOT_SET")
        with server.run(bot) as running:
            assert running.name == "bot"
    assert Bot("obrolan://zoe:x@localhost").name == "zoe"

    @bot.on_message
    async def never(_msg: Message) -> None:
        """Give the bot the name of this file."""

    assert bot.name == "test_testing"


def test_talk_is_a_conversation_with_a_bot(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "obrolan"]

    def talk_to(bot: str, typed: str, said: str, *options: str) -> None:
        """Type, and wait for as many lines before the input ends."""
        command = [*program, "talk", bot, *options]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as talking:
            assert talking.stdin is not None
            assert talking.stdout is not None
            talking.stdin.write(typed)
            talking.stdin.flush()
            came = "".join(talking.stdout.readline() for _ in said.splitlines())
            rest, errors = talking.communicate(timeout=60)
        assert (talking.returncode, came + rest, errors) == (0, said, "")

    def refused(bot: str) -> tuple[int, str, str]:
        command = [*program, "talk", bot]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    echo = str(EXAMPLES / "echo.py")
    talk_to(echo, "hi\n\nthere\n", "echo: hi\necho: there\n")
    talk_to(echo, "hi\n", "echo: hi\n", "--as", "ann", "--group", "room")
    talk_to(str(EXAMPLES / "dice.py"), "/roll\n1d1\n", "dice: Which dice? 2d6, say.\ndice: 1 = 1\n")
    assert refused("missing.py") == (
        1,
        "",
        "obrolan talk: there is no file missing.py; give the path of the one that makes your bot: obrolan talk PATH/bot.py\n",
    )
    assert refused(str(tmp_path)) == (
        1,
        "",
        f"obrolan talk: {tmp_path} is no Python file; give one that makes an obrolan.Bot\n",
    )
    two = tmp_path / "two.py"
    two.write_text(
        "import obrolan\n"
        "one, other = obrolan.Bot.from_env(), obrolan.Bot.from_env()\n"
        "@other.on_message\n"
        "async def escape(msg):\n"
        "    await msg.reply('two\\nlines \\x1b[31m')\n"
        "    await msg.reply_file(b'x', name='x.txt')\n"
    )
    assert refused(str(two)) == (1, "", f"obrolan talk: which bot? {two} has one, other; write {two}:NAME\n")
    talk_to(f"{two}:other", "x\n", "two: two\n  lines \\x1b[31m\ntwo: sends the file x.txt (1 B)\n")
    assert "obrolan talk bot.py" in subprocess.check_output([*program, "--help"], text=True, timeout=60)


def test_talk_finds_the_bot_of_a_file() -> None:
    assert talk.load(str(EXAMPLES / "echo.py")).name == "echo"
