"""What of a Bitget account is no position: its resting stops, its liquidations and auto-deleveragings, its key."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import End, EndKind, FailureKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import (
    Row,
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
from monitor.exchange.venues.bitget_rows import data_of, side_of
from monitor.exchange.venues.contracts import ends_in, instrument_of
from monitor.exchange.venues.venue import Instruments, KeyFacts

PAGE = 100
MAX_PAGES = 50
# Records are kept so long, and asked for at most so many days at once: of fills, of orders.
KEPT = timedelta(days=90)
FILLS_WINDOW, ORDERS_WINDOW = timedelta(days=7), timedelta(days=30)
TRIGGER, TRAILING = "normal_plan", "track_plan"
PLANS = (TRIGGER, "profit_loss", TRAILING)
KINDS = {
    "profit_plan": OrderKind.TAKE_PROFIT,
    "pos_profit": OrderKind.TAKE_PROFIT,
    "loss_plan": OrderKind.STOP,
    "pos_loss": OrderKind.STOP,
    "moving_plan": OrderKind.TRAILING,
    TRAILING: OrderKind.TRAILING,
}
PRICES = {"stopLoss": OrderKind.STOP, "takeProfit": OrderKind.TAKE_PROFIT}
# What an order reduces by its own side.
REDUCES = {"buy": Side.SHORT, "sell": Side.LONG}
# How a fill begins that the venue made: a position liquidated whole, in part, or set against its opposite before.
ENDS_BY_TRADE = {
    "burst_": EndKind.LIQUIDATED,
    "reduce_": EndKind.LIQUIDATED,
    "offset_": EndKind.LIQUIDATED,
    "dte_sys_adl_": EndKind.DELEVERAGED,
}
LIQUIDATES = frozenset({"liquidation", "reduce", "offset"})
# Words of keys. Of classic accounts: what reads ends in r.
MOVES_MONEY = frozenset({"wwow", "wtow", "withdraw", "transfer"})
READS = frozenset({"readonly", "read"})
READ_ONLY, READ_AND_WRITE = "read-only", "read-and-write"

Marks = Mapping[str, float]


# --- stops ---


async def classic_stops(client: Any, instruments: Instruments, products: Sequence[str]) -> Sequence[StopOrder]:
    call = client.privateMixGetV2MixOrderOrdersPlanPending
    told = await together(
        *(
            _pages(call, {"productType": product, "planType": plan}, "entrustedList", "endId", "idLessThan")
            for product in products
            for plan in PLANS
        ),
    )
    listed = [row for found in told for row in found]
    marks = await _marks(client, products) if any(row.get("planType") == TRIGGER for row in listed) else {}
    stops = [_classic_stop(row, instruments, marks) for row in listed]
    return [stop for stop in stops if stop is not None]


async def unified_stops(client: Any, instruments: Instruments, products: Sequence[str]) -> Sequence[StopOrder]:
    """Coin-settled contracts have none."""
    call = client.privateUtaGetV3TradeUnfilledStrategyOrders
    told = await together(
        *(call({"category": product, "type": kind}) for product in products for kind in ("tpsl", "trigger"))
    )
    listed = [row for reply in told for row in _list_or_none(data_of(reply, "unfilled-strategy-orders"))]
    marks = await _marks(client, products) if any(optional_positive(row, "triggerPrice") for row in listed) else {}
    return [stop for row in listed for stop in _unified_stops(row, instruments, marks)]


async def _marks(client: Any, products: Sequence[str]) -> Marks:
    """Whether a trigger is a stop or a take-profit is told by the side of the mark on which it lies."""
    replies = await together(*(client.publicUtaGetV3MarketTickers({"category": product}) for product in products))
    listed = [row for reply in replies for row in rows(data_of(reply, "tickers"), "tickers")]
    return {text(row, "symbol"): mark for row in listed if (mark := optional_positive(row, "markPrice"))}


def _classic_stop(row: Row, instruments: Instruments, marks: Marks) -> StopOrder | None:
    """None for a trigger that opens a side of hedge mode, and so reduces nothing.

    In hedge mode `side` is that of the position; `posSide` is "net" in one-way mode.
    """
    plan, instrument = text(row, "planType"), instrument_of(row, instruments)
    if plan in (TRIGGER, TRAILING) and word(row, "tradeSide") == "open":
        return None
    side = _of_side(row)
    hedged = row.get("posSide") in ("long", "short")
    price = optional_positive(row, "triggerPrice")
    rate = optional_positive(row, "callbackRatio")
    return StopOrder(
        instrument=instrument,
        side=side,
        kind=KINDS[plan] if plan in KINDS else _kind(plan, side, price, marks.get(text(row, "symbol"))),
        trigger_price=price,
        callback_rate=rate / 100 if rate is not None else None,
        # One that is the position's own closes all of it.
        size=optional_positive(row, "size") if plan.startswith("pos_") else positive(row, "size"),
        reduce_only=hedged or plan not in (TRIGGER, TRAILING),
    )


def _kind(plan: str, side: Side, price: float | None, mark: float | None) -> OrderKind:
    if plan != TRIGGER or price is None or mark is None:
        raise malformed(f"planType {plan!r:.40}: what kind of order it is cannot be told")
    return OrderKind.STOP if (price < mark) is (side is Side.LONG) else OrderKind.TAKE_PROFIT


def _unified_stops(row: Row, instruments: Instruments, marks: Marks) -> Iterable[StopOrder]:
    """One row may hold both prices. A trigger tells nothing of what it reduces but by its side."""
    instrument = instrument_of(row, instruments)
    size = positive(row, "qty") if row.get("tpslMode") == "partial" else optional_positive(row, "qty")
    prices = {key: price for key in PRICES if (price := optional_positive(row, key)) is not None}
    for key, price in prices.items():
        yield _stop(instrument, side_of(row, "posSide"), PRICES[key], price, size)
    trigger = optional_positive(row, "triggerPrice")
    if trigger is None and not prices:
        raise malformed(f"{instrument.symbol}: a strategy order without a price")
    if trigger is not None:
        side = _reduces(row)
        if word(row, "posSide") in ("", side):
            kind = _kind(TRIGGER, side, trigger, marks.get(text(row, "symbol")))
            yield _stop(instrument, side, kind, trigger, positive(row, "qty"))


def _stop(instrument: Instrument, side: Side, kind: OrderKind, price: float, size: float | None) -> StopOrder:
    return StopOrder(
        instrument=instrument,
        side=side,
        kind=kind,
        trigger_price=price,
        callback_rate=None,
        size=size,
        reduce_only=True,
    )


def _reduces(row: Row) -> Side:
    side = REDUCES.get(text(row, "side"))
    if side is None:
        raise malformed(f"side: {row['side']:.40} is not a side")
    return side


def _of_side(row: Row) -> Side:
    """Of the position that an order is about: named in hedge mode, what its side reduces in one-way mode."""
    return _reduces(row) if word(row, "posSide") in ("", "net") else side_of(row, "posSide")


# --- ends ---


async def classic_ends(
    client: Any, instruments: Instruments, products: Sequence[str], since: datetime
) -> Sequence[End]:
    asked = [
        {"productType": product, **window}
        for window in _windows(client, since, FILLS_WINDOW)
        for product in products
    ]  # fmt: skip
    call, found = client.privateMixGetV2MixOrderFillHistory, list[End]()
    for params in asked:
        listed = await _pages(call, params, "fillList", "endId", "idLessThan")
        found += ends_in(listed, lambda row: _classic_end(row, instruments))
    return [end for end in found if end.at >= since]


async def unified_ends(
    client: Any, instruments: Instruments, products: Sequence[str], since: datetime
) -> Sequence[End]:
    call, found = client.privateUtaGetV3TradeHistoryOrders, list[End]()
    for window in _windows(client, since, ORDERS_WINDOW):
        for product in products:
            listed = await _pages(call, {"category": product, **window}, "list", "cursor", "cursor")
            found += ends_in(listed, lambda row: _unified_end(row, instruments))
    return [end for end in found if end.at >= since]


def _windows(client: Any, since: datetime, length: timedelta) -> Iterable[Mapping[str, str]]:
    now = time_of(client.milliseconds())
    start = max(since, now - KEPT)
    while start <= now:
        end = min(start + length, now)
        yield {"startTime": _milliseconds(start), "endTime": _milliseconds(end)}
        start = end + timedelta(milliseconds=1)


def _milliseconds(time: datetime) -> str:
    return str(round(time.timestamp() * 1000))


def _classic_end(row: Row, instruments: Instruments) -> End | None:
    """None for a trade of the owner's. The words name the side, or in one-way mode whether it was bought or sold."""
    words = text(row, "tradeSide")
    kind = next((kind for begin, kind in ENDS_BY_TRADE.items() if words.startswith(begin)), None)
    if kind is None:
        return None
    side = next((side for side in Side if words.endswith(side)), None) or _reduces(row)
    return End(
        instrument=instrument_of(row, instruments),
        side=side,
        kind=kind,
        at=time_of(positive(row, "cTime")),
        contracts=optional_positive(row, "baseVolume"),
        price=optional_positive(row, "price"),
    )


def _unified_end(row: Row, instruments: Instruments) -> End | None:
    """None for an order of the owner's."""
    if text(row, "execType") not in LIQUIDATES:
        return None
    return End(
        instrument=instrument_of(row, instruments),
        side=_of_side(row),
        kind=EndKind.LIQUIDATED,
        at=time_of(number(row, "updatedTime")),
        contracts=optional_positive(row, "cumExecQty"),
        price=optional_positive(row, "avgPrice"),
    )


# --- pages ---


async def _pages(call: Any, params: Mapping[str, str], key: str, told: str, asked: str) -> list[Row]:
    """All rows under `key`. Bounded: raises ReadError."""
    found: list[Row] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        here, following = await page_of(call, params, (key, told, asked), cursor)
        found += here
        if following is None:
            return found
        cursor = following
    raise ReadError(FailureKind.IMPLAUSIBLE, f"{key}: more than {MAX_PAGES * PAGE} rows are listed")


async def page_of(
    call: Any, params: Mapping[str, str], names: tuple[str, str, str], cursor: str | None
) -> tuple[list[Row], str | None]:
    """A page's rows, and how to ask for the next, None where there is none.

    `names` are those of the list, of what the page tells of the next, and of what that is asked for by.
    """
    key, told, asked = names
    more = {} if cursor is None else {asked: cursor}
    data = mapping(data_of(await call({**params, "limit": str(PAGE), **more}), key), key)
    if key not in data:
        raise malformed(f"{key}: the reply holds no such list")
    here = _list_or_none(data[key])
    if data[key] is None and data.get(told) not in (None, ""):
        raise malformed(f"{key}: no list, and a way to the next")
    if len(here) < PAGE:
        return here, None
    if data.get(told) in (None, "", cursor):
        raise malformed(f"{key}: a full page tells no way to the next")
    return here, str(data[told])


def _list_or_none(told: object) -> list[Row]:
    """Where there is nothing to list, some of the venue's replies hold null.

    Whether all do so the documents leave open. Of stop orders it is the louder reading: at worst a stop is told to be
    missing that is not.
    """
    return rows(told if told is not None else [], "orders")


# --- the key ---


def key_facts(info: Row, clock_ahead_s: float) -> KeyFacts:
    """Of either API's reply; the unified one tells `permissions`, and whether they are to read alone."""
    name = "permissions" if "permissions" in info else "authorities"
    if name not in info:
        raise malformed("account/info does not tell what the key may do")
    granted = words(info, name)
    if "" in granted:
        raise malformed(f"{name}: a permission is not named")
    addresses = info.get("ips")
    kind = info.get("permType")
    if name == "permissions" and kind not in (READ_ONLY, READ_AND_WRITE):
        raise malformed(f"permType: {kind!r:.40} is not known")
    writes = set(granted) if name == "permissions" else {word for word in granted if _writes(word)}
    trades = writes - MOVES_MONEY if kind != READ_ONLY else set()
    return KeyFacts(
        may_trade=bool(trades),
        may_withdraw=bool(writes & MOVES_MONEY),
        ip_restricted=bool(addresses) if addresses is None or isinstance(addresses, str) else None,
        clock_ahead_s=clock_ahead_s,
    )


def _writes(word: str) -> bool:
    """What is not known to read is taken to write."""
    return word not in READS and not word.endswith("r")
