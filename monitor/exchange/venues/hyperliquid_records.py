"""What Hyperliquid tells beside an account's positions: stop orders, forced closes, and whether a key is held."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from monitor.domain.account import End, EndKind, FailureKind, OrderKind, Side, StopOrder
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    boolean,
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
from monitor.exchange.venues.venue import Instruments, KeyFacts, clock_ahead_s

# Asks sell and close a long, bids buy and close a short.
CLOSES = {"A": Side.LONG, "B": Side.SHORT}
KINDS = {
    "Stop Market": OrderKind.STOP,
    "Stop Limit": OrderKind.STOP,
    "Take Profit Market": OrderKind.TAKE_PROFIT,
    "Take Profit Limit": OrderKind.TAKE_PROFIT,
}
# Signs in the names of spot pairs and outcomes.
SPOT = frozenset("@/#")
NO_KEY = "read by address, without a key"
DELEVERAGED = "Auto-Deleveraging"
LIQUIDATED = "Liquidated"
# Fills of a reply; the last 10,000 are kept.
FILLS_PAGE, MAX_PAGES = 2000, 6


def stops(orders: Sequence[Row], instruments: Instruments) -> Iterator[StopOrder]:
    """Those of frontendOpenOrders that wait for a trigger; spot orders are told with the main dex's."""
    for row in orders:
        coin = text(row, "coin")
        if not boolean(row, "isTrigger") or SPOT & set(coin):
            continue
        instrument = instrument_of(row, instruments, "coin")
        side, kind = CLOSES.get(text(row, "side")), KINDS.get(text(row, "orderType"))
        if side is None or kind is None:
            raise malformed(f"{instrument.symbol}: an order of type {row['orderType']:.40}, side {row['side']:.10}")
        whole = boolean(row, "isPositionTpsl")
        yield StopOrder(
            instrument=instrument,
            side=side,
            kind=kind,
            trigger_price=positive(row, "triggerPx"),
            callback_rate=None,
            # That of a whole position is written as 0.
            size=optional_positive(row, "sz") if whole else positive(row, "sz"),
            reduce_only=boolean(row, "reduceOnly") or whole,
        )


async def ends(client: Any, address: str, instruments: Instruments, since: datetime) -> list[End]:
    """Of all dexes. Pages begin where the last one ended, so that fills of one moment may come twice."""
    start_ms = round(since.timestamp() * 1000)
    seen: dict[float, Row] = {}
    for _ in range(MAX_PAGES):
        question = {"type": "userFillsByTime", "user": address, "startTime": start_ms}
        fills = rows(await client.publicPostInfo(question), "userFillsByTime")
        seen |= {number(fill, "tid"): fill for fill in fills}
        if len(fills) < FILLS_PAGE:
            return ends_in(seen.values(), lambda fill: _end(fill, address, instruments))
        start_ms = max(int(number(fill, "time")) for fill in fills)
    raise ReadError(FailureKind.IMPLAUSIBLE, f"more than {MAX_PAGES * FILLS_PAGE} fills")


def _end(fill: Row, address: str, instruments: Instruments) -> End | None:
    """None for a fill of the account's own making, one that closed somebody else's position among them."""
    kind = _kind(fill, address)
    if kind is None:
        return None
    return End(
        instrument=instrument_of(fill, instruments, "coin"),
        side=Side.LONG if number(fill, "startPosition") > 0 else Side.SHORT,
        kind=kind,
        at=time_of(positive(fill, "time")),
        contracts=positive(fill, "sz"),
        price=positive(fill, "px"),
    )


def _kind(fill: Row, address: str) -> EndKind | None:
    direction = text(fill, "dir")
    if direction == DELEVERAGED:
        return EndKind.DELEVERAGED
    if direction.startswith(LIQUIDATED):
        return EndKind.LIQUIDATED
    told = fill.get("liquidation")
    if told is not None and text(mapping(told, "liquidation"), "liquidatedUser").lower() == address:
        return EndKind.LIQUIDATED
    return None


async def key_facts(client: Any, address: str) -> KeyFacts:
    """Reading needs no key. One that was given all the same may trade, and withdraw where it is the account's own."""
    status = mapping(await client.publicPostInfo({"type": "exchangeStatus"}), "exchangeStatus")
    key = str(client.privateKey or "")
    try:
        owner = client.eth_get_address_from_private_key(key).lower() if key else None
    except ValueError:
        raise ReadError(FailureKind.AUTH, "the private key set is none, and reading needs none") from None
    return KeyFacts(
        may_trade=bool(key),
        may_withdraw=owner == address,
        ip_restricted=None,
        clock_ahead_s=clock_ahead_s(client, number(status, "time")),
        notes=("a private key is set, which reading does not need: remove it",) if key else (NO_KEY,),
    )
