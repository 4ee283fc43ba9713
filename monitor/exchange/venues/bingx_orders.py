"""Beside the account of BingX: its envelope, stop orders, records of liquidation and ADL, and what a key may do."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from monitor.domain.account import End, EndKind, FailureKind, OrderKind, Side, StopOrder
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import (
    Row,
    boolean,
    flag,
    malformed,
    mapping,
    number,
    optional_positive,
    positive,
    rows,
    text,
    time_of,
    word,
    words,
)
from monitor.exchange.venues.bingx_account import SIDES
from monitor.exchange.venues.contracts import ends_in, instrument_of
from monitor.exchange.venues.venue import Instruments, KeyFacts, is_bound

KINDS: Mapping[str, OrderKind] = {
    "STOP": OrderKind.STOP,
    "STOP_MARKET": OrderKind.STOP,
    "TAKE_PROFIT": OrderKind.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": OrderKind.TAKE_PROFIT,
    "TRAILING_STOP_MARKET": OrderKind.TRAILING,
    "TRAILING_TP_SL": OrderKind.TRAILING,
}
REDUCED_BY = {"SELL": Side.LONG, "BUY": Side.SHORT}
ENDS = {"LIQUIDATION": EndKind.LIQUIDATED, "ADL": EndKind.DELEVERAGED}
MOST_ENDS = 100
# Of apiPermissions: 1 spot trading, 2 reading, 3 perpetual futures, 4 universal transfer, 5 withdrawal, 7 transfers
# within sub-accounts.
TRADES, MOVES_MONEY, KNOWN = {1, 3}, {4, 5, 7}, {1, 2, 3, 4, 5, 7}


def data_of(reply: object, where: str) -> object:
    """What stands in `data` of a reply of code 0. Raises ReadError (malformed)."""
    envelope = mapping(reply, where)
    if envelope.get("code") not in (0, "0"):
        raise malformed(f"{where}: the reply does not say that it succeeded")
    return envelope.get("data")


def listed(reply: object, where: str) -> list[Row]:
    return rows(data_of(reply, where), f"{where}.data")


async def stops(client: Any, instruments: Instruments) -> Sequence[StopOrder]:
    reply = mapping(data_of(await client.swapV2PrivateGetTradeOpenOrders(), "openOrders"), "openOrders.data")
    found = (_stop(row, instruments) for row in rows(reply.get("orders"), "openOrders.data.orders"))
    return [order for order in found if order is not None]


async def ends(client: Any, instruments: Instruments, since: datetime) -> Sequence[End]:
    span = {"startTime": round(since.timestamp() * 1000), "endTime": client.milliseconds(), "limit": MOST_ENDS}
    replies = await together(
        *(client.swapV2PrivateGetTradeForceOrders({"autoCloseType": word, **span}) for word in ENDS)
    )
    found: list[End] = []
    for kind, reply in zip(ENDS.values(), replies, strict=True):
        data = mapping(data_of(reply, "forceOrders"), "forceOrders.data")
        orders = rows(data.get("orders"), "forceOrders.data.orders")
        if len(orders) >= MOST_ENDS:
            raise ReadError(FailureKind.IMPLAUSIBLE, f"{MOST_ENDS} or more forced orders since {since:%d %B %H:%M}")
        found += ends_in(orders, partial(_end, kind=kind, instruments=instruments))
    return [end for end in found if end.at >= since]


async def key_facts(client: Any) -> KeyFacts:
    reply, server = await together(
        client.accountV1PrivateGetAccountApiPermissions(), client.swapV2PublicGetServerTime()
    )
    time = mapping(data_of(server, "server/time"), "server/time.data")
    clock_ahead_s = client.shared.clock.now().timestamp() - number(time, "serverTime") / 1000
    # Older documents and replies show no envelope.
    told = mapping(reply, "apiPermissions")
    info = mapping(told["data"], "apiPermissions.data") if "data" in told else told
    if "permissions" in info:
        return _by_numbers(info, clock_ahead_s)
    return KeyFacts(
        may_trade=boolean(info, "enableFutures") or boolean(info, "enableSpotAndMarginTrading"),
        may_withdraw=any(
            boolean(info, name) for name in ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
        ),
        ip_restricted=boolean(info, "ipRestrict"),
        clock_ahead_s=clock_ahead_s,
    )


def _by_numbers(info: Row, clock_ahead_s: float) -> KeyFacts:
    may = info["permissions"]
    if not isinstance(may, list) or not may or not all(type(word) in (int, str) for word in may):
        raise malformed("apiPermissions: permissions are no list of numbers")
    strange = sorted({str(word) for word in may if word not in KNOWN})
    return KeyFacts(
        may_trade=True if TRADES & set(may) else None if strange else False,
        may_withdraw=True if MOVES_MONEY & set(may) else None if strange else False,
        ip_restricted=is_bound(words(info, "ipAddresses")) if "ipAddresses" in info else None,
        clock_ahead_s=clock_ahead_s,
        notes=(f"the key has a permission that is not known: {', '.join(strange):.80}",) if strange else (),
    )


def _side(row: Row) -> Side:
    """Of the position that an order is about: named in hedge mode, the other side of the order's in one-way mode."""
    named = word(row, "positionSide").upper()
    side = REDUCED_BY.get(text(row, "side")) if named in ("BOTH", "") else SIDES.get(named)
    if side is None:
        raise malformed(f"side: {row['side']!r:.20} of {named:.20} is not a side")
    return side


def _stop(row: Row, instruments: Instruments) -> StopOrder | None:
    """None for what opens or rests at a price, and for trigger orders, which do not say which way they are meant."""
    kind, side = KINDS.get(text(row, "type")), _side(row)
    if kind is None or REDUCED_BY.get(text(row, "side")) is not side:
        return None
    return StopOrder(
        instrument=instrument_of(row, instruments),
        side=side,
        kind=kind,
        trigger_price=optional_positive(row, "stopPrice"),
        callback_rate=optional_positive(row, "priceRate") if kind is OrderKind.TRAILING else None,
        size=None if flag(row, "closePosition") else positive(row, "origQty"),
        reduce_only=True,
    )


def _end(row: Row, kind: EndKind, instruments: Instruments) -> End:
    return End(
        instrument=instrument_of(row, instruments),
        side=_side(row),
        kind=kind,
        at=time_of(number(row, "time")),
        contracts=optional_positive(row, "executedQty"),
        price=optional_positive(row, "avgPrice"),
    )
