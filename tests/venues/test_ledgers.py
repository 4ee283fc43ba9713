"""Bookings as each venue tells them, beside what the engine knows to have moved an account's cash."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import FailureKind
from monitor.domain.ledger import EntryKind, Ledger
from monitor.exchange.failures import ReadError
from monitor.exchange.venues import binance_income
from monitor.paper.bookings import Booking
from monitor.paper.contract import Contract
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, clock, good  # noqa: F401
from tests.venues import binance, bybit, okx
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
    *((bybit.CASES[0], account, everything) for account in bybit.CASES[0].accounts),
    *((okx.OKX_CASE, account, everything) for account in okx.OKX_CASE.accounts[:4]),
)
# One account of each kind of call, and the name of that call.
CALLS: tuple[tuple[VenueCase, AccountCase, str], ...] = (
    (binance.USDM, binance.USDM.accounts[0], "/fapi/v1/income"),
    (binance.USDM, binance.PORTFOLIO_LINEAR.accounts[0], "/papi/v1/um/income"),
    (binance.COINM, binance.COINM.accounts[0], "/dapi/v1/income"),
    (bybit.CASES[0], bybit.CASES[0].accounts[0], "/v5/account/transaction-log"),
    (okx.OKX_CASE, okx.OKX_CASE.accounts[0], "/api/v5/account/bills"),
)


def named(value: Any) -> str:
    match value:
        case AccountCase():
            return value.name
        case VenueCase() | str():
            return str(value)
        case Fault():
            return str(value.kind)
        case tuple():
            return named(value[-1])
        case dict():
            return str(value.get("incomeType", value.get("type")))
        case _:
            return ""


def with_costs(contract: Contract) -> Contract:
    """Each contract pays fees and funding."""
    return replace(contract, fee_rate=0.0005, funding_rate=contract.funding_rate or 0.0003)


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
    terms = case.terms
    case = replace(case, terms=lambda contract: with_costs(terms(contract)))
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
    ids=named,
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


# --- rows as the venues write them ---

Told = tuple[EntryKind, str, float, str | None]
Of = tuple[VenueCase, AccountCase, str]
INCOME, LOG, BILLS = CALLS[0], CALLS[3], CALLS[4]
ROWS: tuple[tuple[Of, dict[str, Any], Sequence[Told]], ...] = (
    (INCOME, {"incomeType": "FEE_RETURN", "income": "1.5"}, [(EntryKind.FEE, "USDT", 1.5, None)]),
    (INCOME, {"incomeType": "INSURANCE_CLEAR", "income": "-2"}, [(EntryKind.REALISED, "USDT", -2.0, None)]),
    (INCOME, {"incomeType": "COIN_SWAP_DEPOSIT", "income": "7"}, [(EntryKind.TRANSFER, "USDT", 7.0, None)]),
    (INCOME, {"incomeType": "GRAND_NEW_THING", "income": "9"}, [(EntryKind.OTHER, "USDT", 9.0, None)]),
    (
        INCOME,
        {"incomeType": "FUNDING_FEE", "income": "-0.04618913", "symbol": "BTCUSDT"},
        [(EntryKind.FUNDING, "USDT", -0.04618913, "BTC/USDT:USDT")],
    ),
    (
        INCOME,
        {"incomeType": "COMMISSION", "income": "-0.1", "symbol": "GONEUSDT"},
        [(EntryKind.FEE, "USDT", -0.1, None)],
    ),
    (LOG, {"type": "INTEREST", "change": "-0.5"}, [(EntryKind.FEE, "USDT", -0.5, None)]),
    (LOG, {"type": "BONUS", "change": "5"}, [(EntryKind.TRANSFER, "USDT", 5.0, None)]),
    (LOG, {"type": "GRAND_NEW_THING", "change": "5"}, [(EntryKind.OTHER, "USDT", 5.0, None)]),
    (LOG, {"type": "CURRENCY_BUY", "change": "5"}, []),
    # What was recorded of a trade: the fee is told as what it costs.
    (
        LOG,
        {"type": "TRADE", "category": "linear", "symbol": "BTCUSDT", "fee": "0.0026028", "change": "-0.0026028"},
        [(EntryKind.FEE, "USDT", -0.0026028, "BTC/USDT:USDT")],
    ),
    (
        LOG,
        {"type": "TRADE", "category": "spot", "symbol": "BTCUSDT", "cashFlow": "-50", "fee": "0.1", "change": "-50.1"},
        [(EntryKind.FEE, "USDT", -0.1, None)],
    ),
    # Whichever sign the venue gives to funding, what its balance changed by is what the account saw.
    *(
        (
            LOG,
            {"type": "SETTLEMENT", "category": "linear", "symbol": "BTCUSDT", "funding": told, "change": "-0.25"},
            [(EntryKind.FUNDING, "USDT", -0.25, "BTC/USDT:USDT")],
        )
        for told in ("0.25", "-0.25")
    ),
    # A session's profit is settled with its funding.
    (
        LOG,
        {"type": "SETTLEMENT", "category": "linear", "symbol": "BTCUSDT", "cashFlow": "3", "change": "2.5"},
        [(EntryKind.FUNDING, "USDT", -0.5, "BTC/USDT:USDT"), (EntryKind.REALISED, "USDT", 3.0, "BTC/USDT:USDT")],
    ),
    (BILLS, {"type": "7", "balChg": "-0.5"}, [(EntryKind.FEE, "USDT", -0.5, None)]),
    (BILLS, {"type": "6", "balChg": "-10", "posBalChg": "10"}, []),
    (BILLS, {"type": "12", "balChg": "-100"}, [(EntryKind.TRANSFER, "USDT", -100.0, None)]),
    (BILLS, {"type": "777", "balChg": "3"}, [(EntryKind.OTHER, "USDT", 3.0, None)]),
    (BILLS, {"type": "2", "instType": "SPOT", "instId": "LTC-USDT", "balChg": "-664.2", "pnl": "0"}, []),
    # A recorded payment, and the same booked to an isolated position.
    *(
        (
            BILLS,
            {"type": "8", "ccy": "ETH", "instType": "SWAP", "instId": "ETH-USD-SWAP", name: "0.0000148752712240"},
            [(EntryKind.FUNDING, "ETH", 0.000014875271224, "ETH/USD:ETH")],
        )
        for name in ("balChg", "posBalChg")
    ),
)


def a_row(call: str, at_ms: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Profile, and what is the same in each of a venue's rows."""
    given: dict[str, dict[str, Any]] = {
        "/fapi/v1/income": {"symbol": "", "asset": "USDT", "time": at_ms, "tranId": 9689322392, "tradeId": ""},
        "/v5/account/transaction-log": {
            "id": "592324", "currency": "USDT", "transactionTime": str(at_ms), "category": "", "symbol": "",
            "cashFlow": "0", "funding": "", "fee": "0",
        },
        "/api/v5/account/bills": {
            "billId": "623950854533513219", "ccy": "USDT", "ts": str(at_ms), "instType": "", "instId": "",
            "balChg": "0", "posBalChg": "0", "pnl": "0", "fee": "0", "subType": "1",
        },
    }  # fmt: skip
    return given[call] | changes


def profile_of(call: str, row: dict[str, Any]) -> dict[str, Any]:
    profiles: dict[str, dict[str, Any]] = {
        "/fapi/v1/income": {"listed": {call: (row,)}},
        "/v5/account/transaction-log": {"booked": (row,)},
        "/api/v5/account/bills": {"bills": (row,)},
    }
    return profiles[call]


@pytest.mark.parametrize(("of", "changes", "told"), ROWS, ids=named)
async def test_each_kind_of_row_is_what_the_venue_means_by_it(
    of: Of,
    changes: dict[str, Any],
    told: Sequence[Told],
    clock: ShiftedClock,  # noqa: F811
) -> None:
    case, account, call = of
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        row = a_row(call, round((clock.now() - timedelta(minutes=5)).timestamp() * 1000), changes)
        source = house.open(replace(account, profile={**account.profile, **profile_of(call, row)}))
        good(await source.observe())
        ledger = await read(source, clock.now() - timedelta(hours=1))
        of_row = [entry for entry in ledger.entries if entry.at < clock.now() - timedelta(minutes=2)]
        found = [(entry.kind, entry.currency, round(entry.amount, 12), entry.symbol) for entry in of_row]
        assert found == [(kind, coin, round(amount, 12), symbol) for kind, coin, amount, symbol in told]
        assert not ledger.untold


async def test_a_week_that_fills_more_pages_than_are_asked_for_is_told_in_part(
    clock: ShiftedClock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of Bybit the last part, of Binance, which tells the oldest first, the first one: the next read goes on there."""
    monkeypatch.setattr(binance_income, "INCOMES_A_PAGE", 50)
    for of, page, pages in ((LOG, 50, 20), (INCOME, 50, 10)):
        case, account, call = of
        async with a_house(case, clock, book_of(case, clock.now())) as house:
            now_ms = round(clock.now().timestamp() * 1000)
            changes = {"type": "BONUS", "change": "1", "incomeType": "WELCOME_BONUS", "income": "1"}
            count = page * pages + 60
            booked = tuple(
                a_row(call, now_ms - 60_000 - 10 * number, {**changes, "id": f"n{number}", "tranId": number})
                for number in range(count)
            )
            profile = {"booked": booked} if of is LOG else {"listed": {call: booked}}
            source = house.open(replace(account, profile=profile))
            good(await source.observe())
            since = clock.now() - timedelta(days=6)
            ledger = await read(source, since)
            assert house.server.counts[call] == pages
            whole = (ledger.since > since) if of is LOG else (ledger.until < clock.now() - timedelta(seconds=59))
            assert whole
            assert page * (pages - 1) < len(ledger.entries) < count
