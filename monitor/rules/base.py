"""What every rule shares: thresholds with hysteresis, the `where` filter, and what a rule is given to judge by."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.domain.account import AccountSnapshot, Instrument, MarginMode, Position, Side
from monitor.domain.hedges import Hedges
from monitor.domain.market import Markets
from monitor.domain.reading import PORTFOLIO, AlertKey, Level, Need, Reading, Scope, Severity, Unit, Verdict
from monitor.domain.study import NoStudy, Study
from monitor.domain.track import Track
from monitor.risk.shock import BITCOIN
from monitor.risk.underlying import Held, held_in
from monitor.risk.volatility import beta
from monitor.risk.worth import Worth, perpetuals_of, worth_of
from monitor.rules.quantities import Atrs, Duration, Ratio

HYSTERESIS = 0.10
# A state that may last for days is no emergency of the hour.
STANDING_REPEAT_S = 4 * 3600.0
# How large and how spread is what an owner chose: a reminder a day, at the hour when it was chosen.
CHOSEN_REPEAT_S = 24 * 3600.0
# And a warning of it is told once a day.
STANDING_WARNING_REPEAT_S = 24 * 3600.0
# What rounding may take from an exact remedy, and no more.
_HAIR = 1e-9


class Frozen(BaseModel):
    """Strict and immutable: a key nobody knows is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Where(Frozen):
    """Which subjects a rule applies to; globs are matched case-sensitively, a list means any of them."""

    account: str | tuple[str, ...] | None = Field(default=None, description="account name, or a glob such as fund-*")
    venue: str | tuple[str, ...] | None = Field(default=None, description="venue id, or a glob such as binance*")
    symbol: str | tuple[str, ...] | None = Field(default=None, description="symbol glob such as DOGE/*")
    side: Side | None = None
    margin_mode: MarginMode | None = None

    def matches_account(self, account: str, venue: str) -> bool:
        return _any_glob(self.account, account) and _any_glob(self.venue, venue)

    def matches_position(self, position: Position) -> bool:
        return (
            _any_glob(self.symbol, position.instrument.symbol)
            and self.side in (None, position.side)
            and self.margin_mode in (None, position.margin_mode)
        )

    @property
    def picks_accounts(self) -> bool:
        return self.account is not None or self.venue is not None

    @property
    def names_positions(self) -> bool:
        return self.symbol is not None or self.side is not None or self.margin_mode is not None

    @cached_property
    def specificity(self) -> tuple[int, int]:
        """More filters win; between equals, more literal characters."""
        filters = [self.account, self.venue, self.symbol, self.side, self.margin_mode]
        globs = [g for f in (self.account, self.venue, self.symbol) if f is not None for g in _as_tuple(f)]
        return sum(f is not None for f in filters), sum(len(g.replace("*", "").replace("?", "")) for g in globs)


def _as_tuple(globs: str | tuple[str, ...]) -> tuple[str, ...]:
    return (globs,) if isinstance(globs, str) else globs


def _any_glob(globs: str | tuple[str, ...] | None, name: str) -> bool:
    return globs is None or any(fnmatchcase(name, glob) for glob in _as_tuple(globs))


class SeverityDurations(Frozen):
    """A wait per severity, where a rule wants other ones than the house."""

    warning: Duration | None = Field(default=None, description="the wait of a warning")
    critical: Duration | None = Field(default=None, description="the wait of a critical alert")

    def of(self, severity: Severity) -> float | None:
        return {Severity.WARNING: self.warning, Severity.CRITICAL: self.critical}.get(severity)


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a rule may know when it judges one account; market data older than its age limit counts as unknown.

    `track` is what is remembered of the account, this read folded in; None where nothing is.
    """

    snapshot: AccountSnapshot
    markets: Markets
    now: datetime
    track: Track | None = None
    market_max_age: timedelta = timedelta(minutes=5)
    # Studies are made anew every five minutes.
    study_max_age: timedelta = timedelta(minutes=15)

    @cached_property
    def worth(self) -> Worth:
        """The account in dollars, added up once for all rules. Raises UnknownWorthError."""
        return worth_of(self.snapshot, self.markets)

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """Its positions in dollars, by what they are on. Raises UnknownWorthError."""
        return held_in(self.snapshot, self.markets)

    def is_fresh(self, observed_at: datetime) -> bool:
        return self.now - observed_at <= self.market_max_age

    def study_of(self, instrument: Instrument) -> Study | NoStudy:
        """What candles say of it, or why they do not."""
        state = self.markets.get(instrument.symbol)
        if state is not None and state.study is not None:
            fresh = self.now - state.study.observed_at <= self.study_max_age
            return state.study.value if fresh else NoStudy(f"{instrument.symbol}: its candles are not read any more")
        if state is not None and state.no_study is not None:
            return replace(state.no_study, why=f"{instrument.symbol}: {state.no_study.why}")
        return NoStudy(f"{instrument.symbol}: its candles were not asked for")

    @cached_property
    def betas(self) -> Mapping[str, float]:
        """How far the coins that are held move with bitcoin, where that is known; of two contracts the larger one."""
        found: dict[str, float] = {}
        for position in self.snapshot.positions:
            study, coin = self.study_of(position.instrument), position.instrument.base
            if self.bitcoin is not None and isinstance(study, Study):
                measured = beta(study, self.bitcoin)
                if measured is not None:
                    found[coin] = max(measured, found.get(coin, measured))
        return found

    @cached_property
    def bitcoin(self) -> Study | None:
        """Of its most common perpetual at the account's venue."""
        states = [state for symbol in perpetuals_of(BITCOIN) if (state := self.markets.get(symbol)) is not None]
        study = self.study_of(states[0].instrument) if states else None
        return study if isinstance(study, Study) else None


@dataclass(frozen=True, slots=True)
class Unseen:
    """An account of which nothing fresh is known."""

    venue: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """All accounts as they were last seen, by name; a sum over all of them is unknown while one is unseen."""

    seen: Mapping[str, Context]
    unseen: Mapping[str, Unseen]
    now: datetime
    # By the name of the rule that watches them.
    hedges: Mapping[str, Hedges] = field(default_factory=dict)

    def narrowed(self, where: Where) -> "Portfolio":
        """The accounts that a rule is for."""
        seen = {name: of for name, of in self.seen.items() if where.matches_account(name, of.snapshot.venue)}
        unseen = {name: of for name, of in self.unseen.items() if where.matches_account(name, of.venue)}
        return replace(self, seen=seen, unseen=unseen)

    @property
    def size(self) -> int:
        """How many accounts there are."""
        return len(self.seen) + len(self.unseen)

    def unseen_inputs(self) -> dict[str, str]:
        """Why a figure over all accounts is unknown; `unseen` tells that `blind` has told its cause already."""
        names = ", ".join(self.unseen)
        return {"unseen": names, "why": f"not known of {names}: {next(iter(self.unseen.values())).why}"}


class Rule(Frozen):
    """A rule of the YAML: its parameters and one pure `evaluate`. Durations are seconds, ratios fractions."""

    kind: str
    # For `perpwatch rules` and `explain`; the formula in the names of the inputs, which are replaced by their figures.
    why: ClassVar[str]
    formula: ClassVar[str]
    # Of its value and its thresholds.
    unit: ClassVar[Unit] = Unit.RATIO
    # Nobody is reminded of a critical alert sooner than this, however short the house's repeats are; 0: it passes.
    min_repeat_s: ClassVar[float] = 0.0
    # Parameters that name its subjects: a rule that differs in one of them judges other ones.
    subjects_by: ClassVar[tuple[str, ...]] = ()

    where: Where = Where()
    for_: Duration | SeverityDurations | None = Field(
        default=None, alias="for", description="how long it must hold before it fires; 0s fires at once"
    )
    keep_firing_for: Duration | SeverityDurations | None = Field(
        default=None, description="how long it must be clear before it resolves"
    )
    hysteresis: Ratio = Field(default=HYSTERESIS, ge=0, le=0.5, description="share of the threshold to come back past")

    def least_repeat_s(self, severity: Severity) -> float:
        """Of one severity: where critical ones wait at all, a warning waits for a day."""
        is_standing = self.min_repeat_s > 0 and severity is Severity.WARNING
        return max(self.min_repeat_s, STANDING_WARNING_REPEAT_S) if is_standing else self.min_repeat_s

    @property
    def needs(self) -> frozenset[Need]:
        """What is read for it beside accounts and marks."""
        return frozenset()

    def evaluate(self, name: str, context: Context) -> tuple[Reading, ...]:
        """One reading per subject the rule applies to, keyed by `name`, the rule's name in the YAML."""
        del name, context
        return ()

    def evaluate_portfolio(self, name: str, portfolio: Portfolio) -> tuple[Reading, ...]:
        """The same of what is judged over all accounts; of most rules nothing is."""
        del name, portfolio
        return ()

    def positions_in(self, snapshot: AccountSnapshot) -> tuple[Position, ...]:
        """The positions that the rule is for."""
        if not self.where.matches_account(snapshot.account, snapshot.venue):
            return ()
        return tuple(position for position in snapshot.positions if self.where.matches_position(position))


class ThresholdRule(Rule):
    """A rule on one number with two thresholds; at least one is given."""

    warning: float | None = None
    critical: float | None = None

    worse: ClassVar[Literal["higher", "lower"]] = "higher"
    # Whether warning and critical may be one figure, told apart by how long it holds.
    may_be_equal: ClassVar[bool] = False

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Self:
        if self.warning is None and self.critical is None:
            raise ValueError("give warning, critical, or both")
        if self.warning is not None and self.critical is not None:
            if isinstance(self.warning, Atrs) is not isinstance(self.critical, Atrs):
                raise ValueError("warning and critical must both be in percent, or both in ATR")
            ordered = self.warning < self.critical if self.worse == "higher" else self.warning > self.critical
            if not ordered and not (self.may_be_equal and self.warning == self.critical):
                relation = "below" if self.worse == "higher" else "above"
                raise ValueError(f"warning must be {relation} critical")
        return self

    def with_thresholds(self, thresholds: Mapping[Severity, float]) -> Self:
        """The same rule with thresholds of today, where they are given in what the market moves."""
        today = self.model_copy(update={str(severity): limit for severity, limit in thresholds.items()})
        # What is remembered of the others is copied with them.
        today.__dict__.pop("_thresholds", None)
        return today

    def levels(self, value: float | None) -> tuple[Level, ...]:
        """The verdict at each given threshold; UNKNOWN at all of them where the value is None."""
        return tuple([Level(severity, self._verdict(value, limit), limit) for severity, limit in self._thresholds])

    def all_breached(self) -> tuple[Level, ...]:
        """For a state beyond any number, such as equity gone."""
        return tuple(Level(severity, Verdict.BREACH, threshold) for severity, threshold in self._thresholds)

    def all_clear(self) -> tuple[Level, ...]:
        """For a state that cannot breach, such as a position that no price can liquidate."""
        return tuple(Level(severity, Verdict.CLEAR, threshold) for severity, threshold in self._thresholds)

    @property
    def clear_at(self) -> float:
        """The value at which the lowest severity is clear again: what a remedy has to reach."""
        return self._past_hysteresis(self._thresholds[0][1])

    @property
    def goal(self) -> float:
        """What an exact remedy aims at: a hair past `clear_at`, so that rounding does not leave it short."""
        return self.clear_at * (1 - _HAIR if self.worse == "higher" else 1 + _HAIR)

    def is_clear(self, value: float | None) -> bool:
        return value is not None and self._verdict(value, self._thresholds[0][1]) is Verdict.CLEAR

    def _past_hysteresis(self, threshold: float) -> float:
        return threshold * (1 - self.hysteresis if self.worse == "higher" else 1 + self.hysteresis)

    @cached_property
    def _thresholds(self) -> tuple[tuple[Severity, float], ...]:
        given = ((Severity.WARNING, self.warning), (Severity.CRITICAL, self.critical))
        return tuple((severity, threshold) for severity, threshold in given if threshold is not None)

    def _verdict(self, value: float | None, threshold: float) -> Verdict:
        if value is None or math.isnan(value):
            return Verdict.UNKNOWN
        sign = 1 if self.worse == "higher" else -1
        if sign * (value - threshold) >= 0:
            return Verdict.BREACH
        return Verdict.HOLD if sign * (value - self._past_hysteresis(threshold)) > 0 else Verdict.CLEAR

    def reading(
        self,
        *,
        name: str,
        account: str,
        scope: Scope,
        subject: str,
        value: float | None,
        inputs: Mapping[str, Any],
        levels: tuple[Level, ...] | None = None,
    ) -> Reading:
        return Reading(
            key=AlertKey(name, account, scope, subject),
            levels=self.levels(value) if levels is None else levels,
            value=value,
            unit=self.unit,
            higher_is_worse=self.worse == "higher",
            inputs=dict(inputs),
        )

    def of_position(
        self,
        name: str,
        context: Context,
        position: Position,
        value: float | None,
        inputs: Mapping[str, Any],
        levels: tuple[Level, ...] | None = None,
    ) -> Reading:
        """The reading of one position; `levels` where the value alone does not decide them."""
        return self.reading(
            name=name,
            account=context.snapshot.account,
            scope=Scope.POSITION,
            subject=position.subject,
            value=value,
            inputs=inputs,
            levels=levels,
        )

    def of_account(
        self,
        name: str,
        context: Context,
        value: float | None,
        inputs: Mapping[str, Any],
        levels: tuple[Level, ...] | None = None,
    ) -> Reading:
        """The same of the account as a whole."""
        account = context.snapshot.account
        return self.reading(
            name=name,
            account=account,
            scope=Scope.ACCOUNT,
            subject=account,
            value=value,
            inputs=inputs,
            levels=levels,
        )

    def of_portfolio(
        self,
        name: str,
        subject: str,
        value: float | None,
        inputs: Mapping[str, Any],
        levels: tuple[Level, ...] | None = None,
    ) -> Reading:
        """The same over all accounts."""
        return self.reading(
            name=name,
            account=PORTFOLIO,
            scope=Scope.PORTFOLIO,
            subject=subject,
            value=value,
            inputs=inputs,
            levels=levels,
        )

    def remedy_of_equity(self, held: float, equity: float) -> dict[str, float]:
        """What to add, or the share of it to cut, where the value is `held` / equity and `held` is linear in size."""
        found = {"add_collateral": held / self.goal - equity}
        if equity > 0:
            found["cut_share"] = 1 - self.goal * equity / held
        return found

    @staticmethod
    def with_remedy(reading: Reading, remedy_inputs: Callable[[], Mapping[str, Any]]) -> Reading:
        """The reading with what to do about it, worked out only where something is wrong."""
        if reading.verdict is not Verdict.BREACH:
            return reading
        return replace(reading, inputs={**reading.inputs, **remedy_inputs()})
