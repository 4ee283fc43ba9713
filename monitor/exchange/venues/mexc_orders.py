"""Beside the account of MEXC: its envelope, stop orders, records of liquidation and ADL, and what a key may do."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from monitor.domain.account import End, EndKind, FailureKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import (
    Row,
    flag,
    malformed,
    mapping,
    number,
    optional_positive,
    positive,
    rows,
    text,
    time_of,
)
from monitor.exchange.venues.contracts import ends_in, instrument_of
from monitor.exchange.venues.mexc_account import SIDES
from monitor.exchange.venues.venue import Instruments, KeyFacts

PAGE = 100
MAX_PAGES = 20
UNTRIGGERED = 1
WHOLE_POSITION = 2
AT_LEAST, AT_MOST = 1, 2
PERCENT = 1
DAY_S = 86_400.0
KINDS = {"stopLoss": OrderKind.STOP, "takeProfit": OrderKind.TAKE_PROFIT}
# 2 the system takes a position over, 4 ADL, 6 it sets a long against a short before that.
ENDS_BY_CATEGORY = {2: EndKind.LIQUIDATED, 4: EndKind.DELEVERAGED, 6: EndKind.LIQUIDATED}
# The side of an order -> the position that it reduces; 1 and 3 open, but where they reduce only (one-way mode).
CLOSES = {2: Side.SHORT, 4: Side.LONG}
REDUCES = {1: Side.SHORT, 3: Side.LONG}
NO_KEY_INFO = "MEXC does not tell what this key may do: apiKeyInfo was refused"


def told(reply: object, where: str) -> object:
    """What stands in `data` of a reply that says of itself that it succeeded. Raises ReadError (malformed)."""
    envelope = mapping(reply, where)
    if envelope.get("success") is not True or envelope.get("code") not in (0, "0", 200):
        raise malformed(f"{where}: the reply does not say that it succeeded")
    return envelope.get("data")


def listed(reply: object, where: str) -> list[Row]:
    return rows(told(reply, where), f"{where}.data")


def rows_of_page(reply: object, where: str) -> list[Row]:
    """The documents show a bare list, and describe one inside an object."""
    data = told(reply, where)
    return rows(data.get("resultList") if isinstance(data, dict) else data, f"{where}.data")


async def stops(client: Any, instruments: Instruments) -> Sequence[StopOrder]:
    """Take-profits and stops of positions, trigger orders that close, and trailing orders."""
    of_positions, triggers, trailing = await together(
        client.contractPrivateGetStoporderOpenOrders(),
        _pages(client.contractPrivateGetPlanorderListOrders, {"states": "1"}, ("page_num", "page_size")),
        _pages(client.contractPrivateGetTrackorderListOrders, {"states": "0,1"}, ("pageIndex", "pageSize")),
    )
    orders = [order for row in listed(of_positions, "stoporder") for order in _of_position(row, instruments)]
    orders += [order for row in triggers if (order := _trigger(row, instruments)) is not None]
    return [*orders, *(order for row in trailing if (order := _trailing(row, instruments)) is not None)]


async def ends(client: Any, instruments: Instruments, since: datetime) -> Sequence[End]:
    times = {"startTime": round(since.timestamp() * 1000)}
    found = await together(
        *(
            _pages(
                client.contractPrivateGetOrderListHistoryOrders,
                {"category": category, **times},
                ("page_num", "page_size"),
            )
            for category in ENDS_BY_CATEGORY
        )
    )
    told_ends = ends_in(chain(*found), lambda row: _end(row, instruments))
    return [end for end in told_ends if end.at >= since]


async def key_facts(client: Any) -> KeyFacts:
    info, server = await together(_key_info(client), client.contractPublicGetPing())
    now_s = client.shared.clock.now().timestamp()
    clock_ahead_s = now_s - number({"time": told(server, "ping")}, "time") / 1000
    if info is None:
        return KeyFacts(
            may_trade=None, may_withdraw=None, ip_restricted=None, clock_ahead_s=clock_ahead_s, notes=(NO_KEY_INFO,)
        )
    if text(info, "accessKey") != client.apiKey:
        raise malformed("apiKeyInfo tells of another key")
    words = text(info, "permissions").split(",")
    writes = [word for word in words if not word.strip().endswith("_READ")]
    addresses = info.get("ipWhiteList")
    days = optional_positive(info, "remainingValidity")
    return KeyFacts(
        may_trade=any("WITHDRAW" not in word and "TRANSFER" not in word for word in writes),
        may_withdraw=any("WITHDRAW" in word or "TRANSFER" in word for word in writes),
        ip_restricted=bool(addresses) if isinstance(addresses, str) else None,
        clock_ahead_s=clock_ahead_s,
        expires_at=time_of(1000 * (now_s + days * DAY_S)) if days and not addresses else None,
    )


async def _key_info(client: Any) -> Row | None:
    """None where the spot API refuses a key of futures; a key that it does not know at all is refused."""
    try:
        return mapping(await client.spotPrivateGetApiKeyInfo({"accessKey": client.apiKey}), "apiKeyInfo")
    except ReadError as failed:
        if failed.kind is FailureKind.PERMISSION:
            return None
        raise


async def _pages(call: Any, params: dict[str, Any], names: tuple[str, str]) -> list[Row]:
    """All pages; `names` are those of the page's number and its size. Raises ReadError where they do not end."""
    found: list[Row] = []
    for page in range(1, MAX_PAGES + 1):
        here = rows_of_page(await call({**params, names[0]: page, names[1]: PAGE}), "orders")
        if here and here[0] in found:
            raise malformed("a page of orders was answered twice")
        found += here
        if len(here) < PAGE:
            return found
    raise ReadError(FailureKind.IMPLAUSIBLE, f"more than {MAX_PAGES * PAGE} orders are listed")


def _of_position(row: Row, instruments: Instruments) -> Iterable[StopOrder]:
    """One row may hold both prices. A row without a position waits for its limit order, and protects nothing yet."""
    of_position, of_order = optional_positive(row, "positionId"), optional_positive(row, "orderId")
    if of_position is None and of_order is None and row.get("positionId") in (None, ""):
        raise malformed("stoporder: neither its position nor its order is told")
    if number(row, "state") != UNTRIGGERED or of_position is None:
        return
    side = SIDES.get(number(row, "positionType"))
    if side is None:
        raise malformed(f"stoporder: positionType {row['positionType']!s:.20}")
    instrument = instrument_of(row, instruments)
    prices = {name: price for name in KINDS if (price := optional_positive(row, f"{name}Price")) is not None}
    if not prices:
        raise malformed("stoporder: neither a stop loss nor a take profit has a price")
    for name, price in prices.items():
        own = f"{name}Vol" if row.get("profitLossVolType") == "SEPARATE" else "vol"
        size = None if row.get("volType") == WHOLE_POSITION else _units(instrument, positive(row, own), price)
        yield StopOrder(
            instrument=instrument,
            side=side,
            kind=KINDS[name],
            trigger_price=price,
            callback_rate=None,
            size=size,
            reduce_only=True,
        )


def _reduced(row: Row) -> Side | None:
    """The side of the position that an order reduces; None for one that opens."""
    side = int(number(row, "side"))
    return CLOSES.get(side) or (REDUCES.get(side) if flag(row, "reduceOnly") else None)


def _trigger(row: Row, instruments: Instruments) -> StopOrder | None:
    side = _reduced(row)
    if side is None:
        return None
    instrument, price, direction = (
        instrument_of(row, instruments),
        positive(row, "triggerPrice"),
        row.get("triggerType"),
    )
    if direction not in (AT_LEAST, AT_MOST):
        raise malformed(f"planorder: triggerType {direction!r:.20}")
    is_stop = direction == (AT_MOST if side is Side.LONG else AT_LEAST)
    return StopOrder(
        instrument=instrument,
        side=side,
        kind=OrderKind.STOP if is_stop else OrderKind.TAKE_PROFIT,
        trigger_price=price,
        callback_rate=None,
        size=_units(instrument, positive(row, "vol"), price),
        reduce_only=True,
    )


def _trailing(row: Row, instruments: Instruments) -> StopOrder | None:
    side = _reduced(row)
    if side is None:
        return None
    instrument = instrument_of(row, instruments)
    price = optional_positive(row, "triggerPrice")
    at = price or optional_positive(row, "markPrice") or optional_positive(row, "activePrice")
    return StopOrder(
        instrument=instrument,
        side=side,
        kind=OrderKind.TRAILING,
        trigger_price=price,
        callback_rate=positive(row, "backValue") if row.get("backType") == PERCENT else None,
        size=_units(instrument, positive(row, "vol"), at) if at or not instrument.inverse else None,
        reduce_only=True,
    )


def _units(instrument: Instrument, contracts: float, price: float | None) -> float:
    """In base units; those of an inverse contract at the price at which the order is carried out."""
    units = contracts * instrument.contract_size
    return units / price if instrument.inverse and price else units


def _end(row: Row, instruments: Instruments) -> End | None:
    """None for what is no end of a position, whatever was asked for."""
    kind, side = ENDS_BY_CATEGORY.get(int(number(row, "category"))), CLOSES.get(int(number(row, "side")))
    if kind is None or side is None:
        return None
    return End(
        instrument=instrument_of(row, instruments),
        side=side,
        kind=kind,
        at=time_of(number(row, "updateTime")),
        contracts=optional_positive(row, "dealVol"),
        price=optional_positive(row, "dealAvgPrice"),
    )
