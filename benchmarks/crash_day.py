"""10 October 2025, 20:30 to 22:30 UTC, as recorded: one price a second for each coin."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAY_START = datetime(2025, 10, 10, 20, 30, tzinfo=UTC)
DAY_END = datetime(2025, 10, 10, 22, 30, tzinfo=UTC)
LAST_PRICES = ("AVAX", "DOT", "BCH")
MINUTE_MARKS = "BTC"
COINS = (*LAST_PRICES, MINUTE_MARKS)

Point = tuple[datetime, float]


def prices(folder: Path, coin: str, start: datetime, end: datetime) -> tuple[float, ...]:
    """The price at each second from `start` up to `end`: the last trade for most coins, BTC's marks interpolated."""
    if coin == MINUTE_MARKS:
        return tuple(_interpolated(_minute_points(folder / "binance-delivery_BTCUSD_PERP_mark_1m.csv"), start, end))
    return tuple(_last_known(_trades(folder / f"binance-delivery_{coin}USD_PERP.csv"), start, end))


def _trades(path: Path) -> list[Point]:
    return [(datetime.fromtimestamp(int(row[0]), UTC), float(row[1])) for row in _rows(path)]


def _minute_points(path: Path) -> list[Point]:
    """Four points a minute. Which of high and low came first is not recorded: a falling minute is taken as open,
    high, low, close, a rising one as open, low, high, close."""
    points: list[Point] = []
    for row in _rows(path):
        opened = datetime.fromtimestamp(int(row[0]) / 1000, UTC)
        first, high, low, last = (float(figure) for figure in row[1:5])
        turns = (high, low) if last < first else (low, high)
        points += [
            (opened + timedelta(seconds=at_s), price)
            for at_s, price in zip((0, 20, 40, 59), (first, *turns, last), strict=True)
        ]
    return points


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def _seconds(start: datetime, end: datetime) -> Iterator[datetime]:
    for second in range(int((end - start).total_seconds())):
        yield start + timedelta(seconds=second)


def _last_known(points: Sequence[Point], start: datetime, end: datetime) -> Iterator[float]:
    """Before the first trade, the first."""
    price, index = points[0][1], 0
    for now in _seconds(start, end):
        while index < len(points) and points[index][0] <= now:
            price = points[index][1]
            index += 1
        yield price


def _interpolated(points: Sequence[Point], start: datetime, end: datetime) -> Iterator[float]:
    pairs = itertools.pairwise(points)
    (from_at, from_price), (to_at, to_price) = next(pairs)
    for now in _seconds(start, end):
        while to_at <= now:
            (from_at, from_price), (to_at, to_price) = next(pairs)
        yield from_price + (to_price - from_price) * ((now - from_at) / (to_at - from_at))
