"""The program obrolan, as pip installs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

import obrolan

SCRIPT = [str(Path(sysconfig.get_path("scripts")) / "obrolan")]
MODULE = [sys.executable, "-m", "obrolan"]

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OBROLAN_")}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False)


@pytest.mark.parametrize("program", [SCRIPT, MODULE], ids=["obrolan", "python -m obrolan"])
def test_it_is_the_same_program(program: list[str], tmp_path: Path) -> None:
    version = run(*program, "--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"obrolan {obrolan.__version__}\n", "")
    wrong = run(*program, "serve", "--lisen", "127.0.0.1:0")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'--listen'" in wrong.stderr
    assert "Usage: obrolan serve" in wrong.stderr
    config = tmp_path / "bad.toml"
    config.write_text("lisen = 'x'\n")
    assert run(*program, "serve", "--config", str(config)).returncode == 78
    demo = run(*program, "demo")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "ann asks  SEND bob halo Bob, apa kabar?" in demo.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_gracefully(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    command = [*SCRIPT, "serve", "--memory", "--listen", "127.0.0.1:0", "--ready-file", str(ready)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as server:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert server.poll() is None
            assert time.monotonic() < deadline, "it does not get ready"
            time.sleep(0.01)
        server.send_signal(number)
        _, log = server.communicate(timeout=30)
    assert server.returncode == 0, log
    assert "stopping; a second signal ends the server at once" in log
    assert "Traceback" not in log
    assert not ready.exists()


def test_ctrl_c_ends_the_chat_as_it_ends_any_program() -> None:
    """Where nobody watches for it, SIGINT ends the process, and whoever started it can see that."""
    with subprocess.Popen(
        [*SCRIPT, "chat", "ann@127.0.0.1:1", "--password-file", "/dev/stdin"],
        stdin=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as chat:
        time.sleep(0.5)
        chat.send_signal(signal.SIGINT)
        assert chat.wait(timeout=30) == -signal.SIGINT
