"""What OKX tells beside an account's positions: resting stop orders, bills of forced closes, and a key's rights."""

from collections.abc import Iterator

from monitor.domain.account import End, EndKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.values import Row, flag, malformed, number, optional_positive, positive, text, time_of
from monitor.exchange.venues.venue import KeyFacts

SIDES = {"long": Side.LONG, "short": Side.SHORT}
# The order that closes a position of a side is of the other.
CLOSES = {"sell": Side.LONG, "buy": Side.SHORT}
ALL_OF_IT = 1.0
# Bills of liquidations and of auto-deleveragings, and what their subtypes close; of net positions they say buy or sell.
FORCED_TYPES = ("5", "9")
FORCED = {
    **dict.fromkeys(("100", "103", "104", "107"), (EndKind.LIQUIDATED, Side.LONG)),
    **dict.fromkeys(("101", "102", "105", "106"), (EndKind.LIQUIDATED, Side.SHORT)),
    **dict.fromkeys(("125", "128"), (EndKind.DELEVERAGED, Side.LONG)),
    **dict.fromkeys(("126", "127"), (EndKind.DELEVERAGED, Side.SHORT)),
}
READ, TRADE, WITHDRAW = "read_only", "trade", "withdraw"


def stop_orders(row: Row, instrument: Instrument) -> Iterator[StopOrder]:
    """A row of /trade/orders-algo-pending: none where it opens, two where a stop and a take-profit cancel each other.

    A callback told as a distance in price is no rate.
    """
    side = _closed(row)
    if side is None:
        return
    for kind, trigger_price in _triggers(row, side):
        yield StopOrder(
            instrument=instrument,
            side=side,
            kind=kind,
            trigger_price=trigger_price,
            callback_rate=optional_positive(row, "callbackRatio"),
            size=_base_units(row, instrument, trigger_price),
            reduce_only=text(row, "posSide") in SIDES or flag(row, "reduceOnly"),
        )


def _closed(row: Row) -> Side | None:
    """Which position an order would close; None where it opens one, which only long/short positions tell."""
    named, closes = text(row, "posSide"), CLOSES.get(text(row, "side"))
    if closes is None or named not in (*SIDES, "net"):
        raise malformed(f"side: {row['side']!s:.20} of {named:.20} is not a side")
    return closes if named == "net" or SIDES[named] is closes else None


def _triggers(row: Row, side: Side) -> Iterator[tuple[OrderKind, float | None]]:
    kind = text(row, "ordType")
    if kind == "move_order_stop":
        yield OrderKind.TRAILING, optional_positive(row, "moveTriggerPx")
    elif kind == "trigger":
        price = positive(row, "triggerPx")
        yield _by_direction(side, price, positive(row, "last")), price
    elif kind in ("conditional", "oco"):
        named = {OrderKind.STOP: "slTriggerPx", OrderKind.TAKE_PROFIT: "tpTriggerPx"}
        prices = {meant: optional_positive(row, name) for meant, name in named.items()}
        told = [(meant, price) for meant, price in prices.items() if price is not None]
        if len(told) < (2 if kind == "oco" else 1):
            raise malformed(f"ordType: {kind} without its trigger price")
        yield from told
    else:
        raise malformed(f"ordType: {kind:.40} was not asked for")


def _by_direction(side: Side, price: float, last: float) -> OrderKind:
    """What sells a long above the price at which the order was placed takes profit, below it it stops a loss."""
    return OrderKind.TAKE_PROFIT if (price > last) is (side is Side.LONG) else OrderKind.STOP


def _base_units(row: Row, instrument: Instrument, price: float | None) -> float | None:
    """None where it closes all of the position."""
    contracts = optional_positive(row, "sz")
    if contracts is None:
        if optional_positive(row, "closeFraction") != ALL_OF_IT:
            raise malformed("sz: neither a size nor the whole of a position is told")
        return None
    units = contracts * instrument.contract_size
    if not instrument.inverse:
        return units
    at = price or optional_positive(row, "activePx") or positive(row, "last")
    return units / at


def end_of(row: Row, instrument: Instrument) -> End | None:
    """A row of /account/bills; none where it only moves money."""
    closed = FORCED.get(f"{number(row, 'subType'):g}")
    if closed is None:
        return None
    kind, side = closed
    return End(
        instrument=instrument,
        side=side,
        kind=kind,
        at=time_of(positive(row, "ts")),
        contracts=positive(row, "sz"),
        price=optional_positive(row, "px"),
    )


def key_facts(config: Row, *, ahead_s: float) -> KeyFacts:
    """/account/config tells the rights of the key that asks. One that may trade may also move funds within."""
    granted = set(text(config, "perm").split(","))
    if unknown := granted - {READ, TRADE, WITHDRAW}:
        raise malformed(f"perm: {', '.join(sorted(unknown)):.60} is no right that is known")
    addresses = config.get("ip")
    if not isinstance(addresses, str):
        raise malformed("ip: expected text")
    notes = []
    if TRADE in granted:
        notes.append("the key may move funds between this user's own accounts")
    if granted != {READ} and not addresses:
        notes.append("OKX deletes the key after 14 days without use, since it is bound to no address")
    return KeyFacts(
        may_trade=TRADE in granted,
        may_withdraw=WITHDRAW in granted,
        ip_restricted=bool(addresses),
        clock_ahead_s=ahead_s,
        notes=tuple(notes),
    )
