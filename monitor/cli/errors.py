"""One place that turns what went wrong into an exit code and words for the person at the terminal."""

import sys
import tempfile
import traceback
from pathlib import Path

from monitor.log import redact

EXPECTED_EXIT = 1
BUG_EXIT = 3
INTERRUPTED_EXIT = 130


class CommandError(Exception):
    """An expected error of a command; the message is one clear sentence."""


def say(text: str) -> None:
    """Write to stderr, where no secret may appear either."""
    sys.stderr.write(redact(text) + "\n")


def report_bug(error: BaseException) -> None:
    """The trace goes to stderr, for a container's log, and to a file, for a report."""
    trace = redact("".join(traceback.format_exception(error)))
    sys.stderr.write(trace)
    with tempfile.NamedTemporaryFile(
        "w", prefix="perpwatch-crash-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(trace)
    say(f"perpwatch: a bug stopped it ({type(error).__name__}); the details are above and in {Path(file.name)}")
