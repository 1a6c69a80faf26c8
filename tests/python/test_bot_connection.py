"""What becomes of a bot's messages when its connection breaks, and when it is stopped."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

import obrolan
import obrolan.aio
import obrolan.turns
from home import account, new_bot, until, waits_for_an_answer
from obrolan import Bot, Message, testing
from obrolan.requests import Account


def test_a_bot_that_loses_its_connection(
    obrolan_server: testing.Server, caplog: pytest.LogCaptureFixture
) -> None:
    bot = new_bot()
    states: list[obrolan.Event] = []

    @bot.on(obrolan.Connected)
    @bot.on(obrolan.Lost)
    @bot.on(obrolan.Resumed)
    def told(event: obrolan.Event) -> None:
        states.append(event)

    @bot.on_message
    async def echo(msg: Message) -> None:
        await msg.reply(msg.text)

    srv = obrolan_server
    with caplog.at_level(logging.INFO), srv.run(bot) as running, srv.client("ann") as ann:
        ann.send("robot", "one")
        ann.expect("one")
        running.link.refuse()
        until(lambda: len(states) == 2)
        ann.send("robot", "two")
        ann.expect_nothing()
        sent = bot.send("ann", "from outside")
        running.link.accept()
        ann.expect("two", timeout=20)
        ann.expect("from outside")
        assert sent.result(20) > 0
        running.link.drop()
        ann.send("robot", "three")
        ann.expect("three", timeout=20)
        running.link.delay = 0.05
        began = time.monotonic()
        ann.send("robot", "four")
        ann.expect("four", timeout=20)
        assert time.monotonic() - began >= 0.1
        ann.expect_nothing()
        until(lambda: len(states) == 5)
    kinds = [type(state) for state in states]
    assert kinds == [obrolan.Connected, *[obrolan.Lost, obrolan.Resumed] * 2]
    assert [
        record.getMessage().partition(";")[0] for record in caplog.records if record.name == "obrolan"
    ] == [
        "connected",
        *["the server closed it", "connected again"] * 2,
    ]


def test_a_bot_waits_for_as_long_as_the_server_says(caplog: pytest.LogCaptureFixture) -> None:
    with obrolan.Server(accounts={"throttle_loopback": True}) as server:
        url = account(server.url, "robot")
        for _ in range(10):
            with pytest.raises(obrolan.AuthError):
                obrolan.Client(url.replace("rahasia", "wrong"))
        bot = Bot(url)
        states: list[obrolan.Event] = []

        @bot.on(obrolan.Lost)
        async def lost(event: obrolan.Lost) -> None:
            states.append(event)
            bot.stop()

        asyncio.run(bot.serve())
    [state] = states
    assert isinstance(state, obrolan.Lost)
    assert state.retry_after is not None
    assert 0 < state.retry_after <= 60
    [record] = [record for record in caplog.records if record.name == "obrolan"]
    assert record.getMessage() == (
        f"the server did not let it in: too many attempts; try again in {state.retry_after:g} s; waiting so long"
    )


def test_a_bot_asks_again_who_it_is(
    obrolan_server: testing.Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bot = new_bot()
    whoami, asked = obrolan.AsyncClient.whoami, 0

    async def fail_at_first(client: obrolan.AsyncClient) -> Account:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise obrolan.RequestError("storage_error", "penyimpanan gagal", "the disk is full")
        return await whoami(client)

    monkeypatch.setattr(obrolan.AsyncClient, "whoami", fail_at_first)

    @bot.on_message
    async def echo(msg: Message) -> None:
        await msg.reply(msg.text)

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        bot.send("robot", "to itself").result()
        ann.send("robot", "hi")
        ann.expect("hi")
    assert asked == 2
    assert "the disk is full (storage_error); trying again" in caplog.text


def test_a_handler_that_blocks_does_not_break_the_connection(obrolan_server: testing.Server) -> None:
    bot = new_bot()
    lost: list[obrolan.Event] = []
    bot.on(obrolan.Lost)(lost.append)

    @bot.on_message
    async def block(msg: Message) -> None:
        if msg.text == "block":
            time.sleep(1.5)  # noqa: ASYNC251
        await msg.reply(msg.text)

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "block")
        for number in range(100):
            ann.send("robot", str(number))
        ann.expect("block", timeout=20)
        for number in range(100):
            ann.expect(str(number), timeout=20)
    assert lost == []


def test_what_is_asked_passes_messages_that_wait(
    obrolan_server: testing.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot's own requests are answered, however many messages its handlers have not come to."""
    monkeypatch.setattr(obrolan.turns, "MOST", 10)
    monkeypatch.setattr(obrolan.aio, "MOST", 20)
    bot = new_bot(concurrency=1)
    go = threading.Event()

    @bot.on_message
    async def work(msg: Message) -> None:
        if msg.text == "first":
            while not go.is_set():
                await bot.client.ping()
                await asyncio.sleep(0.01)
        await msg.reply(msg.text)

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "first")
        for number in range(150):
            ann.send("robot", str(number))
        go.set()
        ann.expect("first", timeout=20)
        for number in range(150):
            ann.expect(str(number), timeout=20)


def test_a_bot_that_is_stopped_lets_its_handlers_finish(obrolan_server: testing.Server) -> None:
    bot = new_bot(replay=True, drain=60)
    begun, go = threading.Event(), threading.Event()
    asked: list[BaseException] = []

    @bot.on_message
    async def slow(msg: Message) -> None:
        begun.set()
        await asyncio.to_thread(go.wait)
        # Nobody waits for this one, and it is sent all the same.
        msg.reply(msg.text)

    @bot.on_command("/ask")
    async def ask(msg: Message) -> None:
        try:
            answer = await msg.ask("?")
        except BaseException as error:
            asked.append(error)
            raise
        await msg.reply(f"hello {answer.text}")

    srv = obrolan_server
    with srv.client("ann") as ann, srv.client("bob") as bob:
        with srv.run(bot):
            bob.send("robot", "/ask")
            bob.expect("?")
            ann.send("robot", "one")
            ann.send("robot", "two")
            begun.wait(60)
            until(lambda: waits_for_an_answer(bot))
            assert bot._running is not None
            turns = bot._running.turns

            def let_it_finish() -> None:
                until(lambda: turns.stopping)
                go.set()

            letting = threading.Thread(target=let_it_finish)
            letting.start()
        letting.join()
        assert [type(error) for error in asked] == [asyncio.CancelledError]
        ann.expect("one")
        ann.expect_nothing()
        # What is not confirmed comes again, but replies that were sent are not sent again.
        with srv.run(bot):
            ann.expect("two")
            bob.send("robot", "Bob")
            bob.expect("hello Bob")
            ann.expect_nothing()
            bob.expect_nothing()


def test_a_file_that_was_sent_is_not_sent_again(obrolan_server: testing.Server) -> None:
    bot = new_bot(replay=True, drain=0)
    texts: list[str] = []

    @bot.on_message
    async def answer(msg: Message) -> None:
        number = await msg.reply_file(b"x", name="x.txt")
        assert await bot.send_file("bob", b"y", name="y.txt", key=f"to bob {msg.id}") == number + 1
        await msg.reply("sent")
        texts.append(msg.text)
        if len(texts) == 1:
            await asyncio.Event().wait()
        await msg.reply("done")

    srv = obrolan_server
    with srv.client("ann") as ann, srv.client("bob") as bob:
        with srv.run(bot):
            ann.send("robot", "files")
            ann.expect("x.txt")
            ann.expect("sent")
            until(lambda: texts == ["files"])
        # It was stopped before it was done, and so has the message again.
        with srv.run(bot):
            ann.expect("done")
        assert texts == ["files", "files"]
        bob.expect("y.txt")
        ann.expect_nothing()
        bob.expect_nothing()


@pytest.mark.parametrize("end", [SystemExit("no space"), GeneratorExit("no space")], ids=["exit", "other"])
@pytest.mark.parametrize("order", [["/wait", "/end"], ["/end", "/wait"]])
def test_what_ends_the_bot_leaves_the_messages(
    obrolan_server: testing.Server, end: BaseException, order: list[str]
) -> None:
    bot = new_bot(replay=True, drain=0)
    texts: list[str] = []
    go = threading.Event()

    @bot.on_command("/wait")
    async def wait(msg: Message) -> None:
        texts.append(msg.text)
        await asyncio.Event().wait()

    @bot.on_command("/end")
    def end_at_first(msg: Message) -> None:
        texts.append(msg.text)
        go.wait(60)
        if len(texts) == 2:
            raise end

    srv = obrolan_server
    with srv.client("ann") as ann, srv.client("bob") as bob:
        running = srv.run(bot)
        for number, (person, text) in enumerate(zip((ann, bob), order, strict=True), 1):
            person.send("robot", text)
            until(lambda: len(texts) == number)  # noqa: B023
        go.set()
        running._thread.join(60)
        with pytest.raises(type(end), match="no space"):
            running.stop()
        with srv.run(bot):
            until(lambda: len(texts) == 4)
    assert sorted(texts[2:]) == ["/end", "/wait"]


def test_a_handler_that_does_not_finish_is_left(obrolan_server: testing.Server) -> None:
    bot = new_bot(drain=0.2)
    begun, forever = threading.Event(), threading.Event()

    @bot.on_message
    def hang(_msg: Message) -> None:
        begun.set()
        forever.wait()

    with obrolan_server.client("ann") as ann:
        with obrolan_server.run(bot):
            ann.send("robot", "x")
            begun.wait(60)
            began = time.monotonic()
        assert time.monotonic() - began < 30
        forever.set()
