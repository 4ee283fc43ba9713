"""The account's equity from read to read: what profit, funding and fees explain of a change, and what only a transfer
does. Pure.

A change counts as explained within these bounds; beyond them it is what the venue's records say of transfers, and
unknown where they say nothing (yet):

- a position that did not change explains what its unrealised PnL, as told, changed by, or (where a settlement reset
  that) the move of its mark, give or take a tenth of it;
- one that did change, or whose PnL is ours, explains the move of its mark on what it kept, give or take that move (it
  was traded somewhere between the two marks) and 1 % of what was traded: fees of 0.1 % at most, and slippage in thin
  books. What shrank may have been liquidated, and then its maintenance margin is lost as well;
- one funding payment for every full hour between the reads: twice the rate told, 0.1 % at least;
- 0.25 % of equity for interest, dust and trades that began and ended between two reads;
- 1 % of what a pool of several coins holds: how it is made up is not told, and its coins move.

In another mode of the account other coins count, and by other shares: what changed with it is known by no records.

So a transfer of less than a four-hundredth of the account may pass for a gain or a loss where records do not tell it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from monitor.domain.account import AccountSnapshot, Observation, PollFailure, Position
from monitor.domain.fund import Equity, Record, Records, Stake, Step
from monitor.domain.ledger import EntryKind
from monitor.domain.market import Markets
from monitor.domain.track import Track, folded
from monitor.risk.worth import STABLECOINS, UnknownWorthError, dollars_per, equity_of

UNTOLD_SHARE = 0.0025
MIXED_SHARE = 0.01
TRADING_SHARE = 0.01
MIN_FUNDING_SHARE = 0.001
INSTANT_SHARE = 0.1
# Of a position that is gone the mark may not be told any more.
UNSEEN_MOVE = 0.05
# What a pool over several coins is told in.
MIXED = "USD"
# Payments are booked this long after the hour.
_BOOKED_WITHIN = timedelta(minutes=1)
_HOUR_S = 3600
# Of a coin that comes into a pool over several, so much may not count as margin.
HAIRCUT_SHARE = 0.2
# Records that were not told yet cover nothing.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def track_after(before: Track | None, observation: Observation, markets: Markets) -> Track | None:
    """The track after this read; that of before, where it failed."""
    if isinstance(observation, PollFailure):
        return before
    last = before.fund.equity if before and before.fund else None
    try:
        equity = _equity(observation, markets)
        step = None if last is None else _step(last, equity, observation, markets)
    except UnknownWorthError:
        return folded(before, observation)
    return folded(before, observation, equity, step, _records(observation, markets))


def _equity(snapshot: AccountSnapshot, markets: Markets) -> Equity:
    """Raises UnknownWorthError."""
    amounts, rates = equity_of(snapshot, markets)
    total = sum(amounts[coin] * rate for coin, rate in rates.items())
    return Equity(
        at=snapshot.observed_at,
        total=total,
        amounts=amounts,
        rates=rates,
        stakes=tuple(_stake(position, snapshot, markets) for position in snapshot.positions),
        is_empty=total <= 0 and not snapshot.positions,
        mode=snapshot.mode,
    )


def _records(snapshot: AccountSnapshot, markets: Markets) -> Records | None:
    """None where transfers are never told. A coin without a worth is not in the equity either."""
    ledger = snapshot.ledger
    if ledger is None:
        return None if snapshot.ledger_failure is None else Records(since=snapshot.observed_at, until=_NEVER)
    if EntryKind.TRANSFER in ledger.untold:
        return None
    held = {margin.currency for margin in snapshot.margins}
    if MIXED in held:
        held |= STABLECOINS
    found = []
    for kind in (EntryKind.TRANSFER, EntryKind.OTHER):
        is_known = kind is EntryKind.TRANSFER
        for entry in ledger.of(kind):
            with suppress(UnknownWorthError):
                amount = entry.amount * dollars_per(entry.currency, snapshot, markets)
                is_margin = is_known and entry.currency in held
                found.append(Record(id=entry.id, at=entry.at, amount=amount, is_known=is_known, is_margin=is_margin))
    return Records(since=ledger.since, until=ledger.until, records=tuple(found))


def _stake(position: Position, snapshot: AccountSnapshot, markets: Markets) -> Stake:
    rate = dollars_per(position.instrument.settle, snapshot, markets)
    notional = position.notional * rate
    state = markets.get(position.instrument.symbol)
    funding = abs(state.funding.value.rate) if state is not None and state.funding is not None else 0.0
    is_told = not any(estimate.figure == "unrealized_pnl" for estimate in position.estimates)
    return Stake(
        subject=position.subject,
        contracts=position.contracts,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        notional=position.side.sign * notional,
        pnl=position.unrealized_pnl if is_told else None,
        rate=rate,
        closing_cost=TRADING_SHARE * notional + (position.maintenance_margin or 0.0) * rate,
        funding_cost=max(2 * funding, MIN_FUNDING_SHARE) * notional,
    )


def _step(before: Equity, now: Equity, snapshot: AccountSnapshot, markets: Markets) -> Step:
    rates = {**before.rates, **now.rates}
    change = sum((now.amounts.get(coin, 0.0) - before.amounts.get(coin, 0.0)) * rate for coin, rate in rates.items())
    hours = max(0, int(now.at.timestamp() // _HOUR_S - (before.at - _BOOKED_WITHIN).timestamp() // _HOUR_S))
    allowed = (
        UNTOLD_SHARE * max(before.total, now.total)
        + MIXED_SHARE * abs(now.amounts.get(MIXED, 0.0))
        + hours * sum(stake.funding_cost for stake in before.stakes)
    )
    marks = {p.subject: p.mark_price for p in snapshot.positions}
    pairs = list(_pairs(before.stakes, now.stakes))
    ways = []
    for by_pnl in (True, False):
        parts = [_explained(old, new, _mark(old, marks, markets), by_pnl=by_pnl) for old, new in pairs]
        left = change - sum(explained for explained, _ in parts)
        ways.append((left, allowed + sum(slack for _, slack in parts)))
    haircut = HAIRCUT_SHARE if MIXED in now.amounts else 0.0
    return Step(
        since=before.at,
        equity=now,
        ways=tuple(ways),
        haircut=haircut,
        is_of_cash=not before.stakes,
        is_of_two_modes=bool(before.mode) and before.mode != now.mode,
    )


def _pairs(before: Sequence[Stake], now: Sequence[Stake]) -> Iterator[tuple[Stake | None, Stake | None]]:
    old = {stake.subject: stake for stake in before}
    new = {stake.subject: stake for stake in now}
    return ((old.get(subject), new.get(subject)) for subject in {**old, **new})


def _mark(stake: Stake | None, marks: Mapping[str, float], markets: Markets) -> float | None:
    if stake is None or stake.subject in marks:
        return None if stake is None else marks[stake.subject]
    state = markets.get(stake.subject.rpartition(" ")[0])
    return state.mark_price.value if state is not None and state.mark_price is not None else None


def _explained(old: Stake | None, new: Stake | None, mark: float | None, *, by_pnl: bool) -> tuple[float, float]:
    """What one position explains of a change of equity, and give or take how much; in dollars."""
    if old is None:
        assert new is not None, "one of the two was read"
        pnl = (new.pnl or 0.0) * new.rate
        return pnl, abs(pnl) + TRADING_SHARE * abs(new.notional)
    move = UNSEEN_MOVE if mark is None else mark / old.mark_price - 1
    if new is None:
        return 0.0, abs(old.notional * move) + old.closing_cost
    is_same = (old.contracts, old.entry_price) == (new.contracts, new.entry_price)
    largest = max(abs(old.notional), abs(new.notional))
    if is_same and old.pnl is not None and new.pnl is not None:
        if by_pnl:
            return (new.pnl - old.pnl) * new.rate, 0.0
        # The mark is not of the same instant as equity.
        return old.notional * move, largest * abs(move) * INSTANT_SHARE
    kept = min(1.0, new.contracts / old.contracts)
    # Of the same size at another price: closed, and opened again.
    traded = abs(new.contracts - old.contracts) / max(new.contracts, old.contracts)
    if new.contracts == old.contracts and not is_same:
        traded = 1.0
    slack = largest * (abs(move) + TRADING_SHARE * traded)
    return kept * old.notional * move, slack + (old.closing_cost if kept < 1 else 0.0)
