"""A ledger read by pages promises no more than was told, each booking once."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from monitor.domain.account import FailureKind
from monitor.domain.ledger import Entry, EntryKind
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.bookings import INSTANT, MAX_PAGES, Cursor, Page, merged, read_bookings
from tests.builders import at

SINCE, UNTIL = at(-1e6), at(1e6)


def a_row(second: float, amount: float = 1.0) -> dict[str, Any]:
    return {"s": second, "amount": amount}


def booked_at(row: Any) -> datetime:
    return at(row["s"])


def entries_of(row: Any) -> Iterator[Entry]:
    if row["amount"]:
        yield Entry(id=f"{row['s']}", at=booked_at(row), kind=EntryKind.FUNDING, currency="USDT", amount=row["amount"])


class Venue:
    """Its pages one behind the other; the last one says so."""

    def __init__(self, *pages: Sequence[Any]) -> None:
        self.pages = pages
        self.asked: list[Cursor | None] = []

    async def ask(self, cursor: Cursor | None) -> Page:
        self.asked.append(cursor)
        number = int(cursor or 0)
        return Page(self.pages[number], number + 1 if number + 1 < len(self.pages) else None)


async def told(venue: Venue, **changes: Any) -> Any:
    return await read_bookings(venue.ask, entries_of, booked_at, **{"since": SINCE, "until": UNTIL, **changes})


async def test_all_pages_are_one_ledger_in_order_without_rows_that_moved_nothing() -> None:
    ledger = await told(Venue([a_row(5), a_row(4, 0.0)], [a_row(3), a_row(1)]))
    assert [entry.at for entry in ledger.entries] == [at(1), at(3), at(5)]
    assert (ledger.since, ledger.until) == (SINCE, UNTIL)


async def test_a_row_that_slid_onto_the_next_page_is_counted_once() -> None:
    assert len((await told(Venue([a_row(5), a_row(4)], [a_row(4), a_row(3)]))).entries) == 3


async def test_two_rows_of_one_id_that_differ_are_malformed() -> None:
    with pytest.raises(ReadError) as failed:
        await told(Venue([a_row(4, 1.0)], [a_row(4, 2.0)]))
    assert failed.value.kind is FailureKind.MALFORMED


async def test_nothing_before_or_at_since_and_nothing_after_until_is_told() -> None:
    ledger = await told(Venue([a_row(9), a_row(5)], [a_row(3), a_row(1)]), since=at(3), until=at(8))
    assert [entry.at for entry in ledger.entries] == [at(5)]


async def test_what_is_older_than_asked_for_is_not_paged_through() -> None:
    venue = Venue([a_row(9), a_row(5)], [a_row(3)], [a_row(1)])
    await told(venue, since=at(3))
    assert venue.asked == [None, 1]


async def test_where_pages_are_not_enough_the_ledger_begins_later_and_the_cut_instant_is_left_out() -> None:
    pages = [[a_row(100 - 2 * n), a_row(99 - 2 * n)] for n in range(MAX_PAGES + 1)]
    ledger = await told(Venue(*pages))
    assert ledger.since == at(99 - 2 * (MAX_PAGES - 1))
    assert len(ledger.entries) == 2 * MAX_PAGES - 1


async def test_where_the_oldest_come_first_it_ends_earlier() -> None:
    ledger = await told(Venue(*([a_row(n)] for n in range(MAX_PAGES + 1))), oldest_first=True)
    assert (ledger.since, ledger.until) == (SINCE, at(MAX_PAGES - 1) - INSTANT)
    assert len(ledger.entries) == MAX_PAGES - 1


async def test_a_page_that_follows_itself_is_malformed() -> None:
    async def ask(_cursor: Cursor | None) -> Page:
        return Page([a_row(1)], "again")

    with pytest.raises(ReadError, match="follows itself"):
        await read_bookings(ask, entries_of, booked_at, since=SINCE, until=UNTIL)


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_pages_that_run_the_other_way_are_malformed_and_no_short_ledger(oldest_first: bool) -> None:
    rows = [a_row(9), a_row(5)] if oldest_first else [a_row(5), a_row(9)]
    with pytest.raises(ReadError, match="order"):
        await told(Venue(rows, [a_row(20)]), oldest_first=oldest_first)
    assert len((await told(Venue(rows), oldest_first=oldest_first)).entries) == 2


async def test_of_several_wallets_only_what_all_of_them_cover_is_told() -> None:
    first = await told(Venue([a_row(9), a_row(5), a_row(1)]), since=at(2), until=at(20), untold=[EntryKind.FEE])
    second = await told(Venue([a_row(19), a_row(4)]), since=at(0), until=at(10))
    ledger = merged([first, second])
    assert [entry.at for entry in ledger.entries] == [at(4), at(5), at(9)]
    assert (ledger.since, ledger.until, ledger.untold) == (at(2), at(10), frozenset({EntryKind.FEE}))
