"""The bounds of a soak: what is steady keeps them, and each kind of leak breaks the one that watches for it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.soak_figures import MB, TASKS_PER_ACCOUNT, Sample, bounds, slope_of, windows
from monitor.store.database import JOURNAL_SIZE_LIMIT_BYTES

HOUR_S, EVERY_S = 3600, 10
REST = Sample(
    at_s=0, rss_mb=180, fds=60, threads=13, tasks=33, blocks=1_000_000, lag_s=0.01, wal_mb=4,
    database_mb=1, messages=0, requests=0, refused=0, waiting=0,
)  # fmt: skip


def an_hour(change: Callable[[Sample], Sample] = lambda sample: sample) -> list[Sample]:
    """Steady but for the noise of one page more or less, each sample then changed."""
    return [
        change(replace(REST, at_s=at_s, rss_mb=180 + 0.5 * (at_s // EVERY_S % 2), requests=at_s, messages=at_s // 60))
        for at_s in range(0, HOUR_S + EVERY_S, EVERY_S)
    ]


def broken(samples: list[Sample], after: Sample = REST) -> list[str]:
    return [bound.what for bound in bounds(samples, REST, after, accounts=11, channels=3) if not bound.holds]


def test_a_steady_hour_keeps_every_bound() -> None:
    assert broken(an_hour()) == []


def test_memory_taken_while_it_warms_up_is_no_leak() -> None:
    assert broken(an_hour(lambda s: replace(s, rss_mb=s.rss_mb - max(0.0, 30 - s.at_s / 20)))) == []


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        (lambda s: replace(s, rss_mb=s.rss_mb + 6 * s.at_s / HOUR_S), "resident memory"),
        (lambda s: replace(s, blocks=1_000_000 + s.requests // 3), "live memory"),
        (lambda s: replace(s, fds=60 + int(s.at_s // 60)), "file descriptors, peak"),
        (lambda s: replace(s, threads=13 + int(s.at_s // 200)), "threads, peak"),
        (lambda s: replace(s, tasks=33 + int(s.at_s // 10)), "tasks, most at once"),
        (lambda s: replace(s, wal_mb=JOURNAL_SIZE_LIMIT_BYTES / MB + 1), "write-ahead log"),
        (lambda s: replace(s, lag_s=6.0), "event loop"),
    ],
    ids=["memory", "objects", "files", "threads", "tasks", "log", "loop"],
)
def test_each_leak_breaks_its_bound(leak: Callable[[Sample], Sample], what: str) -> None:
    (told,) = broken(an_hour(leak))
    assert told.startswith(what)


def test_all_venues_that_hang_at_once_while_everything_has_aged_are_no_leak_of_tasks() -> None:
    hanging = 33 + 11 * (TASKS_PER_ACCOUNT - 2)
    assert broken(an_hour(lambda s: replace(s, tasks=hanging if s.at_s == HOUR_S / 2 else s.tasks))) == []


def test_garbage_that_comes_and_goes_is_no_leak() -> None:
    assert broken(an_hour(lambda s: replace(s, blocks=1_000_000 + 300 * (int(s.at_s) % 90)))) == []


def test_a_step_of_the_heap_is_no_leak() -> None:
    assert broken(an_hour(lambda s: replace(s, rss_mb=s.rss_mb + (2 if s.at_s > HOUR_S / 2 else 0)))) == []


@pytest.mark.parametrize("figure", ["fds", "threads", "tasks"])
def test_what_is_still_held_at_rest_breaks_its_bound(figure: str) -> None:
    (told,) = broken(an_hour(), replace(REST, **{figure: getattr(REST, figure) + 20}))
    assert "at rest" in told


def test_the_slope_is_that_of_the_line_through_the_points() -> None:
    assert slope_of([(at_s, 100 + at_s / 1800) for at_s in range(0, 600, 10)]) == pytest.approx(1 / 1800)
    assert slope_of([(0.0, 1.0), (10.0, 9.0)]) == 0.0


def test_a_window_counts_what_happened_in_it() -> None:
    rows = list(windows(an_hour()))
    assert [row[0] for row in rows[:2]] == ["0-10", "10-20"]
    assert sum(int(row[10]) for row in rows) == HOUR_S
