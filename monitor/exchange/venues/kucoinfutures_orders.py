"""KuCoin's resting stops, and what its fills tell of liquidations and auto-deleveragings."""

from monitor.domain.account import End, EndKind, Instrument, OrderKind, Side, StopOrder
from monitor.exchange.values import Row, flag, malformed, optional_positive, positive, text, time_of
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.venue import Instruments

# What an order reduces by its own side.
REDUCES = {"buy": Side.SHORT, "sell": Side.LONG}


def classic_stop(row: Row, instruments: Instruments) -> StopOrder | None:
    """None for one that opens a side of hedge mode, and so reduces nothing."""
    side = _reduces(row)
    if row.get("positionSide") not in (None, "", "BOTH", side.upper()):
        return None
    return _stop(row, instruments, side, rises=_rises(row, "stop"), trigger=positive(row, "stopPrice"), unit="UNIT")


def unified_stop(row: Row, instruments: Instruments) -> StopOrder | None:
    """None for an order that rests without a trigger of its own; what lacks its side is none."""
    side, trigger = _reduces(row), optional_positive(row, "triggerPrice")
    if trigger is None:
        return None
    rises, unit = _rises(row, "triggerDirection"), text(row, "sizeUnit")
    return _stop(row, instruments, side, rises=rises, trigger=trigger, unit=unit)


def _stop(row: Row, instruments: Instruments, side: Side, *, rises: bool, trigger: float, unit: str) -> StopOrder:
    instrument = instrument_of(row, instruments)
    against = rises is (side is Side.SHORT)
    closes = flag(row, "closeOrder")
    return StopOrder(
        instrument=instrument,
        side=side,
        kind=OrderKind.STOP if against else OrderKind.TAKE_PROFIT,
        trigger_price=trigger,
        callback_rate=None,
        size=None if closes else _base_units(instrument, positive(row, "size"), unit, trigger),
        reduce_only=closes or flag(row, "reduceOnly"),
    )


def _base_units(instrument: Instrument, size: float, unit: str, price: float) -> float:
    match unit:
        case "UNIT":
            units = size * instrument.contract_size
            return units / price if instrument.inverse else units
        case "BASECCY":
            return size
        case "QUOTECCY":
            return size / price
        case _:
            raise malformed(f"sizeUnit: {unit!r:.40} is no unit")


def classic_end(row: Row, instruments: Instruments) -> End | None:
    """None for a trade or a settlement. The documents name the types only roughly ("liquidation, ADL")."""
    kind = text(row, "tradeType").lower()
    ended = EndKind.LIQUIDATED if "liquid" in kind else EndKind.DELEVERAGED if "adl" in kind else None
    if ended is None:
        return None
    return End(
        instrument=instrument_of(row, instruments),
        side=_reduces(row),
        kind=ended,
        at=time_of(positive(row, "createdAt")),
        contracts=positive(row, "size"),
        price=optional_positive(row, "price"),
    )


def _reduces(row: Row) -> Side:
    side = REDUCES.get(text(row, "side").lower())
    if side is None:
        raise malformed(f"side: {row['side']!r:.40} is not a side")
    return side


def _rises(row: Row, key: str) -> bool:
    direction = text(row, key).lower()
    if direction not in ("up", "down"):
        raise malformed(f"{key}: {direction!r:.40} is no direction")
    return direction == "up"
