"""Bots as programs: signals, kills, and servers that are not there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import obrolan
from home import ENVIRONMENT, Home, account, url_of
from obrolan import testing

PROGRAM = """
import asyncio, logging, sys, time, obrolan
SETUP
bot = obrolan.Bot.from_env(replay=True, drain=DRAIN)
stop = bot.stop

def tell_and_stop():
    print("stopping", flush=True)
    stop()

bot.stop = tell_and_stop

@bot.on(obrolan.Connected)
def connected(event):
    print("connected", flush=True)

@bot.on_message
async def echo(msg):
    await msg.reply(msg.text)

@bot.on_command("/slow")
async def slow(msg):
    print("begun", flush=True)
    await asyncio.sleep(float(msg.argument))
    await msg.reply("slow")

@bot.on_command("/block")
async def block(msg):
    print("begun", flush=True)
    time.sleep(float(msg.argument))

@bot.on_command("/hang")
def hang(msg):
    print("begun", flush=True)
    time.sleep(float(msg.argument))

bot.run()
print("stopped", flush=True)
"""


@contextmanager
def program(url: str, drain: float = 10, setup: str = "") -> Iterator[subprocess.Popen[str]]:
    environment = {**ENVIRONMENT, "OBROLAN_URL": url}
    command = [sys.executable, "-c", PROGRAM.replace("DRAIN", str(drain)).replace("SETUP", setup)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=30)
    return process.returncode, output, errors


def logged(errors: str) -> list[str]:
    """Return what lines of the log say, each after the time, the bot and its server."""
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ([A-Z]+) robot@127\.0\.0\.1:\d+: (.*)"
    lines = [re.fullmatch(form, line) for line in errors.splitlines()]
    assert None not in lines, errors
    return [f"{line[1]} {line[2]}" for line in lines if line is not None]


def test_a_log_that_is_configured_stays_as_it_is(obrolan_server: testing.Server) -> None:
    setup = "logging.basicConfig(format='mine: %(message)s', level='INFO')"
    with program(account(obrolan_server.url, "robot"), setup=setup) as bot:
        assert line(bot) == "connected"
        bot.send_signal(signal.SIGTERM)
        _, _, errors = ended(bot)
    assert [line for line in errors.splitlines() if line.startswith("mine: ")] == ["mine: connected"]
    assert "robot@" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_when_handlers_are_done(
    number: signal.Signals, obrolan_server: testing.Server
) -> None:
    url = account(obrolan_server.url, "robot")
    with program(url) as bot, obrolan_server.client("ann") as ann:
        assert line(bot) == "connected"
        ann.send("robot", "/slow 0.5")
        assert line(bot) == "begun"
        bot.send_signal(number)
        code, output, errors = ended(bot)
        assert (code, output, logged(errors)) == (0, "stopping\nstopped\n", ["INFO connected"])
        ann.expect("slow")


@pytest.mark.parametrize("command", ["/slow 60", "/block 60"])
def test_a_second_signal_stops_it_at_once(command: str, obrolan_server: testing.Server) -> None:
    with (
        program(account(obrolan_server.url, "robot")) as bot,
        obrolan_server.client("ann") as ann,
    ):
        assert line(bot) == "connected"
        ann.send("robot", command)
        assert line(bot) == "begun"
        bot.send_signal(signal.SIGINT)
        assert line(bot) == "stopping"
        began = time.monotonic()
        bot.send_signal(signal.SIGINT)
        code, output, errors = ended(bot)
        assert time.monotonic() - began < 20
        assert (code, output) == (-signal.SIGINT, "")
        assert errors.endswith("KeyboardInterrupt\n")


def test_a_plain_handler_that_hangs_does_not_keep_it(obrolan_server: testing.Server) -> None:
    url = account(obrolan_server.url, "robot")
    with program(url, drain=0.5) as bot, obrolan_server.client("ann") as ann:
        assert line(bot) == "connected"
        ann.send("robot", "/hang 60")
        assert line(bot) == "begun"
        began = time.monotonic()
        bot.send_signal(signal.SIGTERM)
        code, output, errors = ended(bot)
        assert (code, output, logged(errors)) == (0, "stopping\nstopped\n", ["INFO connected"])
        assert 0.5 < time.monotonic() - began < 30, "it has the time to finish that the bot gives"


def test_a_server_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        url = account(home.server, "robot")
        home.kill()
        with program(url) as bot:
            assert bot.stderr is not None
            said = bot.stderr.readline()
            home.start()
            assert line(bot) == "connected"
            bot.send_signal(signal.SIGTERM)
            code, _, errors = ended(bot)
        assert (code, logged(errors)) == (0, ["INFO connected"])
        [lost] = logged(said)
        assert lost.startswith("WARNING nothing listens on 127.0.0.1:")
        assert lost.endswith("; trying again until it is back")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "OBROLAN_URL is not set; set it to obrolan://USER:PASSWORD@HOST:PORT"),
        (
            "SERVER",
            "the server refused the login: unknown user or wrong password; check both, or register first",
        ),
    ],
)
def test_what_it_cannot_run_with_it_says(url: str, why: str, obrolan_server: testing.Server) -> None:
    with program(url.replace("SERVER", url_of(obrolan_server.url, "nobody"))) as bot:
        code, output, errors = ended(bot)
    assert (code, output) == (1, "")
    assert errors.endswith(f"{why}\n")
    assert "Traceback" not in errors
    assert "rahasia" not in errors


def test_nothing_is_lost_or_doubled_when_bot_and_server_are_killed(tmp_path: Path) -> None:
    texts = [f"message {number}" for number in range(200)]
    with Home(tmp_path) as home:
        robot, ann_url = account(home.server, "robot"), account(home.server, "ann")
        with obrolan.Client(ann_url, timeout=60) as ann:
            sender = threading.Thread(target=lambda: [ann.send("robot", text) for text in texts])
            replies: list[str] = []

            def take(count: int) -> None:
                deadline = time.monotonic() + 60
                while len(replies) < count:
                    event = ann.next_event(max(0.0, deadline - time.monotonic()))
                    assert event is not None, f"only {len(replies)} replies came"
                    if isinstance(event, obrolan.Message):
                        replies.append(event.text)

            with program(robot):
                sender.start()
                take(50)
            with program(robot):
                take(100)
                home.kill()
                home.start()
                take(150)
            with program(robot):
                take(200)
                assert ann.next_event(0.3) is None
            sender.join(60)
        assert replies == texts


def test_a_bot_whose_server_is_killed_while_it_sends(tmp_path: Path) -> None:
    """With nothing in between, and what the bot sends by itself."""
    script = """
import asyncio, obrolan
bot = obrolan.Bot.from_env()

async def main():
    async with bot:
        for number in range(300):
            await bot.send("ann", str(number))
            if number in (100, 200):
                print(number, flush=True)

asyncio.run(main())
"""
    with Home(tmp_path) as home:
        robot, ann_url = account(home.server, "robot"), account(home.server, "ann")
        environment = {**os.environ, "OBROLAN_URL": robot}
        with subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
        ) as bot:
            for number in (100, 200):
                assert line(bot) == str(number)
                home.kill()
                home.start()
            assert bot.wait(60) == 0
        with obrolan.Client(ann_url) as ann:
            came: list[str] = []
            while len(came) < 300:
                event = ann.next_event(20)
                assert isinstance(event, obrolan.Message)
                came.append(event.text)
            assert ann.next_event(0.1) is None
        assert came == [str(number) for number in range(300)]
