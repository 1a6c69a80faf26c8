"""The program ``obrolan``: ``python -m obrolan`` and the console script are the same."""

import signal
import sys

from obrolan._obrolan import main as run

#: What this program can do beside what the one that is all Rust can.
TALK = """
With Python:
  obrolan talk bot.py                      talk to your bot, with no server running
"""


def main() -> int:
    """Do what the command line says, and return the exit code."""
    args = sys.argv[1:]
    if args[:1] == ["talk"]:
        # What it takes to run a bot, the others do not need.
        from obrolan.talk import main as talk

        return talk(args[1:])
    # The program watches for signals by itself. Python's own handler would only note Ctrl-C, and raise when all is over.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = run(["obrolan", *args])
    if args in (["--help"], ["-h"]):
        sys.stdout.write(TALK)
    return code


if __name__ == "__main__":
    sys.exit(main())
