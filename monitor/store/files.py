"""The files of a SQLite state: the lock that keeps it to one monitor, and setting a damaged one aside."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from monitor.store.errors import StoreError, StoreErrorKind

# Memory, on systems that have it: a full disk is often that of temporary files too.
MEMORY = Path("/dev/shm")  # noqa: S108  # inside of it a folder is made that is nobody else's
# No disk mends these: the configured path leads nowhere.
_MISTAKEN_PATH = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)


class FileLock:
    """Held from construction until `release`; the kernel lets go of it when the process dies, however it dies."""

    def __init__(self, database: Path) -> None:
        """Raises StoreError where another process holds it, or the folder cannot be written."""
        path = database.with_name(database.name + ".lock")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(database, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            sentence = f"another perpwatch is using {database} (process {holder}): stop it, or configure another path."
            raise StoreError(StoreErrorKind.LOCKED, sentence) from error
        except OSError as error:
            os.close(self._descriptor)
            raise unusable(database, error) from error

    def release(self) -> None:
        # The file stays: removing it would let two processes hold locks on two files of one name.
        os.close(self._descriptor)


def prepare(database: Path) -> None:
    """Make the folder and an empty private file, so that no other user reads the state. Raises StoreError."""
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise unusable(database, error) from error


def set_aside(database: Path, now: datetime) -> Path:
    """Move the database with its journals to `<name>.damaged-<time>`; raises StoreError where that fails."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = database.with_name(f"{database.name}.damaged-{stamp}")
    try:
        for suffix in ("", "-wal", "-shm"):
            source = database.with_name(database.name + suffix)
            if source.exists():
                source.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise unusable(database, error) from error
    return aside


@contextmanager
def copied(database: Path, place: Path | None) -> Iterator[Path]:
    """A private copy of the database with its journal, gone with the block; `place` None is where temporary files go.

    Raises OSError.
    """
    with TemporaryDirectory(prefix="perpwatch-", dir=place) as folder:
        copy = Path(folder) / "state.db"
        # Whoever holds the database may move the journal into it at any moment: what is copied first is then in both.
        journal = database.with_name(database.name + "-wal")
        if journal.exists():
            shutil.copyfile(journal, copy.with_name(copy.name + "-wal"))
        shutil.copyfile(database, copy)
        yield copy


def unusable(database: Path, error: OSError) -> StoreError:
    reason = error.strerror or type(error).__name__
    kind = StoreErrorKind.NO_PLACE if error.errno in _MISTAKEN_PATH else StoreErrorKind.UNUSABLE
    return StoreError(kind, f"the state {database} cannot be opened for writing: {reason}.")
