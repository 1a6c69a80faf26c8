"""The program ``obrolan``: ``python -m obrolan`` and the console script are the same."""

import signal
import sys

from obrolan._obrolan import main as run


def main() -> int:
    """Do what the command line says, and return the exit code."""
    # The program watches for signals by itself. Python's own handler would only note Ctrl-C, and raise when all is over.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run(["obrolan", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
