"""Bookings as each venue tells them, beside what the engine knows to have moved an account's cash."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import FailureKind
from monitor.domain.ledger import EntryKind, Ledger
from monitor.exchange.failures import ReadError
from monitor.paper.bookings import Booking
from monitor.paper.contract import Contract
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, clock, good  # noqa: F401
from tests.venues import binance
from tests.venues.kit import AccountCase, House, VenueCase, a_house, book_of
from tests.venues.ledgers import assert_told, read, stir

Tells = Callable[[Booking], bool]
HOURS = 26


def everything(_booking: Booking) -> bool:
    return True


def _linear(booking: Booking) -> bool:
    """Coins lie elsewhere."""
    return booking.asset in binance.STABLES


def _of_coins(booking: Booking) -> bool:
    return booking.asset in binance.COINS


# Account, and what of its bookings the venue tells of it.
ACCOUNTS: tuple[tuple[VenueCase, AccountCase, Tells], ...] = (
    *((binance.USDM, account, _linear) for account in binance.USDM.accounts[:6]),
    *((binance.USDM, account, everything) for account in binance.USDM.accounts[6:]),
    (binance.COINM, binance.COINM.accounts[0], _of_coins),
)
# One account of each kind of call, and the name of that call.
CALLS: tuple[tuple[VenueCase, AccountCase, str], ...] = (
    (binance.USDM, binance.USDM.accounts[0], "/fapi/v1/income"),
    (binance.USDM, binance.PORTFOLIO_LINEAR.accounts[0], "/papi/v1/um/income"),
    (binance.COINM, binance.COINM.accounts[0], "/dapi/v1/income"),
)


def named(value: Any) -> str | None:
    return value.name if isinstance(value, AccountCase) else str(value) if isinstance(value, VenueCase | str) else ""


def with_fees(contract: Contract) -> Contract:
    return replace(contract, fee_rate=0.0005)


async def a_day(house: House, account: AccountCase, clock: ShiftedClock) -> Ledger:  # noqa: F811
    """What was booked from before the account's first deposit to after its last funding."""
    since = clock.now() - timedelta(minutes=5)
    source = house.open(account)
    good(await source.observe())
    stir(house.engine, account.account)
    clock.ahead += timedelta(hours=HOURS)
    return await read(source, since)


@pytest.mark.parametrize(("case", "account", "tells"), ACCOUNTS, ids=named)
async def test_what_was_booked_is_told_as_the_account_sees_it(
    case: VenueCase,
    account: AccountCase,
    tells: Tells,
    clock: ShiftedClock,  # noqa: F811
) -> None:
    case = replace(case, terms=lambda contract, terms=case.terms: with_fees(terms(contract)))
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        ledger = await a_day(house, account, clock)
        assert {EntryKind.FUNDING, EntryKind.REALISED, EntryKind.FEE} <= {entry.kind for entry in ledger.entries}
        assert EntryKind.OTHER not in {entry.kind for entry in ledger.entries}
        assert_told(ledger, house.engine, account.account, tells)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind=FaultKind.EMPTY_OBJECT), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.NULL), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.NOT_A_NUMBER), FailureKind.MALFORMED),
        (Fault(kind=FaultKind.SERVER_ERROR, status=500), FailureKind.OVERLOADED),
    ],
    ids=str,
)
@pytest.mark.parametrize(("case", "account", "call"), CALLS, ids=named)
async def test_bookings_that_cannot_be_read_are_a_failure_and_never_an_empty_ledger(
    case: VenueCase,
    account: AccountCase,
    call: str,
    fault: Fault,
    kind: FailureKind,
    clock: ShiftedClock,  # noqa: F811
) -> None:
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        house.server.misbehave(replace(fault, path=call))
        with pytest.raises(ReadError) as failed:
            await a_day(house, account, clock)
    assert failed.value.kind is kind
