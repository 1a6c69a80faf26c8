"""One echo bot, in obrolan and in slixmpp on prosody: messages a second, and CPU time.

Usage, with ``obrolan`` (a release build) and ``slixmpp`` from PyPI in this Python, and ``prosody`` from Debian:

    python tests/bench/bots.py [MESSAGES]

Server, bot and the one who talks to it are processes of their own on this machine. The talker sends, keeps 64 messages without their
echoes, and counts the echoes. Each pair is measured three times, in turn; the median counts.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

WINDOW = 64

PROSODY = """
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "saslauth", "roster" }}
modules_disabled = {{ "s2s", "tls" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
log = {{ error = "{folder}/prosody.log" }}
VirtualHost "localhost"
"""


def slixmpp_client(name: str, port: int) -> object:
    """Return a client that connects without TLS, as both sides do here."""
    import slixmpp

    client = slixmpp.ClientXMPP(
        f"{name}@localhost", "secret99", plugin_config={"feature_mechanisms": {"unencrypted_plain": True}}
    )
    client.enable_direct_tls = client.enable_starttls = False
    client.enable_plaintext = True
    client.connect("127.0.0.1", port)
    return client


def slixmpp_bot(port: int) -> None:
    async def run() -> None:
        client = slixmpp_client("echo", port)

        def echo(message: object) -> None:
            message.reply(message["body"]).send()

        async def start(_event: object) -> None:
            client.send_presence()
            print("ready", flush=True)

        client.add_event_handler("session_start", start)
        client.add_event_handler("message", echo)
        await asyncio.Event().wait()

    asyncio.run(run())


def slixmpp_talk(port: int, messages: int) -> None:
    async def run() -> None:
        client = slixmpp_client("ann", port)
        done = asyncio.Event()
        sent = came = 0
        began = 0.0

        def send() -> None:
            nonlocal sent
            client.send_message("echo@localhost", str(sent), mtype="chat")
            sent += 1

        def message(_message: object) -> None:
            nonlocal came
            came += 1
            if sent < messages:
                send()
            if came == messages:
                done.set()

        async def start(_event: object) -> None:
            nonlocal began
            client.send_presence()
            began = time.perf_counter()
            for _ in range(WINDOW):
                send()

        client.add_event_handler("message", message)
        client.add_event_handler("session_start", start)
        await done.wait()
        print(time.perf_counter() - began, flush=True)

    asyncio.run(run())


def obrolan_bot(url: str) -> None:
    import obrolan

    bot = obrolan.Bot(url)

    @bot.on_message
    async def echo(msg: obrolan.Message) -> None:
        await msg.reply(msg.text)

    @bot.on(obrolan.Connected)
    def connected(_event: obrolan.Connected) -> None:
        print("ready", flush=True)

    bot.run()


def obrolan_talk(url: str, messages: int) -> None:
    import obrolan

    async def run() -> None:
        async with obrolan.AsyncClient(url) as ann:
            sent = came = 0
            tasks: set[asyncio.Task[int]] = set()

            def send() -> None:
                nonlocal sent
                task = asyncio.create_task(ann.send("echo", str(sent)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1

            began = time.perf_counter()
            for _ in range(WINDOW):
                send()
            async for event in ann:
                if isinstance(event, obrolan.Message):
                    came += 1
                    ann.confirm(event.id)
                    if sent < messages:
                        send()
                    if came == messages:
                        break
            print(time.perf_counter() - began, flush=True)

    asyncio.run(run())


def cpu(process: subprocess.Popen[str]) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def measure(kind: str, messages: int) -> tuple[float, float, float]:
    """Return messages a second, and the CPU microseconds of bot and server for each."""
    itself = [sys.executable, __file__]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        if kind == "slixmpp":
            config = folder / "prosody.cfg.lua"
            config.write_text(PROSODY.format(folder=folder, port=port))
            for name in ("echo", "ann"):
                register = ["prosodyctl", "--config", str(config), "register", name, "localhost", "secret99"]
                subprocess.run(register, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            server = stack.enter_context(process("prosody", "--config", str(config), "-F"))
            bot_args, talk_args = [str(port)], [str(port)]
        else:
            import obrolan

            storage = ["--memory"] if kind == "obrolan-memory" else ["--data", str(folder / "data")]
            serve = [
                sys.executable,
                "-m",
                "obrolan",
                "serve",
                "--log",
                "off",
                "--listen",
                f"127.0.0.1:{port}",
            ]
            server = stack.enter_context(process(*serve, *storage))
            wait_for(port)
            bot_args, talk_args = (
                [f"obrolan://{name}:secret99@127.0.0.1:{port}"] for name in ("echo", "ann")
            )
            for url in (*bot_args, *talk_args):
                obrolan.register(url)
        wait_for(port)
        library = kind.partition("-")[0]
        bot = stack.enter_context(process(*itself, f"{library}_bot", *bot_args))
        assert bot.stdout is not None
        assert bot.stdout.readline() == "ready\n"
        time.sleep(0.5)
        before = cpu(bot), cpu(server)
        talk = subprocess.run(
            [*itself, f"{library}_talk", *talk_args, str(messages)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        after = cpu(bot), cpu(server)
        spent = [(end - start) / messages * 1e6 for start, end in zip(before, after, strict=True)]
        return messages / float(talk.stdout), spent[0], spent[1]


def main() -> None:
    if len(sys.argv) > 2:
        name, *args = sys.argv[1:]
        globals()[name](*(int(arg) if arg.isdecimal() else arg for arg in args))
        return
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    kinds = ["obrolan-disk", "obrolan-memory", "slixmpp"]
    runs: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    for _ in range(3):
        for kind in kinds:
            runs[kind].append(measure(kind, messages))
    print(f"{'':16}{'messages/s':>12}{'bot us':>10}{'server us':>12}")
    for kind, measured in runs.items():
        rate, bot, server = (statistics.median(values) for values in zip(*measured, strict=True))
        print(f"{kind:16}{rate:12.0f}{bot:10.0f}{server:12.0f}")


if __name__ == "__main__":
    main()
