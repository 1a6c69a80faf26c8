"""The server in this process."""

from __future__ import annotations

import gc
import re
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from obrolan import ConfigError, Server, ServerError


def ask(server: Server, *lines: str) -> list[bytes]:
    """Send lines on one connection, and return the responses."""
    with socket.create_connection(server.address, timeout=10) as peer:
        peer.sendall("".join(f"{line}\n" for line in lines).encode())
        peer.shutdown(socket.SHUT_WR)
        came = b"".join(iter(lambda: peer.recv(4096), b""))
    return came.split(b"\r\n\r\n")[:-1]


def accepts(server: Server) -> bool:
    try:
        socket.create_connection(server.address, timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_serves_as_long_as_its_block() -> None:
    with Server() as server:
        assert server.url == "obrolan://{}:{}".format(*server.address)
        assert repr(server) == f"<Server {server.url}>"
        assert ask(server, "PING") == [b'{"status":"OK","data":"pong"}']
    assert not accepts(server)
    assert repr(server) == f"<Server {server.url}, stopped>"
    server.stop()


def test_servers_do_not_share_anything() -> None:
    with Server() as one, Server() as other:
        ask(one, "REGISTER ann secret99 ID Ann")
        assert ask(one, "LIST_USERS") == [b'{"status":"OK","users":["ann"]}']
        assert ask(other, "LIST_USERS") == [b'{"status":"OK","users":[]}']


def test_settings_are_those_of_the_configuration_file(tmp_path: Path) -> None:
    with Server(
        storage="disk",
        data=tmp_path / "data",
        realm="example",
        accounts={"registration": "closed", "admins": ["ann"], "throttle_loopback": True},
        limits={"line": "64 KiB", "users": 5, "session_idle": "1h"},
    ) as server:
        assert (tmp_path / "data").is_dir()
        ok, refused = ask(server, "REGISTER ann secret99 ID Ann", "REGISTER bob secret99 ID Bob")
        assert ok.startswith(b'{"status":"OK"')
        assert refused.endswith(b'"code":"forbidden"}')


def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    for expected in ('{"status":"OK"', '"code":"user_exists"'):
        with Server(storage="disk", data=str(tmp_path)) as server:
            assert expected.encode() in ask(server, "REGISTER ann secret99 ID Ann")[0]


def test_a_configuration_can_be_a_text() -> None:
    text = 'listen = "127.0.0.1:0"\nstorage = "memory"\nlog = "off"\n[limits]\nconnections = 1\n'
    with Server.from_toml(text) as server, socket.create_connection(server.address) as peer:
        peer.sendall(b"PING\n")
        assert peer.recv(100).startswith(b'{"status":"OK"')
        assert b'"code":"busy"' in ask(server)[0]


def test_wrong_settings_are_told_all_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        Server(lisen="x", limits={"users": 0, "line": "much"}, accounts={"admins": ["a b"]}, users=5)
    assert sorted(str(error.value).splitlines()) == [
        'accounts.admins: this list contains "a b", which is not a name; give 1 to 64 bytes without spaces, "@" and '
        "control characters",
        'limits.line: "much" is not a size; give a number of bytes, KiB, MiB or GiB, e.g. "1 MiB"',
        "limits.users: 0 never means unlimited here; give a whole number, e.g. 1000000",
        'unknown key "lisen"; did you mean "listen"?',
        'unknown key "users"; "users" belongs under [limits]',
    ]
    with pytest.raises(ConfigError, match=r"^<string>:2:1: unknown key \"lisen\""):
        Server.from_toml("\nlisen = 'x'\n")
    with pytest.raises(ConfigError, match="ready_file: only"):
        Server(ready_file="ready")
    with pytest.raises(TypeError, match=r"a setting is a str, an int, .* not float"):
        Server(**cast("Any", {"limits": {"users": 0.5}}))


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with Server() as server:
        host, port = server.address
        with pytest.raises(ServerError, match=re.escape(f"cannot listen on {host}:{port} (")):
            Server(listen=f"{host}:{port}")
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match="cannot "):
        Server(storage="disk", data=tmp_path / "file" / "data")


def test_a_server_that_nobody_holds_stops() -> None:
    server = Server()
    address = server.address
    del server
    gc.collect()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


def test_threads_may_stop_a_server_at_the_same_time() -> None:
    server = Server()
    threads = [threading.Thread(target=server.stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    assert not accepts(server)


def run(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_ctrl_c_ends_the_waiting_for_a_server_that_stops_slowly() -> None:
    """A peer that does not read holds the end up; Ctrl-C does not wait for it."""
    done = run("""
        import os, signal, socket, threading, time
        from obrolan import Server

        server = Server(limits={"output_buffer": "64 MiB"})
        peer = socket.create_connection(server.address)
        for _ in range(300):
            peer.sendall(b"HELP\\n" * 100)
        began = time.monotonic()
        try:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            server.stop()
        except KeyboardInterrupt:
            print("interrupted after", time.monotonic() - began)
        os._exit(0)
    """)
    said, _, seconds = done.stdout.rpartition(" ")
    assert (said, float(seconds) < 5) == ("interrupted after", True), done


def test_a_fork_is_noticed() -> None:
    """The thread of a server does not fork with its process."""
    done = run("""
        import os
        from obrolan import ApiMisuse, Server

        server = Server()
        if (child := os.fork()) == 0:
            try:
                server.stop()
            except ApiMisuse as error:
                print(error, flush=True)
            del server
            os._exit(0)
        os.waitpid(child, 0)
        server.stop()
        print("stopped")
    """)
    assert done.stdout.splitlines() == [
        "this server runs in the process that this one was forked from; start one after the fork",
        "stopped",
    ], done


def test_a_server_logs_if_it_is_told_to() -> None:
    done = run("""
        import socket
        from obrolan import Server

        for log in ("off", "info"):
            with Server(log=log) as server, socket.create_connection(server.address) as peer:
                peer.sendall(b"REGISTER %b secret99 ID x\\n" % log.encode())
                peer.recv(100)
    """)
    assert "user=info" in done.stderr
    assert "user=off" not in done.stderr
    assert "secret99" not in done.stderr


def test_a_process_may_end_with_its_servers_running() -> None:
    done = run("""
        from obrolan import Server

        server = Server()
        print("end")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
