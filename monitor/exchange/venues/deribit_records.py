"""What Deribit tells beside an account's positions: resting stop orders, forced trades, and a key's rights."""

from collections.abc import Iterator, Sequence

from monitor.domain.account import End, EndKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.values import Row, boolean, flag, malformed, optional_positive, positive, text, time_of, words
from monitor.exchange.venues.deribit_account import base_units
from monitor.exchange.venues.venue import KeyFacts, is_bound

# The order, or the trade, that closes a position of a side is of the other.
CLOSES = {"sell": Side.LONG, "buy": Side.SHORT}
KINDS = {
    **dict.fromkeys(("stop_limit", "stop_market"), OrderKind.STOP),
    **dict.fromkeys(("take_limit", "take_market"), OrderKind.TAKE_PROFIT),
    "trailing_stop": OrderKind.TRAILING,
}
# Whose orders met in a forced trade: the maker's, the taker's, or those of both.
FORCED = ("M", "T", "MT")
TRADING = ("trade", "block_trade", "block_rfq")
WITHDRAWING = ("wallet", "custody")
READING = ("none", "read")
WRITING = "read_write"


def stop_orders(row: Row, instrument: Instrument) -> Iterator[StopOrder]:
    """A row of open orders with a trigger; none where it waits for another order to be filled first.

    The distance of a trailing stop is told in price, which is no rate.
    """
    if flag(row, "is_secondary_oto"):
        return
    kind, trigger_price = KINDS.get(text(row, "order_type")), optional_positive(row, "trigger_price")
    if kind is None:
        raise malformed(f"order_type: {row['order_type']:.40} was not asked for")
    if kind is not OrderKind.TRAILING:
        positive(row, "trigger_price")
    near = trigger_price or positive(row, "trigger_reference_price")
    yield StopOrder(
        instrument=instrument,
        side=_closed(row),
        kind=kind,
        trigger_price=trigger_price,
        callback_rate=None,
        size=base_units(instrument, positive(row, "amount"), near),
        reduce_only=boolean(row, "reduce_only"),
    )


def end_of(row: Row, instrument: Instrument) -> End | None:
    """One of the user's trades; none where it was not this user who was liquidated."""
    forced = row.get("liquidation")
    if forced is None:
        return None
    if forced not in FORCED or (role := text(row, "liquidity")) not in FORCED[:2]:
        raise malformed(f"liquidation: {forced!s:.20} of {row.get('liquidity')!s:.20} is not known")
    if role not in forced:
        return None
    return End(
        instrument=instrument,
        side=_closed(row),
        kind=EndKind.LIQUIDATED,
        at=time_of(positive(row, "timestamp")),
        contracts=positive(row, "amount") / instrument.contract_size,
        price=optional_positive(row, "price"),
    )


def _closed(row: Row) -> Side:
    side = CLOSES.get(text(row, "direction"))
    if side is None:
        raise malformed(f"direction: {row['direction']:.20} is not a side")
    return side


def key_facts(keys: Sequence[Row], client_id: str, *, ahead_s: float) -> KeyFacts:
    """By the list of all keys of the account, of which one asks."""
    own = [key for key in keys if key.get("client_id") == client_id]
    if len(own) != 1:
        raise malformed(f"list_api_keys: the key that asks is listed {len(own)} times")
    rights = dict(_rights(own[0]))
    writes = {name for name, right in rights.items() if right == WRITING}
    known = {*TRADING, *WITHDRAWING, "account"}
    notes = [f"the key has the right {name:.40}, which is not known here" for name in sorted(writes - known)]
    if "account" in writes:
        notes.append("the key may change API keys, its own as well: give it account:read")
    return KeyFacts(
        may_trade=not writes.isdisjoint((*TRADING, "account")),
        may_withdraw=not writes.isdisjoint(WITHDRAWING),
        ip_restricted=is_bound(words(own[0], "ip_whitelist")) if own[0].get("ip_whitelist") is not None else None,
        clock_ahead_s=ahead_s,
        notes=tuple(notes),
    )


def _rights(key: Row) -> Iterator[tuple[str, str]]:
    """`account:read trade:read_write wallet:none`; words without a colon tell of sessions."""
    told = key.get("max_scope")
    scopes = told.split() if isinstance(told, str) else words(key, "max_scope")
    if not scopes:
        raise malformed("max_scope: expected the rights of the key")
    for word in scopes:
        name, colon, right = word.partition(":")
        if not colon:
            continue
        if right not in (*READING, WRITING) and name in (*TRADING, *WITHDRAWING, "account"):
            raise malformed(f"max_scope: {word:.40} is no right that is known")
        yield name, right
