"""An example of each rule's alert: a small account in trouble, judged by the rule and told by the real renderer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from monitor.config.profiles import DEFAULT_PROFILE, PROFILES
from monitor.domain.account import AccountSnapshot, Collateral, Instrument, MarginBalance, MarginMode, Position, Side
from monitor.domain.alert import Alert, AlertPolicy, LevelPolicy, Reason, advance
from monitor.domain.hedges import Hedges
from monitor.domain.market import Book, FundingRate, MarketState, Observed, Resting, Tier
from monitor.domain.notification import Notification, facts_of
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.domain.study import Study
from monitor.notify.message import Rendered, render
from monitor.risk.estimate import completed
from monitor.risk.reprice import reprice
from monitor.risk.track import track_after
from monitor.rules.base import Context, Portfolio, Rule
from monitor.rules.book import AnyRule, remembered

_VENUE, _POOL = "binanceusdm", "cross:USDT"
_NOW = datetime(2025, 10, 10, 21, 13, tzinfo=UTC)
_MAX_CHARS = 2_000
_RULE: TypeAdapter[Any] = TypeAdapter(AnyRule)
_AT_ONCE = LevelPolicy(for_s=0.0, keep_firing_for_s=0.0, group_wait_s=0.0, repeat_s=None)
_POLICY = AlertPolicy(dict.fromkeys(Severity, _AT_ONCE))
# Where an emptied book still takes something: how far from the mark, and how much of the position.
_LEFT = ((0.005, 0.2), (0.015, 0.4), (0.04, 0.6))
_TIERS = (Tier(0.0, 50_000.0, 0.004, 0.0), Tier(50_000.0, 600_000.0, 0.005, 50.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the example's account has, in dollars; everything else about it stands in `context`."""

    equity: float = 9_000.0

    def context(self) -> Context:
        """A long of BTC that loses, a short of ETH that gains, across, with funding and brackets known, and no stops.

        Order books are as empty as in a crash, and a stablecoin is off its dollar. An hour ago BTC stood higher.
        """
        positions = (
            _position("BTC", Side.LONG, 0.5, entry=99_500.0, mark=98_000.0, leverage=20.0, rank=1),
            _position("ETH", Side.SHORT, 2.0, entry=4_000.0, mark=3_600.0, leverage=5.0, rank=5),
        )
        pool = MarginBalance(pool=_POOL, currency="USDT", equity=self.equity, maintenance_margin=None)
        read = AccountSnapshot(
            account="main",
            venue=_VENUE,
            observed_at=_NOW,
            margins=(pool,),
            positions=positions,
            collateral=(Collateral(coin="USDE", price=0.65, amount=1_500.0),),
            orders=(),
            orders_at=_NOW,
        )
        markets = {position.instrument.symbol: _market(position) for position in positions}
        snapshot = completed(read, markets)
        higher = reprice(snapshot, {positions[0].instrument.symbol: 105_000.0}, markets)
        an_hour_ago = track_after(None, replace(higher, observed_at=_NOW - timedelta(hours=1)), markets)
        track = track_after(an_hour_ago, snapshot, markets)
        return Context(snapshot=snapshot, markets=markets, now=_NOW, track=track)


# Where the one scene does not show what the rule is for.
_SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        "margin_ratio": Scene(equity=900.0),
        "liquidation_distance": Scene(equity=4_000.0),
        "common_shock": Scene(equity=5_000.0),
        "position_size": Scene(equity=18_000.0),
    }
)


# Of the rules that no profile has.
OWN_LEVELS: Mapping[str, tuple[str, ...]] = MappingProxyType({"take_profit": ("5%", "10%")})


def example_of(kind: str) -> Rendered | None:
    """The alert that a rule of that kind sends by the default profile, or by levels such as its owner would give; None
    where it says nothing."""
    levels: Mapping[str, Any] = PROFILES[DEFAULT_PROFILE].get(kind) or {"levels": OWN_LEVELS[kind]}
    rule: Rule = _RULE.validate_python({"kind": kind, **levels})
    context = _SCENES.get(kind, Scene()).context()
    readings = rule.evaluate(kind, context) or rule.evaluate_portfolio(kind, _with_another({kind: rule}, context))
    breached = [reading for reading in readings if reading.verdict is Verdict.BREACH]
    return _told(breached[0], kind) if breached else None


def _with_another(rules: Mapping[str, Rule], context: Context) -> Portfolio:
    """Beside a second account, which holds ether and has just lost the short that offset the bitcoin of the first."""
    short = _position("BTC", Side.SHORT, 0.5, entry=99_500.0, mark=98_000.0, leverage=20.0, rank=1)
    ether = _position("ETH", Side.LONG, 3.0, entry=4_000.0, mark=3_600.0, leverage=5.0, rank=5)
    pool = MarginBalance(pool=_POOL, currency="USDT", equity=2_000.0, maintenance_margin=None)
    before: Mapping[str, Hedges] = {}
    for minutes, positions in ((10, (ether, short)), (5, (ether,)), (0, (ether,))):
        at = _NOW - timedelta(minutes=minutes)
        fund = replace(context.snapshot, account="fund", observed_at=at, margins=(pool,), positions=positions)
        seen = {"main": context, "fund": Context(snapshot=fund, markets=context.markets, now=at)}
        portfolio = remembered(rules, Portfolio(seen=seen, unseen={}, now=at), before)
        before = portfolio.hedges
    return portfolio


def _told(reading: Reading, kind: str) -> Rendered:
    alert = advance(Alert(key=reading.key), reading, _POLICY, _NOW)
    assert alert.severity is not None, "a breach fires at once here"
    row = Notification(
        key=alert.key,
        episode=alert.episode,
        sequence=alert.sequence,
        reason=Reason.FIRST,
        target="phone",
        severity=alert.severity,
        facts=facts_of(alert, kind, _VENUE),
        created_at=_NOW,
        send_after=_NOW,
    )
    return render([row], _NOW, _MAX_CHARS)


def _position(base: str, side: Side, size: float, *, entry: float, mark: float, leverage: float, rank: int) -> Position:
    instrument = Instrument(
        venue=_VENUE,
        symbol=f"{base}/USDT:USDT",
        base=base,
        quote="USDT",
        settle="USDT",
        contract_size=1.0,
        inverse=False,
    )
    return Position(
        instrument=instrument,
        side=side,
        pool=_POOL,
        contracts=size,
        size=size,
        notional=size * mark,
        mark_price=mark,
        entry_price=entry,
        leverage=leverage,
        margin_mode=MarginMode.CROSS,
        initial_margin=size * mark / leverage,
        unrealized_pnl=instrument.pnl(side, size, entry, mark),
        adl_rank=rank,
    )


def _market(position: Position) -> MarketState:
    funding = FundingRate(
        instrument=position.instrument,
        rate=0.0003 * position.side.sign,
        interval=timedelta(hours=8),
        next_at=datetime(2025, 10, 11, tzinfo=UTC),
        origin="premiumIndex",
    )
    return MarketState(
        instrument=position.instrument,
        mark_price=Observed(position.mark_price, _NOW),
        funding=Observed(funding, _NOW),
        tiers=Observed(_TIERS, _NOW),
        study=Observed(Study(fast_sigma=0.03, slow_sigma=0.025, atr=0.035 * position.mark_price, returns={}), _NOW),
        book=Observed(_book(position), _NOW),
    )


def _book(position: Position) -> Book:
    mark, size = position.mark_price, position.size
    return Book(
        bids=tuple(Resting(mark * (1 - away), size * share) for away, share in _LEFT),
        asks=tuple(Resting(mark * (1 + away), size * share) for away, share in _LEFT),
    )
