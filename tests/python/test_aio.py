"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import obrolan
from home import Home, account, free_port, url_of
from obrolan import AsyncClient, testing


@pytest.fixture
def server() -> Iterator[str]:
    with obrolan.Server() as server:
        yield server.url


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 120))


async def next_message(client: AsyncClient) -> obrolan.Message:
    async for event in client:
        if isinstance(event, obrolan.Message):
            return event
    raise AssertionError("it was closed")


def test_requests_and_events(server: str) -> None:
    account(server, "bob")

    async def work() -> None:
        async with AsyncClient(account(server, "ann")) as ann, AsyncClient(url_of(server, "bob")) as bob:
            assert ann.connected
            numbers = await asyncio.gather(*(ann.send("bob", str(number)) for number in range(100)))
            assert numbers == sorted(numbers)
            assert [(await next_message(bob)).text for _ in range(100)] == [
                str(number) for number in range(100)
            ]
            assert (await ann.whoami()).user == "ann"
            assert (await ann.request("ping")).data == "pong"
            with pytest.raises(obrolan.RequestError, match="no_such_user"):
                await ann.send("nobody", "x")
            with pytest.raises(obrolan.ApiMisuse, match="is empty"):
                await ann.send("bob", "")

    run(work())


def test_a_login_that_cannot_be(server: str) -> None:
    async def work() -> None:
        with pytest.raises(obrolan.AuthError, match="unknown user or wrong password"):
            await AsyncClient(url_of(server, "ann")).open()
        with free_port() as port, pytest.raises(obrolan.ConnectionLost, match="nothing listens on"):
            await AsyncClient(f"obrolan://ann:secret99@127.0.0.1:{port}").open()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"obrolan://ann:secret99@127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(obrolan.Timeout):
                await AsyncClient(url, timeout=0.1).open()
            async with AsyncClient(url, timeout=0.1, wait=False) as client:
                with pytest.raises(obrolan.ConnectionLost):
                    await client.ping()
        closed = AsyncClient(account(server, "ann"))
        with pytest.raises(obrolan.ApiMisuse, match="is not open"):
            await closed.ping()
        async with closed:
            with pytest.raises(obrolan.ApiMisuse, match="was opened before"):
                await closed.open()
        with pytest.raises(obrolan.ConnectionLost, match="is closed"):
            await closed.ping()

    run(work())


def test_a_login_that_cannot_be_yet() -> None:
    async def work() -> None:
        with obrolan.Server(accounts={"throttle_loopback": True}) as server:
            ann = account(server.url, "ann")
            for _ in range(10):
                with pytest.raises(obrolan.AuthError):
                    await AsyncClient(ann.replace("rahasia", "wrong")).open()
            with pytest.raises(obrolan.RateLimited) as limited:
                await AsyncClient(ann).open()
            assert 0 < limited.value.retry_after <= 60

    run(work())


def test_whoever_waits_is_told_of_the_end(server: str) -> None:
    async def work() -> None:
        ann = AsyncClient(account(server, "ann"))
        await ann.open()
        waiting = asyncio.ensure_future(next_message(ann))
        await asyncio.sleep(0.05)
        await ann.close()
        with pytest.raises(AssertionError, match="it was closed"):
            await waiting
        await ann.close()

    run(work())


def test_the_loop_is_never_blocked(server: str, tmp_path: Path) -> None:
    """With a server that says nothing, a close that waits and files on their way."""
    content = os.urandom(3_000_000)

    async def work() -> None:
        longest, last = 0.0, time.monotonic()

        async def watch() -> None:
            nonlocal longest, last
            while True:
                await asyncio.sleep(0.005)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()

        watching = asyncio.ensure_future(watch())
        async with AsyncClient(account(server, "ann")) as ann:
            steps: list[int] = []
            await ann.send_file("ann", content, name="x", progress=steps.append)
            file = (await next_message(ann)).file
            assert file is not None
            assert await ann.get_file(file) == content
            assert await ann.save_file(file, tmp_path / "x", progress=steps.append) == len(content)
            assert sum(steps) == 2 * len(content)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"obrolan://ann:secret99@127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(obrolan.Timeout):
                await AsyncClient(url, timeout=1).open()
        watching.cancel()
        assert longest < 0.9

    run(work())


def test_what_is_cancelled_leaves_the_client_whole(server: str) -> None:
    async def work() -> None:
        async with AsyncClient(account(server, "ann")) as ann:
            for wait in (0, 0.0001, 0.001, 0.01):
                for _ in range(20):
                    asked = asyncio.ensure_future(ann.whoami())
                    await asyncio.sleep(wait)
                    asked.cancel()
                    await asyncio.gather(asked, return_exceptions=True)
                    waiting = asyncio.ensure_future(anext(ann))
                    await asyncio.sleep(0)
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)
                    assert ann._living()._waiting == []
            assert (await ann.whoami()).user == "ann"
            await ann.send("ann", "whole")
            assert (await next_message(ann)).text == "whole"

    run(work())


def test_a_file_that_is_cancelled_stops(obrolan_server: testing.Server) -> None:
    # A slow way to the server, or all of it is through before this hears of the first part.
    with obrolan_server.client("ann") as person:
        link, url = person.link, obrolan_server._url("ann", obrolan_server._account("ann"), person.link.port)

    async def work() -> None:
        async with AsyncClient(url) as ann:
            begun = asyncio.Event()
            steps: list[int] = []

            def progress(count: int) -> None:
                steps.append(count)
                begun.set()

            with ThreadPoolExecutor() as threads:
                asyncio.get_running_loop().set_default_executor(threads)
                link.delay = 0.02
                sending = asyncio.ensure_future(
                    ann.send_file("ann", os.urandom(20_000_000), name="x", progress=progress)
                )
                await begun.wait()
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
            # The thread that sent it has ended.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
            link.delay = 0
            await ann.ping()
            assert sum(steps) < 20_000_000

            def fail(_count: int) -> None:
                raise KeyError("enough")

            with pytest.raises(KeyError, match="enough"):
                await ann.send_file("ann", os.urandom(3_000_000), name="x", progress=fail)
            with pytest.raises(KeyError, match="enough"):
                await ann.send_file("ann", b"it is through already", name="x", progress=fail)

    run(work())


def test_answers_pass_messages_that_nobody_takes(server: str) -> None:
    """More than the client holds: they wait on the server, and come in order."""
    many = 3000

    async def work() -> None:
        async with AsyncClient(account(server, "ann")) as ann:
            for start in range(0, many, 100):
                await asyncio.gather(*(ann.send("ann", str(number)) for number in range(start, start + 100)))
            assert (await ann.whoami()).user == "ann"
            texts = [(await next_message(ann)).text for _ in range(many)]
            assert texts == [str(number) for number in range(many)]

    run(work())


def test_a_server_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        ann_url, bob_url = account(home.server, "ann"), account(home.server, "bob")

        async def work() -> None:
            async with AsyncClient(ann_url, timeout=None) as ann, AsyncClient(bob_url) as bob:
                sending = asyncio.gather(*(ann.send("bob", str(number)) for number in range(500)))
                texts: list[str] = []
                states: list[obrolan.Event] = []
                async for event in bob:
                    if not isinstance(event, obrolan.Message):
                        states.append(event)
                    else:
                        texts.append(event.text)
                        if len(texts) == 100:
                            await asyncio.to_thread(home.kill)
                            await asyncio.to_thread(home.start)
                    if len(texts) == 500 and len(states) == 2:
                        break
                assert texts == [str(number) for number in range(500)]
                assert len(set(await sending)) == 500
                assert [type(state) for state in states] == [obrolan.Lost, obrolan.Resumed]

        run(work())


def test_a_failed_login_leaves_the_one_before(server: str) -> None:
    url = account(server, "ann")

    async def work() -> None:
        async with AsyncClient(url) as ann:
            with pytest.raises(obrolan.AuthError):
                await ann.auth("ann", "wrong-password")
            assert (await ann.whoami()).user == "ann"

    run(work())
