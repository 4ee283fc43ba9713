"""What Bybit tells beside an account's positions: resting stop orders, records of forced closes, and a key's rights."""

from datetime import UTC, datetime

from monitor.domain.account import End, EndKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.values import (
    Row,
    boolean,
    malformed,
    mapping,
    not_negative,
    number,
    optional_positive,
    positive,
    text,
    time_of,
    words,
)
from monitor.exchange.venues.venue import KeyFacts, is_bound

# The order or trade that closes a position of a side is of the other.
CLOSES = {"Sell": Side.LONG, "Buy": Side.SHORT}
KINDS = {
    "StopLoss": OrderKind.STOP,
    "PartialStopLoss": OrderKind.STOP,
    "TakeProfit": OrderKind.TAKE_PROFIT,
    "PartialTakeProfit": OrderKind.TAKE_PROFIT,
    "TrailingStop": OrderKind.TRAILING,
}
RISING = 1
HEDGE_INDEX = {Side.LONG: 1, Side.SHORT: 2}
ENDS = {"BustTrade": EndKind.LIQUIDATED, "AdlTrade": EndKind.DELEVERAGED}
# Groups of permissions under which something can be bought, sold or lent.
TRADES = ("ContractTrade", "Spot", "Options", "Derivatives", "CopyTrading", "BlockTrade", "Exchange", "Earn")
MOVES_FUNDS_OUT = ("Withdraw", "SubMemberTransfer", "SubMemberTransferList")
# Keys bound to an address do not expire; some replies write the first moment of the epoch for it.
NEVER = datetime(1971, 1, 1, tzinfo=UTC)


def stop_order(row: Row, instrument: Instrument) -> StopOrder:
    """A row of /v5/order/realtime with orderFilter StopOrder. A quantity of 0 is all of the position.

    Bybit trails by a distance in price, which is no rate.
    """
    side = _closed(row)
    quantity = not_negative(row, "qty")
    trigger_price = optional_positive(row, "triggerPrice")
    # In hedge mode the row's index says whose position it is for, reduceOnly or not.
    for_this_side = number(row, "positionIdx") == HEDGE_INDEX[side]
    return StopOrder(
        instrument=instrument,
        side=side,
        kind=KINDS.get(text(row, "stopOrderType")) or _by_direction(row, side),
        trigger_price=trigger_price,
        callback_rate=None,
        size=_base_units(instrument, quantity, trigger_price),
        reduce_only=boolean(row, "reduceOnly") or boolean(row, "closeOnTrigger") or for_this_side,
    )


def _by_direction(row: Row, side: Side) -> OrderKind:
    """Of a conditional order: what sells a long on the way up takes profit, on the way down it stops a loss."""
    takes_profit = (number(row, "triggerDirection") == RISING) is (side is Side.LONG)
    return OrderKind.TAKE_PROFIT if takes_profit else OrderKind.STOP


def _base_units(instrument: Instrument, quantity: float, price: float | None) -> float | None:
    if quantity == 0:
        return None
    units = quantity * instrument.contract_size
    if not instrument.inverse:
        return units
    if price is None:
        raise malformed(f"{instrument.symbol}: a stop order without a trigger price")
    return units / price


def end(row: Row, instrument: Instrument) -> End:
    """A row of /v5/execution/list that is a BustTrade or an AdlTrade."""
    kind = ENDS.get(text(row, "execType"))
    if kind is None:
        raise malformed(f"execType: {row['execType']!s:.40} was not asked for")
    return End(
        instrument=instrument,
        side=_closed(row),
        kind=kind,
        at=time_of(positive(row, "execTime")),
        contracts=positive(row, "execQty"),
        price=optional_positive(row, "execPrice"),
    )


def _closed(row: Row) -> Side:
    side = CLOSES.get(text(row, "side"))
    if side is None:
        raise malformed(f"side: {row['side']!s:.20} is not a side")
    return side


def key_facts(key: Row, *, ahead_s: float) -> KeyFacts:
    """/v5/user/query-api: a read-only key can do nothing, whatever its permissions name."""
    read_only = number(key, "readOnly")
    if read_only not in (0, 1):
        raise malformed(f"readOnly: {read_only:g} is neither 0 nor 1")
    permissions = mapping(key.get("permissions"), "permissions")
    # A group that the reply does not name is not granted.
    granted = {name: words(permissions, name) for name in (*TRADES, "Wallet")}
    wallet = granted.pop("Wallet")
    moves_within = read_only == 0 and "AccountTransfer" in wallet
    return KeyFacts(
        may_trade=read_only == 0 and any(granted.values()),
        may_withdraw=read_only == 0 and any(name in wallet for name in MOVES_FUNDS_OUT),
        ip_restricted=is_bound(words(key, "ips")),
        clock_ahead_s=ahead_s,
        expires_at=_expiry(key),
        notes=("the key may move funds between this account's own wallets",) if moves_within else (),
    )


def _expiry(key: Row) -> datetime | None:
    told = key.get("expiredAt")
    if not told:
        return None
    try:
        expires_at = datetime.fromisoformat(text(key, "expiredAt"))
    except ValueError:
        raise malformed(f"expiredAt: {told!s:.40} is not a time") from None
    if expires_at.tzinfo is None:
        raise malformed(f"expiredAt: {told!s:.40} is of no time zone")
    return expires_at if expires_at > NEVER else None
