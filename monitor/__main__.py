"""`perpwatch` and `python -m monitor`: where the process begins."""

import os
import signal

INTERRUPTED_EXIT = 130


def main() -> None:
    """Run the command of the process's arguments and exit with its code."""
    # The imports take most of a second. Nothing has begun that would have to end in order, and a KeyboardInterrupt
    # raised in there ends in a trace, or in an `except:` of some library.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED_EXIT))
    from monitor.cli.app import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
