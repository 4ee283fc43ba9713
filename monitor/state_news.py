"""What the owner must hear of the state file: that it is lost, that it is not written, that it is written again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from monitor.notify.text import duration
from monitor.store.store import Store

# A program that holds the file for a moment, a backup for one, is no news.
TOLD_AFTER = timedelta(seconds=30)


class StateNews:
    """What stood in `store.set_aside` at construction counts as told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._set_aside = store.set_aside
        self._told_failing_since: datetime | None = None

    def due(self, now: datetime) -> Iterator[tuple[str, list[str]]]:
        """Title and lines of each message that is due, once."""
        lost, failing_since = self._store.set_aside, self._store.failing_since
        if lost is not None and lost != self._set_aside:
            yield "the state file had to be replaced", [lost]
        self._set_aside = lost
        told = self._told_failing_since
        if failing_since is None and told is not None:
            yield "the state file is written again", [f"It was kept in memory for {_passed(told, now)}."]
            self._told_failing_since = None
        elif failing_since is not None and told is None and now - failing_since >= TOLD_AFTER:
            yield (
                "the state file is not written",
                [
                    f"Nothing was written for {_passed(failing_since, now)}: {self._store.failing_why}",
                    "Alerts go on, from memory. Mend the disk or the file; no restart is needed, and one before that "
                    "may tell some alerts twice.",
                ],
            )
            self._told_failing_since = failing_since


def _passed(since: datetime, now: datetime) -> str:
    return duration((now - since).total_seconds())
