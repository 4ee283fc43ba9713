"""What an account holds now, after what it held before: the events between two reads. Pure.

The first read of an account has no events: what it holds was opened before anybody looked.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from monitor.domain.account import AccountSnapshot, End, EndKind, Position, PriceOrigin, Side
from monitor.domain.holdings import MAX_EVENTS, AccountEvent, EventKind, Holding, Holdings
from monitor.domain.market import Markets
from monitor.risk.estimate import is_of_coins
from monitor.risk.liquidation import liquidation_prices, solved_price
from monitor.risk.margin import tier_of
from monitor.risk.reprice import tiers_of

# The venue's liquidation price and ours: further apart than this share of the distance to it, somebody errs.
DISAGREEMENT = 0.10
# And than this share of the mark: mark and margin are not of one moment to the last digit.
MIN_GAP = 0.002
# Ours costs a solve for each position.
COMPARED_EVERY = timedelta(minutes=10)
# A position that shrank this far below the beginning of its bracket has left it: an edge is no news twice.
LEAVES_BRACKET = 0.95
_OPPOSITE = {Side.LONG: Side.SHORT, Side.SHORT: Side.LONG}
_KINDS = {EndKind.LIQUIDATED: EventKind.LIQUIDATED, EndKind.DELEVERAGED: EventKind.DELEVERAGED}


def holdings_after(before: Holdings | None, snapshot: AccountSnapshot, markets: Markets) -> Holdings:
    """The account's holdings as of this read, with what changed among its `events`."""
    now = snapshot.observed_at
    known = {holding.subject: holding for holding in before.positions} if before else {}
    compares = before is None or before.compared_at is None or now - before.compared_at >= COMPARED_EVERY
    disputes = dict(_disputes(snapshot, markets)) if compares else {}
    positions = tuple(
        _holding(position, known.get(position.subject), markets, disputes) for position in snapshot.positions
    )
    news = [] if before is None else list(_changes(before, known, snapshot, positions))
    news += map(_of_end, snapshot.ends)
    news += [
        AccountEvent(at=now, kind=EventKind.DISPUTED, subject=subject, detail=detail)
        for subject, detail in disputes.items()
        if subject not in known or not known[subject].is_disputed
    ]
    return Holdings(
        mode=snapshot.mode,
        compared_at=now if compares or before is None else before.compared_at,
        positions=positions,
        events=(*(before.events if before else ()), *news)[-MAX_EVENTS:],
    )


def news_of(before: Holdings | None, after: Holdings | None) -> tuple[AccountEvent, ...]:
    """The events that came with the latest read."""
    known = frozenset(before.events) if before else frozenset[AccountEvent]()
    return tuple(event for event in after.events if event not in known) if after else ()


def disagrees(mark: float, told: float, own: float) -> bool:
    """Whether our own liquidation price is further from the venue's than errors of rounding and timing explain."""
    return abs(own - told) > max(DISAGREEMENT * abs(mark - told), MIN_GAP * mark)


def _holding(position: Position, before: Holding | None, markets: Markets, disputes: Mapping[str, str]) -> Holding:
    tiers = tiers_of(markets, position)
    bracket = tier_of(tiers, position.notional).floor if tiers else None
    last = before.bracket if before else None
    if bracket is not None and last is not None and LEAVES_BRACKET * last < position.notional < last:
        bracket = last
    return Holding(
        symbol=position.instrument.symbol,
        side=position.side,
        margin_mode=position.margin_mode,
        bracket=last if bracket is None else bracket,
        is_disputed=position.subject in disputes or (before is not None and before.is_disputed),
    )


def _changes(
    before: Holdings, known: Mapping[str, Holding], snapshot: AccountSnapshot, positions: tuple[Holding, ...]
) -> Iterator[AccountEvent]:
    now = snapshot.observed_at
    if snapshot.mode != before.mode and before.mode:
        detail = f"{snapshot.mode}, was {before.mode}"
        yield AccountEvent(at=now, kind=EventKind.ACCOUNT_MODE, subject=snapshot.account, detail=detail)
    gone = known.keys() - {holding.subject for holding in positions}
    for holding, position in zip(positions, snapshot.positions, strict=True):
        last = known.get(holding.subject)
        if last is not None:
            yield from _of_one(last, holding, position, now)
            continue
        opposite = f"{holding.symbol} {_OPPOSITE[holding.side]}"
        kind = EventKind.FLIPPED if opposite in gone else EventKind.OPENED
        gone -= {opposite}
        yield AccountEvent(at=now, kind=kind, subject=holding.subject, detail=_size(position))
    for subject in sorted(gone):
        yield AccountEvent(at=now, kind=EventKind.GONE, subject=subject)


def _of_one(last: Holding, holding: Holding, position: Position, now: datetime) -> Iterator[AccountEvent]:
    if holding.margin_mode is not last.margin_mode and None not in (holding.margin_mode, last.margin_mode):
        detail = f"{holding.margin_mode}, was {last.margin_mode}"
        yield AccountEvent(at=now, kind=EventKind.MARGIN_MODE, subject=holding.subject, detail=detail)
    if last.bracket is not None and holding.bracket is not None and holding.bracket > last.bracket:
        edge = f"{holding.bracket:,.10g} {position.instrument.settle}"
        yield AccountEvent(
            at=now,
            kind=EventKind.GREW_PAST_BRACKET,
            subject=holding.subject,
            detail=f"{_size(position)}: beyond {edge} more maintenance margin is owed",
        )


def _size(position: Position) -> str:
    return f"{position.contracts:,.10g} contracts, {position.notional:,.6g} {position.instrument.settle}"


def _of_end(end: End) -> AccountEvent:
    contracts = "" if end.contracts is None else f"{end.contracts:,.10g} contracts"
    price = "" if end.price is None else f"at {end.price:,.10g}"
    detail = " ".join(part for part in (contracts, price) if part)
    return AccountEvent(at=end.at, kind=_KINDS[end.kind], subject=end.subject, detail=detail)


def _disputes(snapshot: AccountSnapshot, markets: Markets) -> Iterator[tuple[str, str]]:
    """Positions by name whose liquidation price, as the venue tells it, is not what we make of the account."""
    for position in snapshot.positions:
        told, mark = position.liquidation_price, position.mark_price
        if (
            told is None
            or position.liquidation_price_origin is not PriceOrigin.VENUE
            or is_of_coins(snapshot, position)
        ):
            continue
        own, origin = solved_price(liquidation_prices(snapshot, position, markets), mark)
        if own is not None and origin is PriceOrigin.OWN_ESTIMATE and disagrees(mark, told, own):
            detail = f"the venue says {told:,.10g}, our own estimate is {own:,.10g} at a mark of {mark:,.10g}"
            yield position.subject, detail
