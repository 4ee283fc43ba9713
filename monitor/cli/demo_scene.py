"""What the demo shows at one moment, as plain figures: taken from what the monitor itself last saw and judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.blindness import Sight
from monitor.cli.demo_phone import Message
from monitor.cli.demo_stage import Stage
from monitor.cli.demo_story import Fate
from monitor.domain.account import AccountSnapshot, MarginBalance, Position, PriceOrigin
from monitor.domain.reading import Reading, Severity
from monitor.plan import AccountPlan

BITCOIN = "BTCUSDT"
_NOTES = {
    PriceOrigin.NONE: "no price liquidates it",
    PriceOrigin.UNKNOWN: "liquidation price unknown",
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """A judged figure with the thresholds it is judged by; None where unknown, or where no number applies."""

    value: float | None
    warning: float | None = None
    critical: float | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class PositionLine:
    """One position; `size` in base units, `pnl` in settle units, `note` instead of a distance that there is not."""

    name: str
    size: float
    mark: float
    liquidation: float | None
    pnl: float | None
    distance: Gauge
    note: str


@dataclass(frozen=True, slots=True)
class PoolLine:
    """A margin pool: `name` is `cross`, or the base of the position it is isolated for."""

    name: str
    equity: float | None
    currency: str
    ratio: Gauge


@dataclass(frozen=True, slots=True)
class AccountScene:
    """`trouble` says why the account cannot be read, if so."""

    name: str
    read_at: datetime | None
    pools: tuple[PoolLine, ...]
    positions: tuple[PositionLine, ...]
    fates: tuple[Fate, ...]
    trouble: str | None

    @property
    def equities(self) -> Mapping[str, float | None]:
        """The equity of all pools by currency; None where any of them is unknown."""
        totals: dict[str, float | None] = {}
        for pool in self.pools:
            before = totals.get(pool.currency, 0.0)
            totals[pool.currency] = None if before is None or pool.equity is None else before + pool.equity
        return totals


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment. `progress` is from 0 to 1; `bitcoin` holds its marks from the start until now, one a second."""

    title: str
    now: datetime
    speed: float
    progress: float
    poll_interval_s: float
    bitcoin: Sequence[float]
    accounts: tuple[AccountScene, ...]
    messages: tuple[Message, ...]


def scene_of(stage: Stage, speed: float, bitcoin: Sequence[float], fates: Sequence[Fate]) -> Scene:
    """`bitcoin` is its whole path; the daemon must have started."""
    watching, scenario = stage.daemon.watching, stage.scenario
    elapsed_s = stage.driver.elapsed_s
    return Scene(
        title=scenario.title,
        now=stage.clock.now(),
        speed=speed,
        progress=elapsed_s / scenario.duration_s,
        poll_interval_s=stage.settings.poll_interval,
        bitcoin=bitcoin[: elapsed_s + 1],
        accounts=tuple(
            _account(watching.plans[name], sight, tuple(fate for fate in fates if fate.account == name))
            for name, sight in watching.sights.items()
        ),
        messages=tuple(stage.phone.messages),
    )


def short_name(position: Position) -> str:
    return f"{position.instrument.base} {position.side}"


def _account(plan: AccountPlan, sight: Sight, fates: tuple[Fate, ...]) -> AccountScene:
    snapshot, trouble = sight.snapshot, sight.failure.detail if sight.failure else None
    if snapshot is None:
        return AccountScene(plan.name, None, (), (), fates, trouble or "waiting for the first read")
    return AccountScene(
        name=plan.name,
        read_at=snapshot.observed_at,
        pools=tuple(_pools(snapshot, plan, sight.readings)),
        positions=tuple(_position(position, plan, sight.readings) for position in snapshot.positions),
        fates=fates,
        trouble=trouble,
    )


def _pools(snapshot: AccountSnapshot, plan: AccountPlan, readings: Sequence[Reading]) -> Iterator[PoolLine]:
    for margin in snapshot.margins:
        ratio = _gauge(margin.pool, "margin_ratio", plan, readings)
        yield PoolLine(_pool_name(margin, snapshot), margin.equity, margin.currency, ratio)


def _pool_name(margin: MarginBalance, snapshot: AccountSnapshot) -> str:
    positions = snapshot.positions_in(margin.pool)
    return positions[0].instrument.base if margin.pool.startswith("isolated") and positions else "cross"


def _position(position: Position, plan: AccountPlan, readings: Sequence[Reading]) -> PositionLine:
    return PositionLine(
        name=short_name(position),
        size=position.size,
        mark=position.mark_price,
        liquidation=position.liquidation_price,
        pnl=position.unrealized_pnl,
        distance=_gauge(position.subject, "liquidation_distance", plan, readings),
        note=_NOTES.get(position.liquidation_price_origin, ""),
    )


def _gauge(subject: str, kind: str, plan: AccountPlan, readings: Sequence[Reading]) -> Gauge:
    """The reading of the rule of that kind that speaks for the subject."""
    for reading in readings:
        if reading.key.subject == subject and plan.rule_kind(reading.key) == kind:
            levels = {level.severity: level.threshold for level in reading.levels}
            return Gauge(reading.value, levels.get(Severity.WARNING), levels.get(Severity.CRITICAL), reading.severity)
    return Gauge(None)
