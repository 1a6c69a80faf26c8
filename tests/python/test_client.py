"""The client that waits."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import obrolan
from home import Home, account, free_port, until, url_of
from obrolan.requests import Account, Realm, Requests


@pytest.fixture
def server() -> Iterator[str]:
    with obrolan.Server() as server:
        yield server.url


def next_message(client: obrolan.Client) -> obrolan.Message:
    while not isinstance(event := client.next_event(20), obrolan.Message):
        assert event is not None, "no message came"
    return event


@pytest.mark.parametrize("kind", [Requests, obrolan.Client, obrolan.AsyncClient])
def test_every_request_is_a_method_with_the_parameters_of_the_protocol(kind: type, server: str) -> None:
    with obrolan.Client(account(server, "ann")) as ann:
        requests = {request.request.lower(): request.parameters for request in ann.help()}
    # What these do takes several requests.
    files = {"send_file", "send_group_file", "get_file"}
    assert files <= set(requests)
    for name in files if kind is not Requests else ():
        assert callable(getattr(kind, name))
    for name, parameters in requests.items():
        if name not in files:
            given = [
                each
                for each in inspect.signature(getattr(kind, name)).parameters
                if each not in {"self", "key"}
            ]
            # Python has a keyword "with", and bytes.
            named = [{"with_": "with", "content": "base64"}.get(each, each) for each in given]
            assert named == parameters, name


def test_what_requests_give(server: str) -> None:
    account(server, "bob")
    with obrolan.Client(account(server, "ann")) as ann:
        assert ann.whoami() == Account("ann", "ann", "-", admin=False)
        assert ann.list_users().names == ["ann", "bob"]
        ann.add_group("room")
        assert (ann.list_my_groups(), ann.list_group("room")) == (["room"], ["ann"])
        first, second = ann.send("ann", "one"), ann.send_group("room", "nobody else")
        assert second == first + 1
        inbox = ann.inbox()
        assert [(each.id, each.text, each.group) for each in inbox.messages] == [(first, "one", None)]
        assert not inbox.more
        assert [each.text for each in ann.history("ann").messages] == ["one"]
        ann.ack(first)
        assert ann.inbox().messages == []
        assert ann.upload("a.txt", b"halo") == 4
        ann.leave_group("room")
        ann.ping()
        ann.passwd("rahasia-ann", "better-99")
        assert ann.list_realms() == []
        [send] = ann.help("send")
        assert send.usage.startswith("SEND [sid] to text")
        session = ann.auth("ann", "better-99")
        assert session.startswith("sid_")
        ann.resume(session)
        assert ann.request("whoami").body["user"] == "ann"
        ann.subscribe()
        ann.logout()
        with pytest.raises(obrolan.AuthError):
            ann.send("bob", "x")
        ann.quit()
    with obrolan.Client(url_of(server, "bob")) as admin:
        admin.add_realm("jakarta", "192.0.2.1", 8889)
        assert admin.list_realms() == [Realm("jakarta", "192.0.2.1", 8889, None)]
        admin.register("carol", "rahasia-carol", "ID", "Carol")
        assert admin.list_users("bob").names == ["carol"]


def test_events_are_values_made_for_match(server: str) -> None:
    url = account(server, "ann")
    with obrolan.Client(url) as ann:
        before = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=5)
        number = ann.send("ann", "two\nlines")
        match ann.next_event(20):
            case obrolan.Message(
                id=number_, sender="ann", to="ann", group=None, time=when, text=text, file=None
            ):
                assert (number_, text) == (number, "two\nlines")
                assert before < when < before + dt.timedelta(minutes=1)
            case other:
                pytest.fail(f"{other}")
        assert obrolan.Lost("x") == obrolan.Lost("x") != obrolan.Lost("y")
        with pytest.raises(AttributeError):
            obrolan.Lost("x").__setattr__("why", "y")


def test_errors_say_what_to_do(server: str) -> None:
    url = url_of(server, "ann")
    with pytest.raises(obrolan.AuthError, match="unknown user or wrong password; check both"):
        obrolan.Client(url)
    obrolan.register(url, country="ID", name="Ann Wijaya")
    with pytest.raises(obrolan.RequestError) as taken:
        obrolan.register(url)
    assert (taken.value.code, taken.value.data) == ("user_exists", "registrasi gagal")
    with obrolan.Client(url) as ann:
        with pytest.raises(
            obrolan.RequestError, match=r"there is no such user; check the name \(no_such_user\)"
        ):
            ann.send("nobody", "x")
        with pytest.raises(obrolan.ApiMisuse, match=r"a parameter of SEND \[sid\] to text… is empty"):
            ann.send("ann", "")
        with pytest.raises(obrolan.ApiMisuse, match="one line"):
            ann.request("two\nlines")
        with pytest.raises(UnicodeEncodeError):
            ann.send("ann", "\ud800")
    with pytest.raises(obrolan.ConnectionLost, match="the client is closed; open a new one"):
        ann.ping()
    with pytest.raises(obrolan.ApiMisuse, match="does not begin with obrolan://"):
        obrolan.Client("localhost:8889")
    with pytest.raises(obrolan.ApiMisuse, match="has no password"):
        obrolan.Client("obrolan://ann@127.0.0.1:8889")
    with free_port() as port, pytest.raises(obrolan.ConnectionLost, match="nothing listens on"):
        obrolan.Client(f"obrolan://ann:secret99@127.0.0.1:{port}")


def test_too_many_attempts_are_told_with_the_time_to_wait() -> None:
    with obrolan.Server(accounts={"throttle_loopback": True}) as server:
        ann = account(server.url, "ann")

        def attempt() -> None:
            with pytest.raises(obrolan.AuthError):
                client.passwd("wrong", "better-99")

        def attempts() -> None:
            for _ in range(50):
                attempt()

        with obrolan.Client(ann) as client, pytest.raises(obrolan.RateLimited) as limited:
            attempts()
        assert 0 < limited.value.retry_after <= 60
        with pytest.raises(obrolan.RateLimited) as limited:
            obrolan.Client(ann)
        assert 0 < limited.value.retry_after <= 60


def test_time_that_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"obrolan://ann:secret99@127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(obrolan.Timeout):
            obrolan.Client(url, timeout=0.1)
        assert 0.1 <= time.monotonic() - began < 20
        client = obrolan.Client(url, timeout=0.1, wait=False)
        with pytest.raises(obrolan.ConnectionLost, match="the request is made when there is one again"):
            client.ping()
        with pytest.raises(obrolan.ApiMisuse, match="-1 is no timeout"):
            client.next_event(-1)
        client.close()


def test_nothing_is_lost_or_doubled_when_the_server_is_killed(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        ann_url, bob_url = account(home.server, "ann"), account(home.server, "bob")
        with obrolan.Client(ann_url, timeout=60) as ann, obrolan.Client(bob_url) as bob:
            texts: list[str] = []
            sent = [f"message {number}" for number in range(300)]
            ahead = threading.Semaphore(
                20
            )  # so that there is something to send whenever the server is killed

            def send() -> None:
                for text in sent:
                    ahead.acquire()
                    ann.send("bob", text)

            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            for at in range(len(sent)):
                message = next_message(bob)
                texts.append(message.text)
                bob.confirm(message.id)
                ahead.release()
                if at in {50, 150}:
                    home.kill()
                    home.start()
            sender.join(60)
            assert not sender.is_alive()
            assert texts == sent
            assert bob.next_event(0.1) is None
            bob.close()
        with obrolan.Client(bob_url) as bob:
            assert bob.next_event(0.1) is None, "what is confirmed does not come again"


def test_threads_share_a_client(server: str) -> None:
    with obrolan.Client(account(server, "ann")) as ann:
        numbers: list[int] = []

        def send() -> None:
            numbers.extend(ann.send("ann", "x") for _ in range(50))

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(set(numbers)) == 200
        assert [next_message(ann).id for _ in range(200)] == sorted(numbers)


def test_iteration_ends_when_another_thread_closes_it(server: str) -> None:
    ann = obrolan.Client(account(server, "ann"))
    ann.send("ann", "last")
    assert next_message(ann).text == "last"
    # It waits by then, or is about to: it ends either way.
    closing = threading.Timer(0.2, ann.close)
    closing.start()
    assert list(ann) == []
    closing.join()
    with pytest.raises(obrolan.ConnectionLost):
        ann.next_event(0)


def test_the_descriptor_is_for_other_loops(server: str) -> None:
    with obrolan.Client(account(server, "ann")) as ann:
        assert select.select([ann], [], [], 0)[0] == []
        ann.send("ann", "halo")
        assert select.select([ann], [], [], 20)[0] == [ann]
        assert next_message(ann).text == "halo"
        assert select.select([ann], [], [], 0)[0] == []


def test_files_both_ways(server: str, tmp_path: Path) -> None:
    content = os.urandom(1_500_000)
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    account(server, "bob")
    with obrolan.Client(account(server, "ann")) as ann, obrolan.Client(url_of(server, "bob")) as bob:
        steps: list[int] = []
        number = ann.send_file("bob", path, progress=steps.append)
        assert (sum(steps), len(steps) > 1) == (len(content), True)
        message = next_message(bob)
        assert (message.id, message.text) == (number, "")
        assert message.file is not None
        assert (message.file.name, message.file.size) == ("photo.jpg", len(content))
        steps.clear()
        assert bob.get_file(message.file, progress=steps.append) == content
        assert sum(steps) == len(content)
        target = tmp_path / "saved"
        assert bob.save_file(message.file, target) == len(content)
        assert target.read_bytes() == content
        ann.send_file("bob", b"halo", name="note.txt")
        file = next_message(bob).file
        assert file is not None
        assert bob.get_file(file) == b"halo"
        once = [ann.send_file("bob", b"halo", name="once.txt", key="once") for _ in range(2)]
        assert once[0] == once[1] == next_message(bob).id
        assert bob.next_event(0.1) is None
        with pytest.raises(obrolan.RequestError, match="no_such_file"):
            bob.get_file(obrolan.File("999", "x", 1, ""))
        with pytest.raises(FileNotFoundError):
            ann.send_file("bob", tmp_path / "missing")
        with pytest.raises(obrolan.ApiMisuse, match="no file name"):
            ann.send_file("bob", b"halo")

        def stop(_count: int) -> None:
            raise KeyError("enough")

        with pytest.raises(KeyError, match="enough"):
            ann.send_file("bob", path, progress=stop)
        with pytest.raises(KeyError, match="enough"):
            bob.save_file(message.file, tmp_path / "stopped", progress=stop)
        assert not (tmp_path / "stopped").exists()
        ann.ping()


BLOCKED = """
import obrolan, signal, socket
# Whoever runs the tests in the background may have SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with obrolan.Server() as server:
    url = server.url.replace("obrolan://", "obrolan://ann:secret99@")
    obrolan.register(url)
    ann = obrolan.Client(url, timeout=None)
    silent = socket.create_server(("127.0.0.1", 0))
    nowhere = f"obrolan://ann:secret99@127.0.0.1:{silent.getsockname()[1]}"
    lonely = obrolan.Client(nowhere, timeout=None, wait=False)
    try:
        print("ready", flush=True)
        CALL
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "call",
    [
        "ann.next_event()",
        "next(ann)",
        "lonely.ping()",
        "lonely.send_file('bob', b'x', name='x')",
        "obrolan.Client(nowhere, timeout=None)",
        "obrolan.register(nowhere, timeout=1000)",
        "ann.send('ann', 'x'), ann.next_event(), ann.next_event()",
    ],
)
def test_ctrl_c_works_at_once_in_every_call_that_waits(call: str) -> None:
    program = BLOCKED.replace("CALL", call)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 5
        process.kill()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_is_noticed_and_refused(server: str) -> None:
    ann = obrolan.Client(account(server, "ann"))
    if (child := os.fork()) == 0:
        code = 1
        try:
            ann.ping()
        except obrolan.ApiMisuse as error:
            code = 0 if "make one after the fork" in str(error) else 2
        del ann
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ann.ping()
    ann.close()


def test_clients_leave_nothing_behind(server: str) -> None:
    def held() -> tuple[int, int]:
        descriptors, threads = (len(list(Path("/proc/self", kind).iterdir())) for kind in ("fd", "task"))
        return descriptors, threads

    url = account(server, "ann")

    async def one() -> None:
        async with obrolan.AsyncClient(url) as client:
            await client.send("ann", "x" * 1000)

    def some() -> int:
        for _ in range(5):
            with obrolan.Client(url) as ann:
                for _ in range(20):
                    ann.send("ann", "x" * 1000)
                    next_message(ann)
            obrolan.Client(url)
            asyncio.run(one())
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4

    some()
    kilobytes = some()
    descriptors, threads = held()
    assert some() < kilobytes + 4096
    # The server is in this process too, and lets connections go when they are gone.
    until(lambda: held()[0] <= descriptors and held()[1] <= threads)
