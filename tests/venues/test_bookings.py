"""What further venues tell of their bookings: the engine's truth, every page of it, or a failure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from monitor.domain.ledger import EntryKind, Ledger
from monitor.exchange.failures import ReadError
from monitor.exchange.source import AccountSource
from monitor.paper.bookings import bookings
from monitor.paper.contract import Contract
from monitor.paper.faults import FaultKind
from tests.reading import ShiftedClock, good, spend_at_will
from tests.venues import bingx, deribit, hyperliquid
from tests.venues.booked import BOOKED, BookedCase
from tests.venues.kit import MISBEHAVIOURS, House, VenueCase, a_house, book_of
from tests.venues.ledgers import assert_told, read, stir

HOURS = 26
SHORT_PAGE = 40
# Of those that tell transfers, which are easily made.
PAGED = list(
    {str(booked.case): booked for booked in reversed(BOOKED) if EntryKind.TRANSFER not in booked.untold}.values()
)


def with_fees(contract: Contract) -> Contract:
    return contract if contract.fee_rate else replace(contract, fee_rate=0.0005)


@dataclass(frozen=True)
class Opened:
    """`since` is before everything that the engine booked."""

    house: House
    source: AccountSource
    clock: ShiftedClock
    since: datetime

    def stir(self, booked: BookedCase) -> None:
        stir(self.house.engine, booked.account.account)
        self.clock.ahead += timedelta(hours=HOURS)

    async def read(self) -> Ledger:
        return await read(self.source, self.since)


@asynccontextmanager
async def opened(booked: BookedCase) -> AsyncIterator[Opened]:
    clock = ShiftedClock()
    case = replace(booked.case, terms=lambda contract: with_fees(booked.case.terms(contract)))
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(booked.account)
        spend_at_will(source._client.shared.budget)
        good(await source.observe())
        yield Opened(house, source, clock, clock.now() - timedelta(minutes=5))


def told(booked: BookedCase, ledger: Ledger, house: House) -> None:
    assert ledger.untold == booked.untold
    # The engine's symbols have no dexes.
    entries = tuple(replace(e, symbol=e.symbol and e.symbol.rpartition("-")[2]) for e in ledger.entries)
    plain, account = replace(ledger, entries=entries), booked.account.account
    assert_told(plain, house.engine, account, booked.tells, without_symbol=booked.without_symbol)


@pytest.mark.parametrize("booked", BOOKED, ids=str)
async def test_what_was_booked_is_told_as_the_account_sees_it(booked: BookedCase) -> None:
    async with opened(booked) as at:
        at.stir(booked)
        ledger = await at.read()
        told(booked, ledger, at.house)
        assert ledger.since == at.since
        of_account = bookings(at.house.engine, booked.account.account)
        kinds = {booking.kind for booking in of_account if booked.tells(booking) and booking.amount}
        assert {entry.kind for entry in ledger.entries} == kinds - booked.untold
        assert len(kinds - booked.untold) > 1


@pytest.mark.parametrize("booked", PAGED, ids=str)
async def test_bookings_on_further_pages_are_read_and_where_they_are_too_many_the_ledger_says_so(
    booked: BookedCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pages of a few rows, where the venue's own are long."""
    page = SHORT_PAGE if booked.pager else booked.page
    if booked.pager:
        monkeypatch.setattr(booked.pager, "PAGE", page)
    async with opened(booked) as at:
        engine = at.house.engine
        # Venues' times are of milliseconds, the engine's of less.
        engine.advance(engine.now.replace(microsecond=0) + timedelta(seconds=1))
        rows = 0
        for count, is_whole in ((page + 3, True), (page * booked.pages + 3, False)):
            for _ in range(rows, count):
                engine.deposit(booked.account.account, booked.currency, 0.01)
                engine.advance(engine.now + timedelta(seconds=2))
            rows = count
            at.clock.ahead = engine.now - ShiftedClock().now() + timedelta(minutes=1)
            ledger = await at.read()
            told(booked, ledger, at.house)
            assert len(ledger.entries) > page
            assert (ledger.since == at.since and ledger.until > engine.now) is is_whole


@pytest.mark.parametrize("booked", BOOKED, ids=str)
async def test_a_booking_in_an_unknown_word_is_of_the_other_kind(booked: BookedCase) -> None:
    async with opened(booked) as at:
        profile = {**booked.account.profile, **booked.strange(at.clock.now() + timedelta(seconds=1))}
        at.house.server.set_profile(booked.account.account, **profile)
        at.clock.ahead += timedelta(minutes=1)
        strange = [entry for entry in (await at.read()).entries if entry.kind is EntryKind.OTHER]
        assert [(entry.currency, entry.amount) for entry in strange] == [(booked.currency, 1.25)]


@pytest.mark.parametrize("booked", BOOKED, ids=str)
async def test_a_reply_of_bookings_that_is_spoilt_is_a_failure_and_no_empty_ledger(booked: BookedCase) -> None:
    async with opened(booked) as at:
        at.stir(booked)
        for fault, usual in MISBEHAVIOURS:
            if fault.kind is FaultKind.HANG or fault.kind in booked.honest:
                continue
            at.house.server.misbehave(replace(fault, path=booked.call))
            with pytest.raises(ReadError) as failed:
                await at.read()
            assert failed.value.kind is booked.case.kind_of(booked.call, fault, usual), fault
            at.house.server.clear_faults()
            at.source._client.shared.budget._stopped = None
        told(booked, await at.read(), at.house)


@pytest.mark.parametrize(
    ("case", "weights", "paced"),
    [
        (deribit.DERIBIT_CASE, [20, 20, 20, 20], True),
        (hyperliquid.HYPERLIQUID_CASE, [45, 45, 120], False),
        (bingx.BINGX_CASE, [1], True),
    ],
    ids=str,
)
async def test_each_page_weighs_what_the_venue_says_and_waits_for_its_turn(
    case: VenueCase, weights: list[int], paced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, spent = ShiftedClock(), list[int]()
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(case.accounts[0])
        good(await source.observe())
        budget = source._client.shared.budget

        async def spend(weight: int, _patience_s: float, path: str) -> None:
            assert (path in budget._paces) is paced
            spent.append(weight)

        monkeypatch.setattr(budget, "spend", spend)
        await read(source, clock.now() - timedelta(minutes=5))
    assert spent == weights
