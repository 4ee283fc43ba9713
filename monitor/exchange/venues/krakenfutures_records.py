"""Stop orders, the ends of positions and a key's rights as Kraken Futures tells them."""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from monitor.domain.account import End, EndKind, OrderKind, Side, StopOrder
from monitor.exchange.values import Row, flag, malformed, mapping, optional_positive, positive, text
from monitor.exchange.venues.contracts import ends_in, instrument_of
from monitor.exchange.venues.krakenfutures_account import listed, named, time_at
from monitor.exchange.venues.venue import Instruments, KeyFacts, is_bound

# Fills are told by hundreds; each page but the first costs 25 of 500 in 10 s.
FILLS_A_PAGE, MAX_PAGES = 100, 10
REDUCES = {"buy": Side.SHORT, "sell": Side.LONG}
ORDER_KINDS = {
    "stop": OrderKind.STOP,
    "stp": OrderKind.STOP,
    "take_profit": OrderKind.TAKE_PROFIT,
    "trailing_stop": OrderKind.TRAILING,
}
# What could not be closed in the market is assigned to others, and the rest unwound against the other side.
END_KINDS = {
    "liquidation": EndKind.LIQUIDATED,
    "partialliquidation": EndKind.LIQUIDATED,
    "assignor": EndKind.LIQUIDATED,
    "unwindbankrupt": EndKind.LIQUIDATED,
    "unwindcounterparty": EndKind.DELEVERAGED,
}
LEVELS = {"NO_ACCESS": False, "READ_ONLY": False, "FULL_ACCESS": True}


def _reduces(row: Row) -> Side:
    side = REDUCES.get(text(row, "side").lower())
    if side is None:
        raise malformed(f"side: {row['side']:.40} is not a side")
    return side


def stops(reply: object, instruments: Instruments) -> list[StopOrder]:
    """Whatever waits for a price, by an unknown name as well."""
    return [
        _stop(row, instruments)
        for row in map(named, listed(reply, "openOrders"))
        if text(row, "orderType").lower() in ORDER_KINDS or optional_positive(row, "stopPrice") is not None
    ]


def _stop(row: Row, instruments: Instruments) -> StopOrder:
    """A trailing stop's distance counts where it is a percentage; that openorders tells it is not documented."""
    instrument, trigger = instrument_of(row, instruments), optional_positive(row, "stopPrice")
    contracts, distance = positive(row, "unfilledSize"), optional_positive(row, "trailingStopMaxDeviation")
    in_percent = row.get("trailingStopDeviationUnit") == "PERCENT"
    if instrument.inverse:
        size = instrument.size(contracts, trigger) if trigger is not None else None
    else:
        size = contracts * instrument.contract_size
    return StopOrder(
        instrument=instrument,
        side=_reduces(row),
        kind=ORDER_KINDS.get(text(row, "orderType").lower(), OrderKind.STOP),
        trigger_price=trigger,
        callback_rate=distance / 100 if distance is not None and in_percent else None,
        size=size,
        reduce_only=flag(row, "reduceOnly"),
    )


async def ends(client: Any, instruments: Instruments, since: datetime) -> Sequence[End]:
    """Newest fills first; a further page is of those before a time."""
    found, asked = list[End](), dict[str, str]()
    for _ in range(MAX_PAGES):
        fills = [named(row) for row in listed(await client.privateGetFills(asked), "fills")]
        times = [time_at(row, "fillTime") for row in fills]
        found += ends_in(fills, lambda row: _end(row, instruments, since))
        if len(fills) < FILLS_A_PAGE or min(times) < since:
            return found
        before = {"lastFillTime": text(fills[-1], "fillTime")}
        if before == asked:
            raise malformed("fills: the same page is told again")
        asked = before
    raise malformed(f"fills: more than {MAX_PAGES} pages since {since:%Y-%m-%d %H:%M}")


def _end(row: Row, instruments: Instruments, since: datetime) -> End | None:
    """None for a fill of the owner's, or one before that time."""
    at = time_at(row, "fillTime")
    if at < since or text(row, "fillType").lower() not in END_KINDS:
        return None
    return End(
        instrument=instrument_of(row, instruments),
        side=_reduces(row),
        kind=END_KINDS[text(row, "fillType").lower()],
        at=at,
        contracts=positive(row, "size"),
        price=optional_positive(row, "price"),
    )


def key_facts(reply: object, *, ahead_s: float) -> KeyFacts:
    """Rights to transfer are rights to withdraw. A key for every address is told by null, no ranges, or all of them."""
    key = mapping(reply, "api-keys/v3/check")
    rights = mapping(key.get("permissions"), "permissions")
    return KeyFacts(
        may_trade=_may_act(rights, "general"),
        may_withdraw=_may_act(rights, "transfer"),
        ip_restricted=is_bound(_ranges(key)),
        clock_ahead_s=ahead_s,
    )


def _ranges(key: Row) -> set[str]:
    if "allowedCidrBlocks" not in key:
        raise malformed("allowedCidrBlocks are not told")
    blocks = key["allowedCidrBlocks"]
    told = [key.get("allowedCidrBlock"), *(blocks if isinstance(blocks, list) else [blocks])]
    return {_range(block) for block in told if block not in (None, "")}


def _range(block: object) -> str:
    try:
        if isinstance(block, str):
            return str(ip_network(block, strict=False))
    except ValueError:
        pass
    raise malformed(f"allowedCidrBlocks: {block!r:.40} is no range of addresses")


def _may_act(rights: Row, name: str) -> bool | None:
    """None for a level that is not known."""
    return LEVELS.get(text(rights, name))
