"""Threads that share an engine, and what goes on meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chat import NOW, SEED, new_engine, take
from obrolan import Config, Engine
from obrolan.engine import AskHashPassword, Password, PasswordHash, hash_password

PEOPLE, ROUNDS = 8, 200


def test_threads_share_an_engine_and_lose_nothing() -> None:
    """Each thread speaks on a connection of its own; what the engine asks, any of them may be told."""
    engine = Engine(Config(passwords="host"), seed=SEED, now=NOW)
    conns = [engine.connect(NOW) for _ in range(PEOPLE)]
    start = threading.Barrier(PEOPLE + 1)
    done = threading.Event()

    def speak(conn: int) -> bytes:
        start.wait()
        came = b""
        for number in range(ROUNDS):
            data = b"PING\nREGISTER u%d-%d secret99 ID x\n" % (conn, number)
            while data:
                data = data[engine.receive(NOW, conn, data).consumed :]
                for output in engine.outputs():
                    if isinstance(output, AskHashPassword):
                        engine.answer(NOW, output.ticket, PasswordHash("hash"))
                came += take(engine, conn)
        while not engine.wants_read(conn):
            time.sleep(0.001)
        return came + take(engine, conn)

    def watch() -> int:
        start.wait()
        looks = 0
        while not done.is_set():
            assert engine.connections == PEOPLE
            assert (len(engine.digest()), len(engine.snapshot().content) > 0) == (32, True)
            looks += 1
        return looks

    with ThreadPoolExecutor(PEOPLE + 1) as pool:
        watching = pool.submit(watch)
        speaking = [pool.submit(speak, conn) for conn in conns]
        try:
            came = [speaker.result(timeout=60) for speaker in speaking]
        finally:
            done.set()
        assert watching.result(timeout=60) > 0
    answers = b'{"status":"OK","data":"pong"}\r\n\r\n{"status":"OK","data":"registrasi berhasil"}\r\n\r\n'
    assert came == [answers * ROUNDS] * PEOPLE
    assert engine.accounts == PEOPLE * ROUNDS


def register(engine: Engine) -> None:
    conn = engine.connect(NOW)
    engine.receive(NOW, conn, b"REGISTER u%d secret99 ID x\n" % conn)


def register_while_another_waits(engine: Engine) -> None:
    other = threading.Thread(target=lambda: [engine.accounts for _ in range(10)])
    other.start()
    register(engine)
    other.join()


@pytest.mark.parametrize(
    "work",
    [register, register_while_another_waits, lambda _: hash_password(Password("secret99"), bytes(16))],
    ids=["a password in the engine", "waiting for the engine", "a password outside"],
)
def test_other_threads_run_while_a_password_is_hashed(work: Callable[[Engine], object]) -> None:
    engine = new_engine()
    #: Odd while it works.
    turns = 0
    stop = threading.Event()

    def works() -> None:
        nonlocal turns
        while not stop.is_set():
            turns += 1
            work(engine)
            turns += 1

    thread = threading.Thread(target=works)
    thread.start()
    # It takes milliseconds. Were the interpreter held, nobody could look at one of its turns but as it begins and ends.
    looks = turn = 0
    deadline = time.monotonic() + 60
    try:
        while looks < 10:
            assert time.monotonic() < deadline, "the interpreter is held"
            looks, turn = (looks + 1 if turn == turns and turn % 2 == 1 else 0), turns
            time.sleep(0.0001)
    finally:
        stop.set()
        thread.join()
