"""Bots, on the server that obrolan.testing brings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import obrolan
import obrolan.aio
import obrolan.turns
from home import new_bot, until, waits_for_an_answer
from obrolan import Bot, Message, testing


def test_one_handler_takes_a_message(obrolan_server: testing.Server) -> None:
    bot = new_bot()

    @bot.on_message(in_group="Room")
    async def in_room(msg: Message) -> None:
        await msg.reply(f"in the room: {msg.text}")

    @bot.on_message(in_group=True)
    async def in_another(msg: Message) -> None:
        await msg.reply(f"in {msg.group}: {msg.text}")

    @bot.on_message
    async def private(msg: Message) -> None:
        await msg.reply(f"private: {msg.text}")

    @bot.on_command("/add", in_group=False)
    async def add(msg: Message) -> None:
        await msg.reply(str(sum(int(word) for word in msg.argument.split())))

    @bot.on_file
    async def file(msg: Message) -> None:
        assert msg.file is not None
        await msg.reply(f"file: {msg.file.name}")

    srv = obrolan_server
    srv.group("room", "ann", "robot")
    srv.group("other", "ann", "robot")
    with srv.run(bot), srv.client("ann") as ann:
        ann.send_group("room", "a")
        assert ann.expect("in the room: a").group == "room"
        ann.send_group("other", "b")
        assert ann.expect("in other: b").group == "other"
        ann.send("robot", "c")
        assert ann.expect("private: c").group is None
        ann.send("robot", "/add 1 2\n3")
        ann.expect("6")
        ann.send_group("room", "/add 1 2")
        ann.expect("in the room: /add 1 2")
        ann.send("robot", "/addition")
        ann.expect("private: /addition")
        ann.send_file("robot", b"x", name="x.txt")
        ann.expect("file: x.txt")
        ann.expect_nothing()


def test_it_hears_neither_itself_nor_what_was_before(obrolan_server: testing.Server) -> None:
    heard: list[str] = []
    bot, replaying = new_bot(), new_bot(replay=True)
    for each in (bot, replaying):

        @each.on_message
        def hear(msg: Message) -> None:
            heard.append(msg.text)

    srv = obrolan_server
    with srv.client("ann") as ann, srv.client("robot"):
        ann.send("robot", "before")
        with srv.run(bot):
            bot.send("robot", "to itself").result()
            ann.send("robot", "live")
            until(lambda: bool(heard))
        assert heard == ["live"]
        heard.clear()
        ann.send("robot", "missed")
        with srv.run(replaying):
            ann.send("robot", "live")
            until(lambda: len(heard) == 2)
        # What was before "live" was confirmed with it.
        assert heard == ["missed", "live"]


def test_plain_functions_run_in_a_pool(obrolan_server: testing.Server) -> None:
    bot = new_bot()
    both = threading.Barrier(2, timeout=60)

    @bot.on_message
    def plain(msg: Message) -> None:
        both.wait()
        number = msg.reply(f"{msg.text}, on {threading.current_thread().name[:11]}").result()
        assert number > msg.id
        answer = msg.ask("and you?").result()
        answer.reply(f"{answer.text}!")

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann, obrolan_server.client("bob") as bob:
        for person in (ann, bob):
            person.send("robot", "hi")
        for person in (ann, bob):
            person.expect("hi, on obrolan-bot")
            person.expect("and you?")
            person.send("robot", "fine")
            person.expect("fine!")


def test_a_conversation_goes_in_order_and_others_beside_it(obrolan_server: testing.Server) -> None:
    bot = new_bot(concurrency=2)
    working = most = 0
    go = threading.Event()

    @bot.on_message
    async def slow(msg: Message) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.to_thread(go.wait)
        await msg.reply(msg.text)
        working -= 1

    srv = obrolan_server
    with srv.run(bot):
        people = [srv.client(name) for name in ("ann", "bob", "carol", "dave")]
        for number in range(20):
            for person in people:
                person.send("robot", str(number))
        until(lambda: working == 2)
        go.set()
        for person in people:
            replies = [person.expect(str(number)) for number in range(20)]
            assert [reply.id for reply in replies] == sorted(reply.id for reply in replies)
    assert most == 2


def test_a_message_is_confirmed_when_it_and_those_before_are_done(obrolan_server: testing.Server) -> None:
    bot = new_bot()
    let = {"ann": threading.Event(), "bob": threading.Event()}

    @bot.on_message
    def wait(msg: Message) -> None:
        let[msg.sender].wait(20)
        msg.reply("done").result()

    srv = obrolan_server
    with srv.run(bot), srv.client("ann") as ann, srv.client("bob") as bob, srv.client("robot") as robot:
        ann.send("robot", "first")
        bob.send("robot", "second")

        def unconfirmed() -> list[str]:
            return [message.text for message in robot.inbox().messages]

        let["bob"].set()
        bob.expect("done")
        assert unconfirmed() == ["first", "second"]
        let["ann"].set()
        ann.expect("done")
        until(lambda: unconfirmed() == [])


def test_a_question_and_its_answer(obrolan_server: testing.Server) -> None:
    bot = new_bot()

    @bot.on_command("/name")
    async def name(msg: Message) -> None:
        first = await msg.ask("first name?")
        last = await first.ask("last name?", timeout=60)
        await msg.reply(f"{first.text} {last.text}")

    @bot.on_message
    async def other(msg: Message) -> None:
        await msg.reply(f"{msg.sender} says {msg.text}")

    srv = obrolan_server
    srv.group("room", "ann", "bob", "robot")
    with srv.run(bot), srv.client("ann") as ann, srv.client("bob") as bob:
        ann.send_group("room", "/name")
        bob.expect("first name?")
        # Others go on meanwhile, and the same user elsewhere.
        bob.send_group("room", "hm")
        ann.expect("bob says hm")
        ann.send("robot", "here")
        assert ann.expect("ann says here").group is None
        ann.send_group("room", "Ann")
        bob.expect("last name?")
        ann.send_group("room", "Wijaya")
        assert bob.expect("Ann Wijaya").group == "room"
        ann.send_group("room", "bye")
        bob.expect("ann says bye")


def test_a_question_without_an_answer(obrolan_server: testing.Server) -> None:
    bot = new_bot()
    late: list[Message] = []

    @bot.on_command("/name")
    async def name(msg: Message) -> None:
        late.append(msg)
        try:
            await msg.ask("name?", timeout=60)
        except obrolan.Timeout as error:
            await msg.reply(str(error))

    @bot.on_command("/late")
    async def too_late(_msg: Message) -> None:
        await late[0].ask("still there?")

    @bot.on_message
    async def other(msg: Message) -> None:
        await msg.reply(f"other: {msg.text}")

    @bot.on_error
    async def failed(msg: Message, error: Exception) -> None:
        await msg.reply(str(error))

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "/name")
        ann.expect("name?")
        until(lambda: waits_for_an_answer(bot))
        ann.expect_nothing()
        obrolan_server.advance(61)
        ann.expect("no answer came within 60 seconds")
        ann.send("robot", "Ann")
        ann.expect("other: Ann")
        ann.send("robot", "/late")
        ann.expect("the handler of this message has returned; ask before it does")


def test_plain_functions_that_ask_take_no_thread_from_others(obrolan_server: testing.Server) -> None:
    bot = new_bot(concurrency=1)

    @bot.on_command("/name")
    def name(msg: Message) -> None:
        try:
            msg.reply(f"hello {msg.ask('name?', timeout=60).result().text}").result()
        except obrolan.Timeout:
            msg.reply("never mind").result()

    @bot.on_message
    def echo(msg: Message) -> None:
        msg.reply(msg.text).result()

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann, obrolan_server.client("bob") as bob:
        for person in (ann, bob):
            person.send("robot", "/name")
            person.expect("name?")
        with obrolan_server.client("carol") as carol:
            carol.send("robot", "hi")
            carol.expect("hi")
        ann.send("robot", "Ann")
        ann.expect("hello Ann")
        until(lambda: waits_for_an_answer(bot))
        obrolan_server.advance(61)
        bob.expect("never mind")


def test_middleware_is_around_handlers(obrolan_server: testing.Server) -> None:
    bot = new_bot()
    trace: list[str] = []

    @bot.middleware
    async def outer(msg: Message, proceed: Callable[[Message], Awaitable[object]]) -> None:
        trace.append("in")
        await proceed(msg)
        trace.append("out")

    @bot.middleware
    async def no_swearing(message: Message, go_on: Callable[[Message], Awaitable[object]], /) -> None:
        if "damn" not in message.text:
            await go_on(message)

    @bot.on_message
    async def echo(msg: Message) -> None:
        trace.append(msg.text)
        await msg.reply(msg.text)

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "damn")
        ann.send("robot", "hi")
        ann.expect("hi")
        until(lambda: len(trace) == 5)
        assert trace == ["in", "out", "in", "hi", "out"]
    with pytest.raises(obrolan.ApiMisuse, match="define it with async def"):
        bot.middleware(lambda msg, proceed: proceed(msg))


def test_a_handler_that_fails_is_logged_and_others_go_on(
    obrolan_server: testing.Server, caplog: pytest.LogCaptureFixture
) -> None:
    bot = new_bot()

    @bot.on_message
    async def fail(msg: Message) -> None:
        if msg.text == "fail":
            raise KeyError("what for")
        msg.reply("")
        await msg.reply("fine")

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "fail")
        ann.send("robot", "hi")
        ann.expect("fine")
    assert "the handler of message 1 failed" in caplog.text
    assert "what for" in caplog.text


def test_an_error_handler_is_told(obrolan_server: testing.Server, caplog: pytest.LogCaptureFixture) -> None:
    bot = new_bot()

    @bot.on_message
    def fail(msg: Message) -> None:
        raise KeyError(msg.text)

    @bot.on_error
    def failed(msg: Message, error: Exception) -> None:
        msg.reply(f"sorry: {error!r}").result()
        raise ValueError("and this too")

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "x")
        ann.expect("sorry: KeyError('x')")
    assert "the error handler failed for message 1" in caplog.text


def test_a_handler_that_is_cancelled_fails_as_any_other(obrolan_server: testing.Server) -> None:
    bot = new_bot()
    jobs: list[asyncio.Task[bool]] = []

    @bot.on_command("/start")
    async def start(msg: Message) -> None:
        jobs.append(asyncio.create_task(asyncio.Event().wait()))
        await msg.reply("started")
        await jobs[0]

    @bot.on_command("/cancel")
    async def cancel(_msg: Message) -> None:
        jobs[0].cancel()

    @bot.on_error
    async def failed(msg: Message, error: Exception) -> None:
        await msg.reply(f"{error}: {type(error.__cause__).__name__}")

    srv = obrolan_server
    with srv.run(bot), srv.client("ann") as ann, srv.client("bob") as bob, srv.client("robot") as robot:
        ann.send("robot", "/start")
        ann.expect("started")
        bob.send("robot", "/cancel")
        ann.expect("the handler was cancelled, and not by the bot: CancelledError")
        # Nothing holds up confirmations.
        until(lambda: robot.inbox().messages == [])


def test_a_plain_handler_may_fail_with_what_ends_an_iteration(obrolan_server: testing.Server) -> None:
    bot = new_bot()

    @bot.on_message
    def fail(_msg: Message) -> None:
        next(iter(()))

    @bot.on_error
    async def failed(msg: Message, error: Exception) -> None:
        await msg.reply(f"{type(error).__name__}, from {error.__cause__!r}")

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "x")
        ann.expect("RuntimeError, from StopIteration()")


def test_what_a_plain_handler_returns_is_waited_for(obrolan_server: testing.Server) -> None:
    bot = new_bot()

    async def greet(greeting: str, msg: Message) -> None:
        await msg.reply(f"{greeting} {msg.text}")
        raise KeyError(greeting)

    bot.on_message(lambda msg: greet("hello", msg))
    bot.on_error(lambda msg, error: msg.reply(f"{error}"))

    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send("robot", "Ann")
        ann.expect("hello Ann")
        ann.expect("'hello'")


def test_files_come_and_go(obrolan_server: testing.Server, tmp_path: Path) -> None:
    bot = new_bot()
    steps: list[int] = []

    @bot.on_file
    async def upper(msg: Message) -> None:
        size = await msg.save_file(tmp_path / "in", progress=steps.append)
        await msg.reply_file((tmp_path / "in").read_bytes().upper(), name="upper.txt", progress=steps.append)
        await bot.send_file("ann", tmp_path / "in")
        await bot.send_group_file("room", tmp_path / "in", name="group.txt")
        await msg.reply(f"{size} bytes")

    obrolan_server.group("room", "ann", "robot")
    with obrolan_server.run(bot), obrolan_server.client("ann") as ann:
        ann.send_file("robot", b"halo" * 1000, name="halo.txt")
        file = ann.expect("upper.txt").file
        assert file is not None
        assert ann.get_file(file) == b"HALO" * 1000
        ann.expect("in")
        assert ann.expect("group.txt").group == "room"
        ann.expect("4000 bytes")
    assert sum(steps) == 8000


def test_what_cannot_be(obrolan_server: testing.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = new_bot()
    with pytest.raises(obrolan.ApiMisuse, match="the bot does not run"):
        bot.send("ann", "x")
    with pytest.raises(obrolan.ApiMisuse, match="is no command"):
        bot.on_command("roll")
    with pytest.raises(obrolan.ApiMisuse, match="concurrency is 0"):
        new_bot(concurrency=0)
    with pytest.raises(obrolan.ApiMisuse, match="does not begin with obrolan://"):
        Bot("localhost")
    with pytest.raises(obrolan.ApiMisuse, match="messages are handled by on_message"):
        bot.on(Message)
    monkeypatch.delenv("OBROLAN_URL", raising=False)
    with pytest.raises(obrolan.ConfigError, match="OBROLAN_URL is not set; set it to"):
        asyncio.run(Bot.from_env().serve())
    with obrolan_server.run(bot):
        with pytest.raises(obrolan.ApiMisuse, match="runs already"):
            obrolan_server.run(bot)
        with obrolan_server.client("ann") as ann:
            ann.send("ann", "x")
            with pytest.raises(obrolan.ApiMisuse, match="did not come to a bot"):
                ann.expect("x").reply("y")


def test_inside_a_loop_that_runs(obrolan_server: testing.Server, caplog: pytest.LogCaptureFixture) -> None:
    def url(name: str) -> str:
        url = obrolan_server.url.replace("obrolan://", f"obrolan://{name}:secret99@")
        obrolan.register(url)
        return url

    bot = Bot(url("robot"))

    @bot.on_message
    async def echo(msg: Message) -> None:
        pending = msg.reply(msg.text)
        with pytest.raises(obrolan.ApiMisuse, match="await it there"):
            pending.result()
        await pending

    log: list[str] = []
    errors: list[obrolan.Error] = []

    async def run_until_it_ends(bot: Bot) -> None:
        async with bot:
            assert bot._entered is not None
            await asyncio.wait([bot._entered])
            log.append(caplog.text)
            # What is raised here would be hidden by what the end of the block raises.
            try:
                bot.send("ann", "x")
            except obrolan.Error as error:
                errors.append(error)

    async def work() -> None:
        async with bot, obrolan.AsyncClient(url("ann")) as ann:
            await bot.send("ann", "hello")
            async for event in ann:
                if isinstance(event, Message):
                    if event.text == "bye":
                        break
                    await ann.send("robot", "bye")
        with pytest.raises(obrolan.AuthError):
            await run_until_it_ends(Bot(url("bob").replace("secret99", "wrong-password")))

    asyncio.run(asyncio.wait_for(work(), 60))
    assert [type(error) for error in errors] == [obrolan.AuthError]
    assert ["the bot has ended: " in text and "wrong password" in text for text in log] == [True]


def test_a_run_changes_nothing_of_the_bot(obrolan_server: testing.Server) -> None:
    bot = new_bot()

    @bot.on_message
    async def echo(msg: Message) -> None:
        await msg.reply(msg.text)

    before = dict(vars(bot))
    with obrolan_server.client("ann") as ann:
        for name in ("robot", "somebody"):
            with obrolan_server.run(bot, name):
                ann.send(name, "hi")
                assert ann.expect("hi").sender == name
    assert vars(bot) == before
