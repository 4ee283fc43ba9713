"""What of a Gate account is no position: its resting stops, its liquidations and auto-deleveragings, its key. Pure."""

from collections.abc import Sequence

from monitor.domain.account import End, EndKind, Instrument, OrderKind, Side, StopOrder
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
)
from monitor.exchange.venues.gate_account import instrument_of
from monitor.exchange.venues.venue import Instruments

# initial.auto_size of an order that closes one side of hedge mode.
CLOSES = {"close_long": Side.LONG, "close_short": Side.SHORT}
# A trigger's rule: 1 is at or above its price, 2 at or below.
AT_OR_ABOVE, AT_OR_BELOW = 1, 2
# Permissions with which money leaves the account.
MOVES_MONEY = frozenset({"wallet", "withdraw"})


def price_order(row: Row, settle: str, instruments: Instruments) -> list[StopOrder]:
    """One price-triggered order. One that closes all of a one-way position does not tell whose side it closes: it is
    told for both, of which only one can be held."""
    initial, trigger = mapping(row.get("initial"), "initial"), mapping(row.get("trigger"), "trigger")
    instrument = instrument_of(initial, settle, instruments)
    contracts, rule, price = abs(number(initial, "size")), number(trigger, "rule"), optional_positive(trigger, "price")
    if rule not in (AT_OR_ABOVE, AT_OR_BELOW):
        raise malformed(f"trigger.rule: {rule:g} is no rule")
    closes = contracts == 0 or flag(initial, "is_close") or "close" in word(row, "order_type")
    return [
        StopOrder(
            instrument=instrument,
            side=side,
            kind=OrderKind.STOP if (rule == AT_OR_BELOW) is (side is Side.LONG) else OrderKind.TAKE_PROFIT,
            trigger_price=price,
            callback_rate=None,
            size=_size(instrument, contracts, price),
            reduce_only=closes or flag(initial, "is_reduce_only"),
        )
        for side in _sides(row, initial)
    ]


def _sides(row: Row, initial: Row) -> Sequence[Side]:
    """Whose position an order reduces: named by its type, or the other one than it would open."""
    kind, size = word(row, "order_type"), number(initial, "size")
    named = next((side for side in Side if f"-{side}-" in kind), CLOSES.get(word(initial, "auto_size")))
    if named is not None:
        return (named,)
    return tuple(Side) if size == 0 else (Side.LONG if size < 0 else Side.SHORT,)


def _size(instrument: Instrument, contracts: float, price: float | None) -> float | None:
    if contracts == 0 or (instrument.inverse and price is None):
        return None
    units = contracts * instrument.contract_size
    return units / price if instrument.inverse and price is not None else units


def trailing_orders(reply: object, settle: str, instruments: Instruments) -> list[StopOrder]:
    told = mapping(reply, "trail.list")
    if told.get("code") not in (0, "0", None):
        raise malformed(f"trail.list: code {told['code']!r:.40}")
    return [
        _trailing(row, settle, instruments)
        for row in rows(mapping(told.get("data"), "trail.list.data").get("orders"), "trail.list.data.orders")
    ]


def _trailing(row: Row, settle: str, instruments: Instruments) -> StopOrder:
    """Its offset is a share only where it is written with a percent sign; otherwise it is a distance in price."""
    instrument, contracts = instrument_of(row, settle, instruments), number(row, "amount")
    offset, price = text(row, "price_offset"), optional_positive(row, "trigger_price")
    return StopOrder(
        instrument=instrument,
        side=Side.LONG if contracts < 0 else Side.SHORT,
        kind=OrderKind.TRAILING,
        trigger_price=price,
        callback_rate=_share(offset) if offset.endswith("%") else None,
        size=_size(instrument, abs(contracts), price),
        reduce_only=boolean(row, "reduce_only"),
    )


def _share(offset: str) -> float:
    return positive({"price_offset": offset.removesuffix("%")}, "price_offset") / 100


def liquidation(row: Row, settle: str, instruments: Instruments) -> End:
    """The size is that of the position taken, a short's below 0."""
    size = _signed(row, "size")
    return _end(row, settle, instruments, EndKind.LIQUIDATED, Side.LONG if size > 0 else Side.SHORT, size)


def deleveraging(row: Row, settle: str, instruments: Instruments) -> End:
    """The size is that of the trade: below 0 it sold, out of a long."""
    size = _signed(row, "trade_size")
    return _end(row, settle, instruments, EndKind.DELEVERAGED, Side.LONG if size < 0 else Side.SHORT, size)


def _signed(row: Row, key: str) -> float:
    size = number(row, key)
    if size == 0:
        raise malformed(f"{key}: 0 contracts are of no side")
    return size


def _end(row: Row, settle: str, instruments: Instruments, kind: EndKind, side: Side, size: float) -> End:
    return End(
        instrument=instrument_of(row, settle, instruments),
        side=side,
        kind=kind,
        at=time_of(number(row, "time") * 1000),
        contracts=abs(size),
        price=optional_positive(row, "fill_price"),
    )


def key_of(reply: object, api_key: str) -> Row | None:
    """The row of that key among all keys of the main account, which are shown by their first characters alone."""
    listed = rows(reply if isinstance(reply, list) else [mapping(reply, "main_keys")], "main_keys")
    own = [row for row in listed if (shown := text(row, "key").rstrip("*")) and api_key.startswith(shown)]
    return own[0] if len(own) == 1 else None


def may_write(key: Row) -> frozenset[str]:
    """The areas in which that key may do more than read."""
    return frozenset(text(row, "name") for row in rows(key.get("perms"), "perms") if not boolean(row, "read_only"))
