"""Notices that a file was saved, however editors, mounts and Kubernetes do it.

Two ways at once: the system's notifications for speed, and a look at the content every second for everything that
gives none (bind mounts, network folders, exhausted inotify watches). Only a changed content counts.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import structlog
from watchfiles import awatch

from monitor.clock import Clock

LOOK_EVERY_S = 1.0
# A save is over once the content stays the same for this long; editors truncate, then write.
SETTLED_S = 0.2
# Editors delete and write anew: a file must be gone for longer than that takes to be gone.
GONE_S = 1.0

_log = structlog.get_logger(__name__)


def fingerprint(path: Path) -> str | None:
    """A hash of the file's content, None where it cannot be read. To be taken before a load, and given to `saves`."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return sha256(stream.read(2 * 1024 * 1024)).hexdigest()
    except OSError:
        return None


async def saves(path: Path, clock: Clock, stop: asyncio.Event, seen: str | None = None) -> AsyncGenerator[None, None]:
    """Yield whenever what stands in the file is not what was yielded last, within 2 s; ends soon after `stop` is set.

    `seen` is the fingerprint of the content already loaded; without it, of the content at the first step. A file that
    is deleted for longer than an editor needs counts as changed as well, and so does its return.
    """
    known = seen if seen is not None else await asyncio.to_thread(fingerprint, path)
    stirred = asyncio.Event()
    notifications = asyncio.create_task(_notifications(path.parent, stirred, stop), name="config notifications")
    try:
        while not stop.is_set():
            content = await _settled(path, clock, known)
            if content != known:
                known = content
                yield
                continue
            with suppress(TimeoutError):
                async with clock.deadline(LOOK_EVERY_S):
                    await stirred.wait()
            stirred.clear()
    finally:
        notifications.cancel()
        with suppress(asyncio.CancelledError):
            await notifications


async def _settled(path: Path, clock: Clock, known: str | None) -> str | None:
    """The content's fingerprint: `known`, or a new one that has stayed the same for a moment."""
    content = await asyncio.to_thread(fingerprint, path)
    while content != known:
        await clock.sleep(GONE_S if content is None else SETTLED_S)
        again = await asyncio.to_thread(fingerprint, path)
        if again == content:
            break
        content = again
    return content


async def _notifications(folder: Path, stirred: asyncio.Event, stop: asyncio.Event) -> None:
    """Set `stirred` when anything in the folder changes; where the system cannot tell, the second's look is enough."""
    try:
        async for _ in awatch(
            folder, watch_filter=None, debounce=100, step=20, rust_timeout=500, stop_event=stop, recursive=False
        ):
            stirred.set()
    except (OSError, RuntimeError) as error:
        _log.warning("config folder gives no notifications, looking every second instead", error=str(error))
    finally:
        stirred.set()
