"""What a soak measures: one sample of a process, windows of samples as a table, and the bounds they must keep."""

import os
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.crashtest import waiting
from benchmarks.idle import resident_mb
from benchmarks.rig import Bound
from monitor.notify.wire import MAX_STUCK_THREADS
from monitor.store.database import JOURNAL_SIZE_LIMIT_BYTES

MB = 1024 * 1024
WARM_UP_S = 600.0
WINDOW_S = 600.0
PAGE_DEADLINE_S = 5.0
# What Python's objects hold is counted to the block. One kept of each read would be 0.4 a request; what a reload of the
# YAML or an account that comes and goes might keep is more by far. What may grow is delivery's memory of 20,000 rows
# handed out, and garbage that has not been collected yet.
MAX_BLOCKS_PER_REQUEST = 0.2
# Resident memory also counts what is free. Once warm, a run however long may still add SQLite's cache of pages, 2 MB as
# the outbox grows, and two arenas of Python's, 1 MB each, where a worst moment left a block or two. Beyond these 1 MB/h
# is some ten bytes for each request.
STEPS_MB = 4.0
MAX_SLOPE_MB_PER_HOUR = 1.0
MAX_LAG_S = 5.0
# What a bad moment may hold open that a calm one does not: connections kept alive.
PEAK_FDS = 30
# Of an account: its reads and the look at its key (2), what is written of it (1), the calls of its own read, or those
# in two layers that tell its mode (6), of its venue's records (3) and of the look at its key (2), the refresh of its
# venue's public data (1) with each of four parts asked for, read once for all who ask, and put together from its
# families (3 x 4). All at once where a venue hangs just as everything has aged: at rest 2, then 25 were seen.
TASKS_PER_ACCOUNT = 27
# Its lane, and what is written of a send.
TASKS_PER_CHANNEL = 2
# Delivery, tending, the loop's pulse, blindness, signs of life, the YAML and its folder, the page and who asks it, with
# the write of some of them; 11 of these at rest.
TASKS_BESIDE = 16
# At rest only connections that have not been closed yet differ.
REST_FDS, REST_TASKS, REST_THREADS = 15, 6, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`tasks`, `blocks` (of memory, held by Python's objects) and `lag_s` are the health page's, None where it did not
    answer; what counts does so from the start.

    `lag_s` is the worst of the last minute. `refused` are requests not answered with 200, `waiting` rows of the outbox.
    """

    at_s: float
    rss_mb: float
    fds: int
    threads: int
    tasks: int | None
    blocks: int | None
    lag_s: float | None
    wal_mb: float
    database_mb: float
    messages: int
    requests: int
    refused: int
    waiting: int

    def as_csv(self) -> str:
        return ",".join("" if value is None else f"{value:g}" for value in astuple(self))


CSV_HEADINGS = ",".join(field.name for field in fields(Sample))


async def sampled(pid: int, port: int, database: Path, **counted: Any) -> Sample:
    """One look at the process. `counted` are the figures that the caller keeps. Raises OSError where it has ended."""
    rss_mb, fds, threads = _process(pid)
    page = await _page(port)
    return Sample(
        rss_mb=rss_mb,
        fds=fds,
        threads=threads,
        tasks=page.get("tasks"),
        blocks=page.get("memory_blocks"),
        lag_s=_lag_s(page),
        wal_mb=_size_mb(database.with_name(database.name + "-wal")),
        database_mb=_size_mb(database),
        waiting=waiting(database),
        **counted,
    )


def _process(pid: int) -> tuple[float, int, int]:
    """Resident megabytes, open files, threads."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    if "VmRSS" not in status:
        raise ProcessLookupError(f"process {pid} has ended")
    threads = next(line for line in status.splitlines() if line.startswith("Threads:"))
    return resident_mb(status), len(os.listdir(f"/proc/{pid}/fd")), int(threads.split()[1])


async def _page(port: int) -> dict[str, Any]:
    """The health page; empty where it did not answer."""
    url, timeout = f"http://127.0.0.1:{port}/healthz", aiohttp.ClientTimeout(total=PAGE_DEADLINE_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            page: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, TimeoutError):
        return {}
    return page


def _lag_s(page: dict[str, Any]) -> float | None:
    detail = next((check["detail"] for check in page.get("checks", ()) if check["name"] == "loop"), "")
    late = re.search(r"at most ([\d.]+) s late", detail)
    return float(late[1]) if late else None


def _size_mb(path: Path) -> float:
    return path.stat().st_size / MB if path.exists() else 0.0


def slope_of(points: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line through (x, y); 0 for fewer than three points."""
    if len(points) < 3:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


HEADINGS = (
    "minutes",
    "RSS MB",
    "1000 blocks",
    "files",
    "threads",
    "tasks",
    "lag s",
    "WAL MB",
    "database MB",
    "messages",
    "requests",
    "refused",
    "waiting",
)


def windows(samples: Sequence[Sample]) -> Iterator[tuple[str, ...]]:
    """A row for each ten minutes: medians, and `median (largest)` of what comes and goes; counts are of that window."""
    last = samples[0]
    for number in range(int(samples[-1].at_s // WINDOW_S) + 1):
        inside = [sample for sample in samples if number == sample.at_s // WINDOW_S]
        if not inside:
            continue
        end = inside[-1]
        yield (
            f"{number * WINDOW_S / 60:.0f}-{end.at_s / 60:.0f}",
            f"{statistics.median(sample.rss_mb for sample in inside):.1f}",
            f"{statistics.median(sample.blocks or 0 for sample in inside) / 1000:.0f}",
            _spread(sample.fds for sample in inside),
            _spread(sample.threads for sample in inside),
            _spread(sample.tasks for sample in inside),
            f"{max((sample.lag_s or 0.0) for sample in inside):.2f}",
            f"{max(sample.wal_mb for sample in inside):.1f}",
            f"{end.database_mb:.1f}",
            str(end.messages - last.messages),
            str(end.requests - last.requests),
            str(end.refused - last.refused),
            _spread(sample.waiting for sample in inside),
        )
        last = end


def _spread(values: Iterator[int | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):g} ({max(known)})" if known else "-"


def bounds(samples: Sequence[Sample], before: Sample, after: Sample, *, accounts: int, channels: int) -> list[Bound]:
    """What must hold of a soak. `before` and `after` are the process at rest, before the troubles and after them."""
    first_s, last_s = samples[0].at_s, samples[-1].at_s
    warm_at_s = first_s + min(WARM_UP_S, (last_s - first_s) / 3)
    cold = [sample for sample in samples if sample.at_s < warm_at_s]
    warm = [sample for sample in samples if sample.at_s >= warm_at_s]

    def grown(figure: Callable[[Sample], float]) -> float:
        return max(map(figure, warm)) - max(map(figure, cold))

    resident = [(sample.at_s, sample.rss_mb) for sample in warm]
    blocks = [(float(sample.requests), float(sample.blocks)) for sample in warm if sample.blocks is not None]
    max_slope = MAX_SLOPE_MB_PER_HOUR + STEPS_MB / ((last_s - first_s) / 3600)
    lags = [sample.lag_s for sample in samples if sample.lag_s is not None]
    stuck = channels * MAX_STUCK_THREADS
    at_once = accounts * TASKS_PER_ACCOUNT + channels * TASKS_PER_CHANNEL + TASKS_BESIDE
    # What, its value, what it may be at most, the unit.
    rows = (
        ("live memory, slope once warm", slope_of(blocks), MAX_BLOCKS_PER_REQUEST, "blocks a request"),
        ("resident memory, slope once warm", 3600 * slope_of(resident), max_slope, "MB/h"),
        ("file descriptors, peak over the warm-up's", grown(lambda s: s.fds), PEAK_FDS, ""),
        ("threads, peak over the warm-up's", grown(lambda s: s.threads), stuck, ""),
        ("tasks, most at once", max(s.tasks or 0 for s in samples), at_once, ""),
        ("file descriptors at rest, after over before", after.fds - before.fds, REST_FDS, ""),
        ("threads at rest, after over before", after.threads - before.threads, REST_THREADS, ""),
        ("tasks at rest, after over before", (after.tasks or 0) - (before.tasks or 0), REST_TASKS, ""),
        ("write-ahead log, largest", max(s.wal_mb for s in samples), JOURNAL_SIZE_LIMIT_BYTES / MB, "MB"),
        ("event loop, latest", max(lags, default=0.0), MAX_LAG_S, "s"),
    )
    return [Bound(what=what, value=value, at_most=at_most, unit=unit) for what, value, at_most, unit in rows]
