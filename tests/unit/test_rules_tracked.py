"""The rules on what is remembered: trailing stop, take-profit levels, drawdown; their alerts and their words."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.config.settings import AlertSettings
from monitor.domain.account import AccountSnapshot, MarginBalance, Side
from monitor.domain.alert import Resolution
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.domain.track import Track
from monitor.notify.message import render
from monitor.risk.track import track_after
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, SHARED, a_position, a_rule, a_snapshot, at, needs_shared
from tests.unit.pipeline_kit import Desk, a_plan, desk

__all__ = ["desk"]
STOP = {"trailing_stop": a_rule("trailing_stop", warning="3%", critical="5%")}
LEVELS = {"take_profit": a_rule("take_profit", levels=["5%", "10%"])}
DRAWDOWN = {"drawdown": a_rule("drawdown", warning="1.5%", critical="2%")}
LONG = "BTC/USDT:USDT long"


def read(mark: float, *, seconds: float = 0.0, wallet: float = 1000.0, **changes: Any) -> AccountSnapshot:
    position = a_position(mark_price=mark, **{"entry_price": 100.0, **changes})
    return a_snapshot(position, equity=wallet + (position.unrealized_pnl or 0.0), observed_at=at(seconds))


def judge(rules: Any, *reads: AccountSnapshot) -> tuple[Reading, ...]:
    """Of the last of these reads, each ten seconds after the one before."""
    track: Track | None = None
    for number, observation in enumerate(reads):
        track = track_after(track, replace(observation, observed_at=at(10.0 * number)), {})
    return evaluate_rules(rules, Context(snapshot=reads[-1], markets={}, now=NOON, track=track))


# ---- trailing stop


@pytest.mark.parametrize(
    ("side", "marks", "value", "verdict", "severity"),
    [
        (Side.LONG, (100, 120, 118), 2 / 120, Verdict.CLEAR, None),
        (Side.LONG, (100, 120, 116.6), 3.4 / 120, Verdict.HOLD, Severity.WARNING),
        (Side.LONG, (100, 120, 116), 4 / 120, Verdict.BREACH, Severity.WARNING),
        (Side.LONG, (100, 120, 114), 6 / 120, Verdict.BREACH, Severity.CRITICAL),
        (Side.LONG, (100, 96), 0.04, Verdict.BREACH, Severity.WARNING),
        (Side.LONG, (50, 96), 0.0, Verdict.CLEAR, None),
        (Side.SHORT, (100, 80, 81), 1 / 80, Verdict.CLEAR, None),
        (Side.SHORT, (100, 80, 84), 4 / 80, Verdict.BREACH, Severity.CRITICAL),
    ],
)
def test_a_position_is_judged_by_its_retreat_from_the_best_mark(
    side: Side, marks: tuple[float, ...], value: float, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge(STOP, *(read(mark, side=side) for mark in marks))
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == pytest.approx(value)
    assert (reading.key.scope, reading.key.subject) == (Scope.POSITION, f"BTC/USDT:USDT {side}")


def test_the_stop_is_told_as_a_price_on_the_right_side() -> None:
    for side, marks, stop in ((Side.LONG, (120, 110), 114), (Side.SHORT, (80, 90), 84)):
        (reading,) = judge(STOP, *(read(mark, side=side) for mark in marks))
        assert reading.inputs["stop_price"] == pytest.approx(stop)


def test_a_filter_picks_the_positions_and_a_narrower_rule_takes_its_own() -> None:
    rules = {**STOP, "shorts": a_rule("trailing_stop", where={"side": "short"}, warning="20%", critical="30%")}
    marks = [(120, 90), (100, 99)]
    both = [
        a_snapshot(a_position(mark_price=long), a_position(mark_price=short, side=Side.SHORT)) for long, short in marks
    ]
    names = {reading.key.subject: reading.key.rule for reading in judge(rules, *both)}
    assert names == {LONG: "trailing_stop", "BTC/USDT:USDT short": "shorts"}


def test_without_a_memory_the_stop_is_unknown() -> None:
    (reading,) = evaluate_rules(STOP, Context(snapshot=read(100), markets={}, now=NOON))
    assert reading.is_unknown
    assert reading.inputs["why"] == "no best mark is remembered of this position"


async def test_a_stop_that_is_passed_is_one_episode_and_ends_with_the_position(desk: Desk) -> None:
    desk.plan = a_plan(STOP)
    for mark in (100, 110, 104, 103, 104, 90):
        await desk.see(read(mark))
        desk.later(10)
    desk.later(3600)
    await desk.see(read(90))
    assert desk.reasons() == ["first", "repeat"]
    for _ in range(2):
        await desk.see(a_snapshot(equity=990.0))
    assert desk.reasons() == ["first", "repeat", "resolved"]
    # The next position has a best mark of its own.
    await desk.see(read(90))
    assert not desk.alert("trailing_stop").is_active


# ---- take-profit levels


@pytest.mark.parametrize(
    ("side", "marks", "reached"),
    [
        (Side.LONG, (104.9,), []),
        (Side.LONG, (105,), ["+5%"]),
        (Side.LONG, (100, 112, 101), ["+5%", "+10%"]),
        (Side.LONG, (90,), []),
        (Side.SHORT, (95,), ["+5%"]),
        (Side.SHORT, (105,), []),
    ],
)
def test_a_level_that_was_reached_stays_reached(side: Side, marks: tuple[float, ...], reached: list[str]) -> None:
    readings = judge(LEVELS, *(read(mark, side=side) for mark in marks))
    assert [reading.key.subject for reading in readings] == [f"BTC/USDT:USDT {side} +{n}%" for n in (5, 10)]
    breached = [reading for reading in readings if reading.verdict is Verdict.BREACH]
    assert [reading.key.subject.split(" ")[-1] for reading in breached] == reached
    assert all(reading.severity is Severity.WARNING for reading in breached)


def test_without_an_entry_price_a_level_is_unknown_until_one_was_told() -> None:
    told = read(120)
    untold = replace(told, positions=(replace(told.positions[0], entry_price=None),))
    assert all(reading.is_unknown for reading in judge(LEVELS, untold))
    assert [r.verdict for r in judge(LEVELS, read(107), untold)] == [Verdict.BREACH, Verdict.CLEAR]


async def test_each_level_is_told_once_however_often_the_price_returns(desk: Desk) -> None:
    policies = {name: AlertSettings().policy_for(rule) for name, rule in LEVELS.items()}
    desk.plan = replace(a_plan(LEVELS), policies={**desk.plan.policies, **policies})
    for mark in (100, 106, 99, 106, 111, 104, 112):
        await desk.see(read(mark))
        desk.later(3600)
    told = [(str(row.reason), row.key.subject) for row in desk.told]
    assert told == [("first", f"{LONG} +5%"), ("first", f"{LONG} +10%")]
    # A level that its owner takes back is removed, not gone with the position.
    desk.plan = a_plan({"take_profit": a_rule("take_profit", levels=["10%"])})
    await desk.see(read(112))
    (removed,) = [a for key, a in desk.store.alerts.items() if key.subject == f"{LONG} +5%"]
    assert removed.resolution is Resolution.REMOVED


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_levels_are_told_at_once_as_what_their_owner_wants_and_never_repeated(severity: str) -> None:
    rule = a_rule("take_profit", levels=["5%"], severity=severity)
    (reading,) = judge({"take_profit": rule}, read(106))
    assert str(reading.severity) == severity
    level = AlertSettings().policy_for(rule).of(reading.severity or Severity.INFO)
    assert (level.for_s, level.repeat_s) == (0.0, None)


def test_what_cannot_be_undone_is_no_emergency_of_every_five_minutes() -> None:
    repeats = [
        AlertSettings().policy_for(r[k]).of(Severity.CRITICAL).repeat_s
        for r, k in ((STOP, "trailing_stop"), (DRAWDOWN, "drawdown"))
    ]
    assert repeats == [4 * 3600, 3600]


def test_who_holds_nothing_is_told_to_open_nothing() -> None:
    (reading,) = judge(DRAWDOWN, read(100), a_snapshot(equity=900.0), a_snapshot(equity=900.0))
    assert reading.verdict is Verdict.UNKNOWN, "nothing explains a loss of 100 on one contract"
    (lost,) = judge(DRAWDOWN, read(100), read(60), a_snapshot(equity=960.0))
    assert str(lost.inputs["advice"]).startswith("open nothing")


@pytest.mark.parametrize(
    "levels", [[], ["10%", "5%"], ["5%", "5%"], ["0%"], ["100000"], [f"{n}%" for n in range(1, 12)]]
)
def test_levels_are_ascending_shares_of_the_entry_price(levels: list[str]) -> None:
    with pytest.raises(ValueError, match="levels"):
        a_rule("take_profit", levels=levels)


# ---- drawdown


@pytest.mark.parametrize(
    ("marks", "value", "verdict", "severity"),
    [
        ((100, 110), 0.0, Verdict.CLEAR, None),
        ((100, 150, 136), 14 / 1050, Verdict.CLEAR, None),
        ((100, 150, 135), 15 / 1050, Verdict.HOLD, Severity.WARNING),
        ((100, 84), 0.016, Verdict.BREACH, Severity.WARNING),
        ((100, 150, 120), 30 / 1050, Verdict.BREACH, Severity.CRITICAL),
    ],
)
def test_an_account_is_judged_by_its_fall_from_the_peak(
    marks: tuple[float, ...], value: float, verdict: Verdict, severity: Severity | None
) -> None:
    (reading,) = judge(DRAWDOWN, *(read(mark) for mark in marks))
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == pytest.approx(value)
    assert (reading.key.scope, reading.key.subject) == (Scope.ACCOUNT, "day")


def test_windows_stand_side_by_side_and_the_more_specific_rule_speaks_for_its_own() -> None:
    week = a_rule("drawdown", window="week", warning="5%", critical="8%")
    rules = {**DRAWDOWN, "week": week, "ever": a_rule("drawdown", window="all", critical="20%")}
    mine = {"mine": a_rule("drawdown", where={"account": "main"}, window="week", warning="1%", critical="2%")}
    names = {reading.key.subject: reading.key.rule for reading in judge({**mine, **rules}, read(100))}
    assert names == {"day": "drawdown", "week": "mine", "all": "ever"}


def test_a_drawdown_of_some_positions_is_refused() -> None:
    with pytest.raises(ValueError, match="whole account"):
        a_rule("drawdown", where={"symbol": "BTC/*"}, warning="1%")


def test_what_is_not_known_is_not_judged() -> None:
    (jumped,) = judge(DRAWDOWN, read(100), read(100, wallet=4000))
    assert jumped.is_unknown
    assert "probably a transfer" in str(jumped.inputs["why"])
    (untold,) = judge(DRAWDOWN, read(100), a_snapshot(a_position(), equity=None))
    assert (untold.is_unknown, untold.inputs["why"]) == (True, "the equity of cross:USDT is not known")
    (forgotten,) = evaluate_rules(DRAWDOWN, Context(snapshot=read(100), markets={}, now=NOON))
    assert forgotten.is_unknown


@pytest.mark.parametrize("equity", [0.0, -3.0])
def test_an_account_that_never_held_anything_has_lost_nothing(equity: float) -> None:
    empty = MarginBalance(pool="cross:USDT", currency="USDT", equity=equity, maintenance_margin=0.0)
    (reading,) = judge(DRAWDOWN, replace(a_snapshot(), margins=(empty,)))
    assert (reading.value, reading.verdict) == (0.0, Verdict.CLEAR)


async def test_a_deposit_is_told_as_what_cannot_be_judged_until_the_day_is_over(desk: Desk) -> None:
    desk.plan = a_plan(DRAWDOWN)
    await desk.see(read(100))
    for _ in range(3):
        desk.later(10)
        await desk.see(read(100, wallet=4000))
    assert desk.reasons() == ["first"]
    assert desk.alert("unassessed").is_firing
    desk.later(86_400)
    await desk.see(read(100, wallet=4000))
    desk.later(21)
    await desk.see(read(100, wallet=4000))
    assert desk.reasons() == ["first", "resolved"]
    desk.later(10)
    await desk.see(read(10, wallet=4000))
    assert desk.alert("drawdown").severity is Severity.CRITICAL


# ---- words


@pytest.mark.parametrize(
    ("rules", "marks", "lines"),
    [
        (
            STOP,
            (100, 120, 110),
            [
                f"CRITICAL main: {LONG} 8.33% back from its best mark",
                "Trailing stop: 8.33% back (critical at 5%)",
                "mark 110 · stop 114 · since 21:02 UTC",
                "best mark 120 at 21:01 UTC · entry 100 · watched since 21:00 UTC",
                "Do: close it, or write down why it is still worth holding",
            ],
        ),
        (
            LEVELS,
            (100, 107),
            [
                f"WARNING main: {LONG} +5% reached, take-profit level",
                "Best gain 7% of the entry price",
                "now 7% · mark 107 · entry 100",
                "PnL 7 USDT · watched since 21:00 UTC",
            ],
        ),
        (
            DRAWDOWN,
            (100, 150, 120),
            [
                "CRITICAL main: 2.86% below its peak of the day",
                "Drawdown of the day 2.86% (critical at 2%)",
                "equity 1,020 USD · peak 1,050 USD at 21:01 UTC · since 21:02 UTC",
                "lost 30 USD · watched since 21:00 UTC",
                "Do: close or halve what is open: neither collateral nor a larger position brings a loss back",
            ],
        ),
    ],
)
async def test_a_message_says_what_how_bad_and_what_to_do(
    desk: Desk, rules: Any, marks: tuple[float, ...], lines: list[str]
) -> None:
    desk.plan = a_plan(rules)
    for mark in marks:
        await desk.see(read(mark))
        desk.later(60)
    message = render(desk.told[-1:], desk.clock.now() - timedelta(seconds=60), 3_500, "")
    assert [message.title, *message.body.splitlines()] == lines


# ---- the real crash, by a stop of 6 and 9 %: twice and three times the range of BTC on the calm day before


POLL = timedelta(seconds=10)


@dataclass
class Spoken:
    """When a long opened at the first price heard of a severity first, and when the price was lowest."""

    warning: datetime | None
    critical: datetime | None
    low_at: datetime


def replay(prices: Iterator[tuple[datetime, float]]) -> Spoken:
    """Read every ten seconds, as the monitor does."""
    rules = {"trailing_stop": a_rule("trailing_stop", warning="6%", critical="9%")}
    track: Track | None = None
    said: dict[Severity, datetime] = {}
    lowest, low_at = math.inf, NOON
    for moment, price in prices:
        if price < lowest:
            lowest, low_at = price, moment
        if track is not None and moment - track.at < POLL:
            continue
        snapshot = replace(read(price, entry_price=price), observed_at=moment)
        track = track_after(track, snapshot, {})
        (reading,) = evaluate_rules(rules, Context(snapshot=snapshot, markets={}, now=moment, track=track))
        for level in reading.levels:
            if level.verdict is Verdict.BREACH:
                said.setdefault(level.severity, moment)
    return Spoken(said.get(Severity.WARNING), said.get(Severity.CRITICAL), low_at)


def seconds_of(name: str) -> Iterator[tuple[datetime, float]]:
    with (SHARED / "market" / "2025-10-10" / f"binance-delivery_{name}USD_PERP.csv").open() as file:
        for row in csv.DictReader(file):
            yield datetime.fromtimestamp(int(row["timestamp_s"]), UTC), float(row["last_price"])


def bitcoin(day: int) -> Iterator[tuple[datetime, float]]:
    with (SHARED / "market" / "2025-10-10" / "binance-delivery_BTCUSD_PERP_mark_1m.csv").open() as file:
        for row in csv.DictReader(file):
            moment = datetime.fromtimestamp(int(row["open_time_ms"]) / 1000, UTC)
            if moment.day == day:
                yield moment, float(row["close"])


@needs_shared
@pytest.mark.parametrize(
    ("name", "warning", "critical", "low"),
    [
        ("AVAX", "20:59:36", "21:13:12", "21:21:29"),
        ("DOT", "20:59:32", "21:13:04", "21:20:46"),
        ("BCH", "20:59:46", "21:14:24", "21:19:58"),
    ],
)
def test_a_stop_in_percent_speaks_minutes_before_the_lows_of_the_real_crash(
    name: str, warning: str, critical: str, low: str
) -> None:
    spoken = replay(seconds_of(name))
    assert [f"{at:%H:%M:%S}" for at in (spoken.warning, spoken.critical, spoken.low_at) if at] == [
        warning,
        critical,
        low,
    ]


@needs_shared
@pytest.mark.parametrize(("day", "warning", "critical"), [(9, None, None), (10, "20:55", "21:15")])
def test_it_is_silent_on_bitcoin_the_day_before_and_speaks_in_the_crash(
    day: int, warning: str | None, critical: str | None
) -> None:
    spoken = replay(bitcoin(day))
    assert [at and f"{at:%H:%M}" for at in (spoken.warning, spoken.critical)] == [warning, critical]
