"""The command ``obrolan talk``: talk to a bot in a terminal, with no server running."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import threading
from pathlib import Path

from obrolan import testing
from obrolan.bot import Bot
from obrolan.errors import Error
from obrolan.events import Message
from obrolan.running import printable

__all__ = ["load", "main"]

#: Once nothing more is typed, so many seconds without a message mean that no other comes.
QUIET = 1.0


def main(args: list[str]) -> int:
    """Do what the arguments say, and return the exit code."""
    parser = argparse.ArgumentParser(
        "obrolan talk",
        description="Talk to a bot in this terminal, on a server in memory. Each line is a message; Ctrl-D ends.",
    )
    parser.add_argument(
        "bot", metavar="FILE[:NAME]", help="the Python file, and the bot's name in it if it has several"
    )
    parser.add_argument(
        "--as", dest="user", metavar="USER", default="you", help="who you are (default: %(default)s)"
    )
    parser.add_argument("--group", help="make a group of you and the bot, and talk there")
    options = parser.parse_args(args)
    try:
        talk(load(options.bot), options.user, options.group)
    except (Error, OSError) as error:
        sys.stderr.write(f"obrolan talk: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def load(where: str) -> Bot:
    """Return the bot of a file: ``bot.py``, or ``bot.py:name``.

    Raises Error if there is none.
    """
    file, _, name = where.partition(":")
    path = Path(file)
    if not path.exists():
        raise Error(
            f"there is no file {file}; give the path of the one that makes your bot: obrolan talk PATH/bot.py"
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise Error(f"{file} is no Python file; give one that makes an obrolan.Bot")
    module = importlib.util.module_from_spec(spec)
    # What the bot imports may be beside it.
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    bots = {key: value for key, value in vars(module).items() if isinstance(value, Bot)}
    if name in bots:
        return bots[name]
    if name or len(bots) != 1:
        names = ", ".join(bots) or "none"
        raise Error(f"which bot? {file} has {names}; write {file}:NAME")
    return next(iter(bots.values()))


def talk(bot: Bot, user: str, group: str | None = None) -> None:
    """Pass lines of standard input to a bot, and its messages to standard output."""
    with testing.Server() as server, server.run(bot) as running, server.client(user) as person:
        if group is not None:
            server.group(group, user, running.name)
        if sys.stdin.isatty():
            sys.stdout.write(f"You talk to {running.name}. Ctrl-D ends.\n")
        shown = threading.Event()
        printer = threading.Thread(target=_show, args=(person, shown), daemon=True)
        printer.start()
        for line in sys.stdin:
            if text := line.rstrip("\r\n"):
                shown.set()
                if group is None:
                    person.send(running.name, text)
                else:
                    person.send_group(group, text)
        while shown.is_set():
            shown.clear()
            shown.wait(QUIET)


def _show(person: testing.Person, shown: threading.Event) -> None:
    """Show messages until the client is closed."""
    for event in person:
        if isinstance(event, Message):
            text = f"sends the file {event.file.name} ({event.file.size} B)" if event.file else event.text
            lines = "\n  ".join(printable(line) for line in text.splitlines())
            sys.stdout.write(f"{printable(event.sender)}: {lines}\n")
            sys.stdout.flush()
            shown.set()
