"""Single bookings in the words of their venues: what kind each is, which way the money went, and which moved none."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.domain.ledger import EntryKind
from monitor.exchange.failures import ReadError
from monitor.paper.dialects.hyperliquid import address_of
from monitor.paper.dialects.krakenfutures import iso
from monitor.paper.formats import milliseconds
from tests.reading import ShiftedClock, good, spend_at_will
from tests.venues import bingx, bitget, deribit, gate, hyperliquid, krakenfutures, kucoinfutures, mexc
from tests.venues.kit import AccountCase, VenueCase, a_house, book_of
from tests.venues.ledgers import read

FUNDING, TRANSFER, REALISED, FEE, OTHER = EntryKind

Row = Mapping[str, Any]
# Kind, currency and amount of each entry, in order of their names.
Due = Sequence[tuple[EntryKind, str, float]]
SOMEBODY, VAULT = "0x" + "5" * 40, "0x" + "7" * 40


def account_of(case: VenueCase, place: int = 0) -> tuple[VenueCase, AccountCase]:
    return case, case.accounts[place]


CLASSIC, UNIFIED = account_of(bitget.CLASSIC), account_of(bitget.UNIFIED)
GATE, KRAKEN = account_of(gate.GATE_CASE), account_of(krakenfutures.KRAKEN_CASE)
STANDARD = hyperliquid.HYPERLIQUID_CASE, hyperliquid.STANDARD[0]
POOLED = hyperliquid.HYPERLIQUID_CASE, hyperliquid.UNIFIED[0]
DERIBIT, MEXC, BINGX = account_of(deribit.DERIBIT_CASE), account_of(mexc.MEXC_CASE), account_of(bingx.BINGX_CASE)
KUCOIN, KUCOIN_UNIFIED = account_of(kucoinfutures.CLASSIC), account_of(kucoinfutures.UNIFIED)


def _bill(at: datetime, row: Row) -> Row:
    time = str(milliseconds(at))
    return {"bills": ({"billId": "1", "id": "1", "symbol": "", "coin": "USDT", "cTime": time, "ts": time, **row},)}


def _gate(at: datetime, row: Row) -> Row:
    return {"booked": {"usdt": ({"time": at.timestamp(), "balance": "9", "text": "", "contract": "", **row},)}}


def _kraken(at: datetime, row: Row) -> Row:
    return {"log": ({"id": 1, "date": iso(at), "asset": "usd", "contract": None, **row},)}


def _update(at: datetime, row: Row) -> Row:
    return {"updates": ({"time": milliseconds(at), "hash": "0x1", "delta": row},)}


def _fill(at: datetime, row: Row) -> Row:
    given = {"coin": "BTC", "tid": 1, "closedPnl": "-3.5", "fee": "0.25", "feeToken": "USDC", "dir": "Close Long"}
    return {"fills": ({"time": milliseconds(at), "px": "1", "sz": "1", "startPosition": "1", **given, **row},)}


def _deribit(at: datetime, row: Row) -> Row:
    given = {"id": 1, "timestamp": milliseconds(at), "currency": "BTC", "instrument_name": "BTC-PERPETUAL"}
    return {"log": ({**given, **row},)}


def _mexc(at: datetime, row: Row) -> Row:
    given = {"id": 1, "currency": "USDT", "amount": 4.0, "type": "OUT", "state": "SUCCESS"}
    return {"transfers": ({**given, "createTime": milliseconds(at), **row},)}


def _bingx(at: datetime, row: Row) -> Row:
    return {"incomes": ({"symbol": "", "asset": "USDT", "time": milliseconds(at), "tranId": "", **row},)}


def _kucoin(at: datetime, row: Row) -> Row:
    given = {"currency": "USDT", "status": "Completed", "remark": "", "offset": 1, "id": "1"}
    return {"booked": ({**given, "time": milliseconds(at), "ts": milliseconds(at) * 1_000_000, **row},)}


def told(**row: Any) -> Row:
    return row


Case = tuple[tuple[VenueCase, AccountCase], Callable[[datetime, Row], Row], Row, Due]
BITGETS: Sequence[Case] = (
    (
        CLASSIC,
        _bill,
        told(businessType="force_close_long", amount="-7", fee="-0.5"),
        [(REALISED, "USDT", -7.0), (FEE, "USDT", -0.5)],
    ),
    (CLASSIC, _bill, told(businessType="risk_captital_user_transfer", amount="3", fee="0"), [(REALISED, "USDT", 3.0)]),
    (CLASSIC, _bill, told(businessType="bonus_issue", amount="2", fee="0"), [(TRANSFER, "USDT", 2.0)]),
    (CLASSIC, _bill, told(businessType="append_margin", amount="-5", fee="0"), []),
    (
        UNIFIED,
        _bill,
        told(type="CONTRACT_MAIN_SETTLE_FEE_USER_OUT", amount="2", fee="0"),
        [(FUNDING, "USDT", -2.0)],
    ),
    (UNIFIED, _bill, told(type="ORDER_PLF_FEE_OUT", amount="-1", fee="0", coin="BGB"), [(FEE, "BGB", -1.0)]),
    (UNIFIED, _bill, told(type="BORROW", amount="100", fee="0"), []),
    (
        UNIFIED,
        _bill,
        told(type="CLOSE_LONG", amount="8", fee="-1", positionType="crossed"),
        [(REALISED, "USDT", 8.0), (FEE, "USDT", -1.0)],
    ),
    (
        UNIFIED,
        _bill,
        told(type="CLOSE_LONG", amount="8", fee="-1", positionType="isolated"),
        [(OTHER, "USDT", 8.0), (FEE, "USDT", -1.0)],
    ),
)
BOOKS: Sequence[Case] = (
    (GATE, _gate, told(type="refr", change="0.5"), [(FEE, "USDT", 0.5)]),
    (GATE, _gate, told(type="point_fee", change="-3"), []),
    (GATE, _gate, told(type="fund", change="-0.25", id="77"), [(FUNDING, "USDT", -0.25)]),
    (
        KRAKEN,
        _kraken,
        told(
            info="futures trade",
            contract="pf_xbtusd",
            realized_pnl=-0.0042,
            realized_funding=0.001,
            fee=0.0035,
            old_balance=0.0077,
            new_balance=0,
        ),
        [(REALISED, "USD", -0.0042), (FEE, "USD", -0.0035), (FUNDING, "USD", 0.001)],
    ),
    (KRAKEN, _kraken, told(info="futures trade", asset="pf_xbtusd", contract="pf_xbtusd", realized_pnl=None), []),
    (KRAKEN, _kraken, told(info="conversion", asset="xbt", old_balance=2.0, new_balance=1.5), []),
    (
        KRAKEN,
        _kraken,
        told(info="subaccount transfer", asset="xbt", old_balance=2.0, new_balance=1.5),
        [(TRANSFER, "BTC", -0.5)],
    ),
    (KRAKEN, _kraken, told(info="interest payment", old_balance=9.0, new_balance=8.0), [(FEE, "USD", -1.0)]),
    (
        DERIBIT,
        _deribit,
        # As the documents show it.
        told(
            type="settlement",
            change=0.00215706,
            total_interest_pl=0.00001243,
            session_rpl=-0.00004467,
            session_upl=0.00220172,
        ),
        [(REALISED, "BTC", 0.00214463), (FUNDING, "BTC", 0.00001243)],
    ),
    (DERIBIT, _deribit, told(type="trade", change=-0.0003, commission=0.0003), [(FEE, "BTC", -0.0003)]),
    (
        DERIBIT,
        _deribit,
        told(type="trade", change=-0.0213, commission=0.0003, instrument_name="BTC-27MAR26-100000-C"),
        [(FEE, "BTC", -0.0003)],
    ),
    (DERIBIT, _deribit, told(type="swap", change=-2.5, instrument_name=None), []),
    (DERIBIT, _deribit, told(type="transfer", change=-2.5, instrument_name=None), [(TRANSFER, "BTC", -2.5)]),
    (MEXC, _mexc, told(), [(TRANSFER, "USDT", -4.0)]),
    (MEXC, _mexc, told(state="WAIT"), []),
    (BINGX, _bingx, told(incomeType="INSURANCE_CLEAR", income="-9"), [(REALISED, "USDT", -9.0)]),
    (BINGX, _bingx, told(incomeType="TRIAL_FUND", income="10"), [(TRANSFER, "USDT", 10.0)]),
    (KUCOIN, _kucoin, told(type="Withdrawal", amount=3.0, currency="XBT"), [(TRANSFER, "BTC", -3.0)]),
    (KUCOIN_UNIFIED, _kucoin, told(businessType="SPOT_EXCHANGE", direction="OUT", amount="9"), []),
    (KUCOIN, _kucoin, told(type="TransferIn", amount=3.0, status="Pending"), []),
    (
        KUCOIN_UNIFIED,
        _kucoin,
        told(businessType="FUNDING_FEE", direction="OUT", amount="0.5", remark="XBTUSDTM"),
        [(FUNDING, "USDT", -0.5)],
    ),
    (
        KUCOIN_UNIFIED,
        _kucoin,
        told(businessType="FUTURES_EXCHANGE_REBATE", direction="IN", amount="0.5"),
        [(FEE, "USDT", 0.5)],
    ),
)


def sent(kind: str, user: str, destination: str, **more: Any) -> Row:
    return {"type": kind, "user": user, "destination": destination, "token": "USDC", "amount": "20", **more}


OWN = address_of(book_of(STANDARD[0], ShiftedClock().now()).account("two"))
DEXES: Sequence[Case] = (
    (STANDARD, _update, told(type="withdraw", usdc="9", fee="1"), [(TRANSFER, "USDC", -9.0), (FEE, "USDC", -1.0)]),
    (STANDARD, _update, told(type="accountClassTransfer", usdc="50", toPerp=False), [(TRANSFER, "USDC", -50.0)]),
    (POOLED, _update, told(type="accountClassTransfer", usdc="50", toPerp=False), []),
    (
        STANDARD,
        _update,
        told(type="internalTransfer", usdc="20", user=OWN, destination=SOMEBODY, fee="1"),
        [(TRANSFER, "USDC", -20.0), (FEE, "USDC", -1.0)],
    ),
    (
        STANDARD,
        _update,
        told(type="subAccountTransfer", usdc="20", user=SOMEBODY, destination=OWN.upper().replace("X", "x")),
        [(TRANSFER, "USDC", 20.0)],
    ),
    (STANDARD, _update, sent("spotTransfer", SOMEBODY, OWN), []),
    (POOLED, _update, sent("spotTransfer", SOMEBODY, OWN), [(TRANSFER, "USDC", 20.0)]),
    (STANDARD, _update, sent("send", OWN, OWN, sourceDex="spot", destinationDex=""), [(TRANSFER, "USDC", 20.0)]),
    (STANDARD, _update, sent("send", OWN, OWN, sourceDex="", destinationDex="cash"), []),
    (POOLED, _update, sent("send", OWN, OWN, sourceDex="spot", destinationDex=""), []),
    (STANDARD, _update, told(type="vaultDeposit", vault=VAULT, usdc="30"), [(TRANSFER, "USDC", -30.0)]),
    (STANDARD, _update, told(type="vaultDeposit", vault=OWN, usdc="30"), [(TRANSFER, "USDC", 30.0)]),
    (
        STANDARD,
        _update,
        told(type="vaultWithdraw", vault=VAULT, netWithdrawnUsd="29", requestedUsd="30"),
        [(TRANSFER, "USDC", 29.0)],
    ),
    (STANDARD, _update, told(type="liquidation", accountValue="0.0", liquidatedNtlPos="9"), []),
    (STANDARD, _update, told(type="rewardsClaim", amount="5", token="HYPE"), [(TRANSFER, "HYPE", 5.0)]),
    (STANDARD, _fill, told(), [(REALISED, "USDC", -3.5), (FEE, "USDC", -0.25)]),
    (STANDARD, _fill, told(feeToken="HYPE"), [(REALISED, "USDC", -3.5), (FEE, "HYPE", -0.25)]),
    (STANDARD, _fill, told(coin="@107"), []),
)


async def entries_of(case: VenueCase, account: AccountCase, row: Row, made: Callable[[datetime, Row], Row]) -> Due:
    clock = ShiftedClock()
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(account)
        spend_at_will(source._client.shared.budget)
        good(await source.observe())
        at = clock.now() + timedelta(minutes=1)
        house.server.set_profile(account.account, **{**account.profile, **made(at, row)})
        clock.ahead += timedelta(minutes=2)
        # What the engine booked is over.
        ledger = await read(source, at - timedelta(seconds=30))
        return [(entry.kind, entry.currency, entry.amount) for entry in ledger.entries]


@pytest.mark.parametrize(
    ("account", "made", "row", "due"),
    [*BITGETS, *BOOKS, *DEXES],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
async def test_a_booking_is_of_the_kind_and_of_the_amount_that_its_words_say(
    account: tuple[VenueCase, AccountCase], made: Callable[[datetime, Row], Row], row: Row, due: Due
) -> None:
    entries = await entries_of(*account, row, made)
    assert [entry[:2] for entry in entries] == [entry[:2] for entry in due]
    assert [entry[2] for entry in entries] == pytest.approx([entry[2] for entry in due])


async def test_a_booking_that_goes_no_known_way_is_refused() -> None:
    with pytest.raises(ReadError):
        await entries_of(*KUCOIN_UNIFIED, told(businessType="TRANSFER", direction="UP", amount="1"), _kucoin)
