"""The other examples, each with a test."""

import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import bridge
import dice
import logger
import pytest
import reminder

from obrolan.testing import Person, Server


def test_dice(obrolan_server: Server, obrolan_client: Callable[[str], Person]) -> None:
    ann = obrolan_client("ann")
    with obrolan_server.run(dice.bot):
        ann.send("dice", "/roll 3d6")
        rolled = ann.expect(re.compile(r"^\d \+ \d \+ \d = ")).text
        numbers, _, total = rolled.partition(" = ")
        assert sum(map(int, numbers.split(" + "))) == int(total)
        ann.send("dice", "/roll")
        ann.expect("Which dice? 2d6, say.")
        ann.send("dice", "1d1")
        ann.expect("1 = 1")
        ann.send("dice", "/roll 0d6")
        ann.expect(re.compile("are no dice"))
        ann.send("dice", "hi")
        ann.expect("write /roll 2d6")


def test_reminder(obrolan_server: Server, obrolan_client: Callable[[str], Person]) -> None:
    ann = obrolan_client("ann")
    with obrolan_server.run(reminder.bot):
        ann.send("reminder", "/remind")
        ann.expect("write /remind MINUTES WHAT")
        ann.send("reminder", "/remind 90 tea")
        ann.expect("in 90 minutes")
        obrolan_server.advance(89 * 60)
        ann.expect_nothing()
        obrolan_server.advance(2 * 60)
        ann.expect("tea")


def test_logger(
    obrolan_server: Server,
    obrolan_client: Callable[[str], Person],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHAT_LOG", str(tmp_path / "chat.db"))
    obrolan_server.group("room", "ann", "logger")
    ann = obrolan_client("ann")
    ann.send_group("room", "before it came")

    def stored() -> list[tuple[str, str, str]]:
        log = sqlite3.connect(tmp_path / "chat.db")
        try:
            return log.execute("SELECT place, sender, text FROM message ORDER BY id").fetchall()
        except sqlite3.OperationalError:
            # The bot has made the file, and not the table yet.
            return []
        finally:
            log.close()

    texts = ["before it came", "while it is there", "[file x.txt]"]
    with obrolan_server.run(logger.bot):
        ann.send_group("room", "while it is there")
        ann.send_group_file("room", b"x", name="x.txt")
        ann.send("logger", "private")
        # A bot that nobody hears from is waited for by what it does.
        deadline = time.monotonic() + 60
        while not (tmp_path / "chat.db").exists() or len(stored()) < len(texts):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert stored() == [("room", "ann", text) for text in texts]


def test_bridge(obrolan_server: Server, obrolan_client: Callable[[str], Person]) -> None:
    obrolan_server.group("one", "ann", "bridge")
    obrolan_server.group("other", "bob", "bridge")
    ann, bob = obrolan_client("ann"), obrolan_client("bob")
    with obrolan_server.run(bridge.bot):
        ann.send_group("one", "hi there")
        assert bob.expect("ann: hi there").group == "other"
        bob.send_group("other", "hi yourself")
        assert ann.expect("bob: hi yourself").group == "one"
        ann.expect_nothing()
