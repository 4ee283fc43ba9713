"""10 October 2025 by the rules that measure by what a day moves: when volatility_leverage and trailing_stop spoke.

What is recorded: BTC's one-minute marks of 9 and 10 October, AVAX's, DOT's and BCH's trades from 20:30. What came
before is assumed, and printed with the table: a hundred days that moved as far as ASSUMED_ATR says, and for the alts
hours that moved as far as those days. BTC's hours, and its 9 October, are the recorded ones.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.crash_day import COINS, DAY_END, DAY_START, MINUTE_MARKS, prices
from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot, MarginBalance, Position
from monitor.domain.market import Markets, MarketState, Observed
from monitor.domain.reading import Severity, Verdict
from monitor.domain.study import Candle, Frame, Study
from monitor.domain.track import Track
from monitor.exchange.studies import COUNT, EVERY_S
from monitor.risk.track import track_after
from monitor.risk.volatility import LENGTHS, study_of, whole
from monitor.rules.base import Context, Rule
from tests.builders import a_position, a_rule, a_snapshot

# Of the price, a day: what is assumed of the weeks before.
ASSUMED_ATR: Mapping[str, float] = {"AVAX": 0.06, "DOT": 0.055, "BCH": 0.045, "BTC": 0.025}
# The mean range of a day over its sigma, where prices walk at random: sqrt(8 / pi).
RANGE_OVER_SIGMA = math.sqrt(8 / math.pi)
LEVERAGES = (1.0, 2.0, 3.0, 5.0)
POLL_S = 10
MIDNIGHT = DAY_START.replace(hour=0, minute=0)


@dataclass(frozen=True, slots=True)
class Spoken:
    """When a rule first breached each of its thresholds; None where it never did, at once where it did before."""

    warning: datetime | None
    critical: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Of one coin: the lowest price, and by rule what it said; `gone` is when a long of that leverage had lost all."""

    coin: str
    low_at: datetime
    low: float
    stops: Mapping[str, Spoken]
    capped: Mapping[tuple[str, float], Spoken]
    gone: Mapping[float, datetime | None]
    sigma_before: float
    sigma_at_low: float


def stop_rules() -> dict[str, Rule]:
    return {
        "6 / 9 %": a_rule("trailing_stop", warning="6%", critical="9%"),
        "2 / 3 ATR": a_rule("trailing_stop", warning="2 ATR", critical="3 ATR"),
    }


def cap_rules() -> dict[str, Rule]:
    kind = "volatility_leverage"
    return {profile: a_rule(kind, **PROFILES[profile][kind]) for profile in PROFILES}


def told_of(folder: Path, coin: str) -> Told:
    """A long opened at 20:30, read every ten seconds, with a study made every five minutes as the monitor makes it."""
    path = prices(folder, coin, DAY_START, DAY_END)
    before = _before(folder, coin, path[0])
    stops, caps = stop_rules(), cap_rules()
    said: dict[tuple[str, float, Severity], datetime] = {}
    track: Track | None = None
    studies: dict[int, Study] = {}
    for second in range(0, len(path), POLL_S):
        now, mark = DAY_START + timedelta(seconds=second), path[second]
        made = second - second % round(EVERY_S)
        if made not in studies:
            studies[made] = _study(before, path[: made + 1])
        markets = _market(coin, studies[made], now)
        snapshot = _account(coin, path[0], mark, LEVERAGES[0], now)
        track = track_after(track, snapshot, {})
        for name, rule in stops.items():
            _note(said, name, 0.0, rule, Context(snapshot=snapshot, markets=markets, now=now, track=track))
        for leverage in LEVERAGES:
            context = Context(snapshot=_account(coin, path[0], mark, leverage, now), markets=markets, now=now)
            for name, rule in caps.items():
                _note(said, name, leverage, rule, context)
    low = min(path)
    return Told(
        coin=coin,
        low_at=DAY_START + timedelta(seconds=path.index(low)),
        low=low / path[0] - 1,
        stops={name: _spoken(said, name, 0.0) for name in stops},
        capped={(name, leverage): _spoken(said, name, leverage) for name in caps for leverage in LEVERAGES},
        gone={leverage: _fallen(path, 1 / leverage) for leverage in LEVERAGES},
        sigma_before=studies[0].sigma,
        sigma_at_low=studies[path.index(low) // round(EVERY_S) * round(EVERY_S)].sigma,
    )


def report(told: Sequence[Told]) -> str:
    lines = [
        "Rules that measure by what a day moves (a long opened at 20:30; times are those of the first breach)",
        "",
        *_stop_lines(told),
        "",
        *_cap_lines(told),
        "",
        "Assumed of the days before, and of the alts' hours before 20:30: a true range of "
        + ", ".join(f"{coin} {share:.1%}" for coin, share in ASSUMED_ATR.items())
        + " a day. Studies are made every five minutes, of the hour as it stands.",
    ]
    return "\n".join(lines)


def _stop_lines(told: Sequence[Told]) -> Iterator[str]:
    yield f"{'trailing_stop':<15}{'low':<18}" + "".join(f"{name:<22}" for name in stop_rules())
    for one in told:
        cells = "".join(f"{_pair(spoken):<22}" for spoken in one.stops.values())
        yield f"{one.coin:<15}{f'{one.low:.0%} at {one.low_at:%H:%M:%S}':<18}{cells}"


def _cap_lines(told: Sequence[Told]) -> Iterator[str]:
    yield f"{'volatility_leverage':<21}{'daily sigma':<16}{'all lost':<11}" + "".join(
        f"{name:<22}" for name in cap_rules()
    )
    for one in told:
        for leverage in LEVERAGES:
            sigmas = f"{one.sigma_before:.1%} to {one.sigma_at_low:.0%}"
            cells = "".join(f"{_pair(one.capped[name, leverage]):<22}" for name in cap_rules())
            yield f"{f'{one.coin} {leverage:g}x':<21}{sigmas:<16}{_at(one.gone[leverage]):<11}{cells}"


def _pair(spoken: Spoken) -> str:
    return f"{_at(spoken.warning)} / {_at(spoken.critical)}"


def _at(moment: datetime | None) -> str:
    return "-" if moment is None else "at once" if moment == DAY_START else f"{moment:%H:%M:%S}"


def _note(
    said: dict[tuple[str, float, Severity], datetime], name: str, leverage: float, rule: Rule, context: Context
) -> None:
    for reading in rule.evaluate(name, context):
        for level in reading.levels:
            if level.verdict is Verdict.BREACH:
                said.setdefault((name, leverage, level.severity), context.now)


def _spoken(said: Mapping[tuple[str, float, Severity], datetime], name: str, leverage: float) -> Spoken:
    return Spoken(said.get((name, leverage, Severity.WARNING)), said.get((name, leverage, Severity.CRITICAL)))


def _fallen(path: Sequence[float], share: float) -> datetime | None:
    gone = (second for second, price in enumerate(path) if price <= path[0] * (1 - share))
    return next((DAY_START + timedelta(seconds=second) for second in gone), None)


def _position(coin: str, entry: float, mark: float, contracts: float) -> Position:
    return a_position(symbol=f"{coin}/USDT:USDT", contracts=contracts, mark_price=mark, entry_price=entry)


def _account(coin: str, entry: float, mark: float, leverage: float, now: datetime) -> AccountSnapshot:
    """On 1,000 dollars at the entry."""
    position = _position(coin, entry, mark, leverage * 1_000 / entry)
    equity = 1_000 + (position.unrealized_pnl or 0.0)
    balance = MarginBalance(pool=position.pool, currency="USDT", equity=equity, maintenance_margin=0.0)
    return replace(a_snapshot(position), observed_at=now, margins=(balance,))


def _market(coin: str, study: Study, now: datetime) -> Markets:
    instrument = _position(coin, 1.0, 1.0, 1.0).instrument
    return {instrument.symbol: MarketState(instrument=instrument, study=Observed(study, now))}


# --- candles ---


@dataclass(frozen=True, slots=True)
class _Before:
    """Whole days, and hours up to 20:30; the last hour is the one that has begun."""

    days: Sequence[Candle]
    hours: Sequence[Candle]


def _before(folder: Path, coin: str, price: float) -> _Before:
    sigma = ASSUMED_ATR[coin] / RANGE_OVER_SIGMA
    days = list(_assumed(Frame.DAY, price, sigma, MIDNIGHT))
    if coin != MINUTE_MARKS:
        this_hour = DAY_START.replace(minute=0)
        return _Before(days, list(_assumed(Frame.HOUR, price, sigma / math.sqrt(24), this_hour)))
    marks = prices(folder, coin, MIDNIGHT - timedelta(days=1), DAY_START)
    recorded = list(_candles(marks, MIDNIGHT - timedelta(days=1), Frame.DAY))
    return _Before(
        [*days[:-1], *whole(recorded, Frame.DAY, MIDNIGHT)],
        list(_candles(marks, MIDNIGHT - timedelta(days=1), Frame.HOUR)),
    )


def _assumed(frame: Frame, price: float, sigma: float, end: datetime) -> Iterator[Candle]:
    """Up and down by one sigma in turns, within a range as wide as a random walk's; the last one ends at the price."""
    high, low = price * math.exp(sigma * RANGE_OVER_SIGMA), price
    for age in range(COUNT - 1, 0, -1):
        closes = (price, price * math.exp(sigma))
        opened, closed = closes[age % 2], closes[(age + 1) % 2]
        yield Candle(at=end - age * LENGTHS[frame], open=opened, high=max(high, opened), low=low, close=closed)


def _candles(marks: Sequence[float], start: datetime, frame: Frame) -> Iterator[Candle]:
    """Of one price a second."""
    step = round(LENGTHS[frame].total_seconds())
    for begin in range(0, len(marks), step):
        part = marks[begin : begin + step]
        at = start + timedelta(seconds=begin)
        yield Candle(at=at, open=part[0], high=max(part), low=min(part), close=part[-1])


def _study(before: _Before, path: Sequence[float]) -> Study:
    """At the end of that path from 20:30."""
    this_hour = DAY_START.replace(minute=0)
    begun = [hour for hour in before.hours if hour.at < this_hour]
    half = round((DAY_START - this_hour).total_seconds())
    # The first half of the hour is not recorded of the alts: it stands still in their figures.
    hours = [*begun, *_candles([path[0]] * half + list(path), this_hour, Frame.HOUR)]
    study = study_of(before.days, hours[-COUNT:])
    assert isinstance(study, Study)
    return study


def all_told(folder: Path, coins: Sequence[str] = COINS) -> list[Told]:
    return [told_of(folder, coin) for coin in coins]
