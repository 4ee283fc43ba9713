"""One alert as a message sees it, and the words that all kinds share. Any figure may be missing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.domain.alert import Resolution
from monitor.domain.notification import AlertFacts
from monitor.domain.reading import PORTFOLIO, AlertKey, Scope, Severity
from monitor.notify.text import amount_to_do, between, foreign, moment, quantity

SEPARATOR = " · "


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alert as a message sees it."""

    key: AlertKey
    severity: Severity
    facts: AlertFacts
    now: datetime

    def number(self, name: str) -> float | None:
        value = self.facts.inputs.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if is_number and value is not None else None

    def words(self, name: str, limit: int = 80) -> str | None:
        value = self.facts.inputs.get(name)
        return foreign(value, limit) if isinstance(value, str) and value.strip() else None

    def instant(self, name: str) -> datetime | None:
        value = self.facts.inputs.get(name)
        if not isinstance(value, str):
            return None
        try:
            at = datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):  # OverflowError: beyond the calendar in UTC
            return None

    def time(self, name: str) -> str | None:
        at = self.instant(name)
        return moment(at, self.now) if at is not None else None

    @property
    def subject(self) -> str:
        """`BTC/USDT:USDT long`, `cross USDT`, `isolated BTC/USDT:USDT long`; nothing where it repeats the account."""
        if self.key.subject in ("", self.key.account):
            return ""
        if self.key.scope is not Scope.POOL:
            return foreign(self.key.subject)
        mode, _, held = self.key.subject.partition(":")
        symbol, _, side = held.rpartition(":")
        return foreign(" ".join(part for part in (mode, symbol, side) if part))

    @property
    def is_isolated(self) -> bool:
        return self.key.subject.startswith("isolated:") or self.words("margin_mode") == "isolated"

    @property
    def currency(self) -> str:
        return self.words("currency", 20) or self.words("settle", 20) or ""

    def measured(self, what: str, of: str = "") -> str | None:
        """`Leverage 6x (critical at 5x)`; nothing where it is beyond any number, of which the headline says why."""
        if self.facts.value is None:
            return None
        return f"{what} {quantity(self.facts.value, self.facts.unit)}{of}{self.threshold}"

    @property
    def threshold(self) -> str:
        """` (critical at 6%)`, or nothing where the rule has no threshold."""
        if self.facts.threshold is None:
            return ""
        return f" ({self.severity} at {quantity(self.facts.threshold, self.facts.unit)})"

    @property
    def since(self) -> str | None:
        start = self.facts.active_at or self.facts.fired_at
        return f"since {moment(start, self.now)} UTC" if start else None


@dataclass(frozen=True, slots=True)
class Phrases:
    """`headline` says what is wrong, `name` what it is about (for a resolved message), `details` the figures."""

    headline: Callable[[Case], str]
    name: Callable[[Case], str]
    details: Callable[[Case], list[str | None]]


def account_of(key: AlertKey) -> str:
    return "portfolio" if key.account == PORTFOLIO else foreign(key.account, 40)


def what_to_do(case: Case) -> str | None:
    """`Do: add 1,240 USDT, or cut 0.42 BTC (35%)`; both are rounded up, since less would not do."""
    options = [option for option in (_add(case), _cut(case)) if option]
    if options:
        return f"Do: {', or '.join(options)}"
    advice = case.words("advice", 200)
    return f"Do: {advice}" if advice else None


def _add(case: Case) -> str | None:
    collateral = case.number("add_collateral")
    if collateral is None or collateral <= 0:
        return None
    # Collateral in the wallet does nothing for an isolated position.
    where = " to its isolated margin" if case.is_isolated else ""
    return f"add {amount_to_do(collateral)} {case.currency}".rstrip() + where


def _cut(case: Case) -> str | None:
    size, share = case.number("cut_size"), case.number("cut_share")
    share_text = f"{math.ceil(min(share, 1.0) * 100 - 1e-9)}%" if share is not None and share > 0 else None
    if size is not None and size > 0:
        sized = f"cut {amount_to_do(size)} {case.words('base', 20) or ''}".rstrip()
        return f"{sized} ({share_text})" if share_text else sized
    if share_text is None:
        return None
    count = case.number("cut_positions")
    whole = f"all {count:.0f} positions" if count is not None and count > 1 else "positions"
    besides = case.words("cut_besides", 80)
    return f"cut {whole} by {share_text}" + (f", those of {besides}" if besides else "")


def joined(*parts: str | None) -> str | None:
    return SEPARATOR.join(part for part in parts if part) or None


def in_moves(value: float | None, move: float | None, unit: str) -> str:
    """`, 1.3 daily sigmas`: a distance in the measure of what a day moves; nothing where that is not known."""
    if value is None or move is None or move <= 0:
        return ""
    return f", {value / move:,.1f} {unit}"


def labelled(label: str, text: str | None) -> str | None:
    return f"{label} {text}" if text else None


def named(text: str) -> Callable[[Case], str]:
    return lambda case: f"{case.subject} {text}".strip()


def once(recovered: str, otherwise: str) -> Callable[[Case], str]:
    """An account taken out of the configuration has not been read again."""
    return lambda case: recovered if case.facts.resolution in (None, Resolution.RECOVERED) else otherwise


def any_headline(case: Case) -> str:
    kind = foreign(case.facts.rule_kind.replace("_", " "), 40)
    value = quantity(case.facts.value, case.facts.unit) if case.facts.value is not None else ""
    return " ".join(part for part in (case.subject, kind, value) if part)


def any_details(case: Case) -> list[str | None]:
    value = case.facts.value
    figure = f"{quantity(value, case.facts.unit)}{case.threshold}" if value is not None else None
    return [joined(figure, case.since), case.words("subjects", 200), case.words("why", 200)]


def lasted(facts: AlertFacts) -> str | None:
    if facts.fired_at is None or facts.resolved_at is None:
        return None
    return between(facts.fired_at, facts.resolved_at)
