"""What rests and what was taken at Binance: stop orders, and its records of liquidations and auto-deleveragings.

Three dialects of a conditional order: the algo service's (fapi since December 2025, dapi, papi for USDS-M), the order
book's own (openOrders), and papi's for COIN-M. Quantities are contracts; a callback of 1 is one percent.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from monitor.domain.account import End, EndKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.values import (
    Row,
    boolean,
    flag,
    malformed,
    not_negative,
    number,
    optional_number,
    optional_positive,
    rows,
    text,
    time_of,
)
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import Instruments

KINDS: Mapping[str, OrderKind] = {
    "STOP": OrderKind.STOP,
    "STOP_MARKET": OrderKind.STOP,
    "TAKE_PROFIT": OrderKind.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": OrderKind.TAKE_PROFIT,
    "TRAILING_STOP_MARKET": OrderKind.TRAILING,
}
# The order that closes a position of a side is of the other.
CLOSES = {"SELL": Side.LONG, "BUY": Side.SHORT}
# How a forced order is named: "autoclose-1596107620040000020", "adl_autoclose". Settlements are named otherwise.
ENDS = {"autoclose-": EndKind.LIQUIDATED, "adl_autoclose": EndKind.DELEVERAGED}
RECORDS_A_PAGE = 100
MAX_PAGES = 10


def stop_orders(reply: object, instruments: Instruments) -> list[StopOrder]:
    """One list of open orders; those that wait for no price are passed over, and those that open a hedged side."""
    parsed = (
        _stop_order(row, KINDS[kind], instruments)
        for row in rows(reply, "open orders")
        if (kind := text(row, _first(row, "orderType", "strategyType", "type"))) in KINDS
    )
    return [order for order in parsed if order is not None]


def _stop_order(row: Row, kind: OrderKind, instruments: Instruments) -> StopOrder | None:
    instrument, closed, of = instrument_of(row, instruments), _closed(row), text(row, "positionSide")
    if of not in ("BOTH", closed.upper()):
        return None
    is_trailing = kind is OrderKind.TRAILING
    # A trailing order waits for its activation price; the stop price told with it is to be ignored.
    names = ("activatePrice",) if is_trailing else ("triggerPrice", "stopPrice")
    trigger_price = _positive(row, *names)
    callback = _positive(row, "callbackRate", "priceRate") if is_trailing else None
    closes_all = flag(row, "closePosition")
    return StopOrder(
        instrument=instrument,
        side=closed,
        kind=kind,
        trigger_price=trigger_price,
        callback_rate=callback / 100 if callback is not None else None,
        size=None if closes_all else _base_units(row, instrument, trigger_price),
        # In hedge mode the side says whose position it is for, and reduceOnly is not sent.
        reduce_only=closes_all or boolean(row, "reduceOnly") or of != "BOTH",
    )


def _base_units(row: Row, instrument: Instrument, price: float | None) -> float:
    name = "quantity" if "quantity" in row else "origQty"
    contracts = not_negative(row, name) - (optional_number(row, "executedQty") or 0.0)
    if contracts <= 0:
        raise malformed(f"{instrument.symbol}: a stop order over {contracts:g} contracts")
    units = contracts * instrument.contract_size
    if not instrument.inverse:
        return units
    if price is None:
        raise malformed(f"{instrument.symbol}: a stop order without a price")
    return units / price


def _closed(row: Row) -> Side:
    side = CLOSES.get(text(row, "side"))
    if side is None:
        raise malformed(f"side: {row['side']!s:.20} is not a side")
    return side


def _first(row: Row, *names: str) -> str:
    """The name under which the row's dialect tells it."""
    return next((name for name in names if name in row), names[0])


def _positive(row: Row, *names: str) -> float | None:
    return next((optional_positive(row, name) for name in names if name in row), None)


async def ends(client: Any, method: str, instruments: Instruments, since: datetime) -> list[End]:
    """forceOrders from then on, oldest first, at most 100 a call. Raises ReadError."""
    found: dict[float, Row] = {}
    start_ms = round(since.timestamp() * 1000)
    for _ in range(MAX_PAGES):
        page = rows(await getattr(client, method)({"startTime": start_ms, "limit": RECORDS_A_PAGE}), "forceOrders")
        fresh = {number(row, "orderId"): row for row in page if number(row, "orderId") not in found}
        found |= fresh
        if len(page) < RECORDS_A_PAGE:
            told = (_end(row, instruments) for row in found.values())
            return [end for end in told if end is not None and end.at >= since]
        if not fresh:
            break
        start_ms = round(max(number(row, "time") for row in page))
    raise malformed(f"forceOrders: no end after {len(found)} orders")


def _end(row: Row, instruments: Instruments) -> End | None:
    """None for what was no liquidation, took nothing, or was in a contract that is no longer listed."""
    name, contracts = text(row, "clientOrderId"), not_negative(row, "executedQty")
    kind = next((kind for prefix, kind in ENDS.items() if name.startswith(prefix)), None)
    instrument = instruments.get(text(row, "symbol"))
    if kind is None or instrument is None or contracts == 0:
        return None
    return End(
        instrument=instrument,
        side=_closed(row),
        kind=kind,
        at=time_of(number(row, "time")),
        contracts=contracts,
        price=optional_positive(row, "avgPrice"),
    )
