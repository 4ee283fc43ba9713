"""What an account holds now, after what it held before: the events between two reads. Pure.

The first read of an account has no events: what it holds was opened before anybody looked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from monitor.domain.account import AccountSnapshot, End, EndKind, Position, PriceOrigin, Side
from monitor.domain.holdings import MAX_EVENTS, MAX_TAKEN, AccountEvent, EventKind, Holding, Holdings, Taken
from monitor.domain.market import Markets
from monitor.risk.liquidation import liquidation_prices, solved_price
from monitor.risk.margin import tier_of
from monitor.risk.reprice import tiers_of

# The venue's liquidation price and ours: further apart than this share of the distance to it, somebody errs.
DISAGREEMENT = 0.10
HOUR = timedelta(hours=1)
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
    fresh = untold(before, snapshot.ends)
    news += [_of_ends(ends) for ends in by_position(fresh).values()]
    news += [
        AccountEvent(at=now, kind=EventKind.DISPUTED, subject=subject, detail=detail)
        for subject, detail in disputes.items()
        if subject not in known or not known[subject].is_disputed
    ]
    return Holdings(
        mode=snapshot.mode,
        compared_at=now if compares or before is None else before.compared_at,
        positions=positions,
        # However much happened at once, all of it is news.
        events=(*(before.events if before else ()), *news)[-max(MAX_EVENTS, len(news)) :],
        taken=_all_taken(before, fresh),
        ends_owed_since=snapshot.ends_owed_since,
    )


def news_of(before: Holdings | None, after: Holdings | None) -> tuple[AccountEvent, ...]:
    """The events that came with the latest read."""
    known = frozenset(before.events) if before else frozenset[AccountEvent]()
    return tuple(event for event in after.events if event not in known) if after else ()


def untold(before: Holdings | None, ends: Iterable[End]) -> tuple[End, ...]:
    """Those nobody was told of, in order. Two orders may be alike to the last digit, and are two all the same."""
    in_order = sorted(ends, key=lambda end: end.at)
    if not in_order:
        return ()
    taken = before.taken if before else ()
    # What is older than all that is remembered was told and forgotten.
    forgotten_ms = taken[0].at_ms if len(taken) == MAX_TAKEN else None
    left, fresh = Counter(taken), list[End]()
    for end in in_order:
        mark = _taken(end)
        if left[mark] > 0:
            left[mark] -= 1
        elif forgotten_ms is None or mark.at_ms > forgotten_ms:
            fresh.append(end)
    return tuple(fresh)


def by_position(ends: Iterable[End]) -> Mapping[tuple[str, EndKind], Sequence[End]]:
    """By position and kind, each in order: a venue closes one large position with many orders."""
    found: dict[tuple[str, EndKind], list[End]] = defaultdict(list)
    for end in sorted(ends, key=lambda end: end.at):
        found[end.subject, end.kind].append(end)
    return found


def size_and_price(ends: Sequence[End]) -> tuple[float | None, float | None]:
    """Of orders in one contract: their contracts, and their mean price; None where the records do not tell all."""
    sizes = [end.contracts for end in ends if end.contracts is not None]
    prices = [end.price for end in ends if end.price is not None]
    total = sum(sizes) if len(sizes) == len(ends) else None
    if len(prices) < len(ends) or len(set(prices)) == 1:
        return total, prices[0] if len(prices) == len(ends) else None
    if not total:
        return total, None
    if ends[0].instrument.inverse:
        return total, total / sum(size / price for size, price in zip(sizes, prices, strict=True))
    return total, sum(size * price for size, price in zip(sizes, prices, strict=True)) / total


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
        interval_h=_interval_h(position, markets) or (before.interval_h if before else None),
    )


def _interval_h(position: Position, markets: Markets) -> float | None:
    state = markets.get(position.instrument.symbol)
    interval = state.funding.value.interval if state is not None and state.funding is not None else None
    return interval / HOUR if interval else None


def _changes(
    before: Holdings, known: Mapping[str, Holding], snapshot: AccountSnapshot, positions: tuple[Holding, ...]
) -> Iterator[AccountEvent]:
    now = snapshot.observed_at
    if snapshot.mode != before.mode and before.mode:
        detail = f"{snapshot.mode}, was {before.mode}"
        yield AccountEvent(at=now, kind=EventKind.ACCOUNT_MODE, subject=snapshot.account, detail=detail)
    yield from _intervals(known, positions, now)
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


def _intervals(known: Mapping[str, Holding], positions: Iterable[Holding], now: datetime) -> Iterator[AccountEvent]:
    """Of each contract once, whichever sides of it are held."""
    told = set()
    for holding in positions:
        last = known.get(holding.subject)
        old, new = last.interval_h if last else None, holding.interval_h
        if old and new and old != new and holding.symbol not in told:
            told.add(holding.symbol)
            detail = f"every {new:g} h, was every {old:g} h: at one rate {old / new:.3g} times as much a day"
            yield AccountEvent(at=now, kind=EventKind.FUNDING_INTERVAL, subject=holding.symbol, detail=detail)


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
    return f"{_contracts(position.contracts)}, {position.notional:,.6g} {position.instrument.settle}"


def _of_ends(ends: Sequence[End]) -> AccountEvent:
    total, mean = size_and_price(ends)
    contracts = "" if total is None else _contracts(total)
    price = "" if mean is None else f"at {mean:,.10g}"
    detail = " ".join(part for part in (contracts, price) if part)
    last = ends[-1]
    return AccountEvent(at=last.at, kind=_KINDS[last.kind], subject=last.subject, detail=detail)


def _all_taken(before: Holdings | None, fresh: Iterable[End]) -> tuple[Taken, ...]:
    known = before.taken if before else ()
    new = tuple(_taken(end) for end in fresh)
    return tuple(sorted((*known, *new), key=lambda taken: taken.at_ms)[-MAX_TAKEN:]) if new else known


def _taken(end: End) -> Taken:
    return Taken(
        at_ms=round(end.at.timestamp() * 1000),
        subject=end.subject,
        kind=end.kind,
        contracts=end.contracts,
        price=end.price,
    )


def _disputes(snapshot: AccountSnapshot, markets: Markets) -> Iterator[tuple[str, str]]:
    """Positions by name whose liquidation price, as the venue tells it, is not what we make of the account."""
    for position in snapshot.positions:
        told, mark = position.liquidation_price, position.mark_price
        if (
            told is None
            or position.liquidation_price_origin is not PriceOrigin.VENUE
            or _is_of_coins(snapshot, position)
        ):
            continue
        own, origin = solved_price(liquidation_prices(snapshot, position, markets), mark)
        if own is not None and origin is PriceOrigin.OWN_ESTIMATE and disagrees(mark, told, own):
            detail = f"the venue says {told:,.10g}, our own estimate is {own:,.10g} at a mark of {mark:,.10g}"
            yield position.subject, detail


def _is_of_coins(snapshot: AccountSnapshot, position: Position) -> bool:
    """Its pool is one of several coins: what they are worth may move with the mark, which venues' prices leave out."""
    balance = snapshot.margin(position.pool)
    return balance is not None and balance.currency != position.instrument.settle


def _contracts(count: float) -> str:
    return f"{count:,.10g} contract{'' if count == 1 else 's'}"
