"""What is said of each kind of alert: its headline, its figures, and what to do. Any figure may be missing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.domain.alert import Resolution
from monitor.domain.notification import AlertFacts
from monitor.domain.reading import AlertKey, Scope, Severity
from monitor.notify.text import amount, amount_to_do, between, duration, foreign, moment, percent, price, quantity
from monitor.risk.holdings import disagrees

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

    def time(self, name: str) -> str | None:
        value = self.facts.inputs.get(name)
        if not isinstance(value, str):
            return None
        try:
            at = datetime.fromisoformat(value)
            return moment(at if at.tzinfo else at.replace(tzinfo=UTC), self.now)
        except (ValueError, OverflowError):  # OverflowError: beyond the calendar in UTC
            return None

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


def phrases_of(case: Case) -> Phrases:
    return _KINDS.get(case.facts.rule_kind, _ANY_KIND)


def account_of(key: AlertKey) -> str:
    return "portfolio" if key.account == "*" else foreign(key.account, 40)


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
    return f"cut {whole} by {share_text}"


def _joined(*parts: str | None) -> str | None:
    return SEPARATOR.join(part for part in parts if part) or None


def _labelled(label: str, text: str | None) -> str | None:
    return f"{label} {text}" if text else None


def _distance_headline(case: Case) -> str:
    value = case.facts.value
    if value is None:
        return f"{case.subject} distance to liquidation unknown"
    if value <= 0:
        return f"{case.subject} is at its liquidation price"
    return f"{case.subject} {percent(value)} from liquidation"


def _distance_details(case: Case) -> list[str | None]:
    mark, liquidation = case.number("mark_price"), case.number("liquidation_price")
    own = case.number("own_liquidation_price")
    origin = {"venue": " (venue)", "own_estimate": " (our estimate)"}.get(
        str(case.facts.inputs.get("liquidation_price_origin")), ""
    )
    apart = None
    if mark is not None and liquidation is not None and own is not None and origin == " (venue)":
        apart = f"our own estimate is {price(own)}" if disagrees(mark, liquidation, own) else None
    leverage = case.number("leverage")
    return [
        f"Distance to liquidation {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        _joined(
            _labelled("mark", price(mark) if mark is not None else None),
            f"liquidation {price(liquidation)}{origin}" if liquidation is not None else None,
            case.since,
        ),
        apart,
        _joined(_notional(case), f"leverage {amount(leverage)}x" if leverage is not None else None),
        case.words("why", 200),
    ]


def _notional(case: Case) -> str | None:
    notional = case.number("notional")
    return f"notional {amount(notional)} {case.words('settle', 20) or ''}".rstrip() if notional is not None else None


def _margin_headline(case: Case) -> str:
    if case.facts.value is not None:
        return f"{case.subject} margin ratio {percent(case.facts.value)}"
    equity = case.number("equity")
    if equity is not None and equity <= 0:
        return f"{case.subject} equity is gone, liquidation is due"
    return f"{case.subject} margin ratio unknown"


def _margin_details(case: Case) -> list[str | None]:
    maintenance, equity = case.number("maintenance_margin"), case.number("equity")
    venue_ratio = case.number("venue_margin_ratio")
    return [
        f"Margin ratio {quantity(case.facts.value, case.facts.unit)}{case.threshold}, liquidation at 100%",
        _joined(
            f"maintenance {amount(maintenance)} {case.currency}".rstrip() if maintenance is not None else None,
            f"equity {amount(equity)} {case.currency}".rstrip() if equity is not None else None,
            case.since,
        ),
        f"the venue's own figure: {percent(venue_ratio)}" if venue_ratio is not None else None,
        case.words("why", 200),
    ]


def _funding_headline(case: Case) -> str:
    if case.facts.value is None:
        return f"{case.currency} funding has to be paid and no equity is left".strip()
    return f"{case.currency} funding costs {percent(case.facts.value)} of equity per day".strip()


def _funding_details(case: Case) -> list[str | None]:
    payment, annualised = case.number("next_payment"), case.number("annualised")
    interval_h, worst = case.number("interval_h"), case.words("worst_symbol")
    due = case.time("next_payment_at")
    if payment is not None:
        verb = "pay" if payment >= 0 else "receive"
        next_text = f"next: {verb} {amount(abs(payment))} {case.currency}".rstrip() + (f" at {due} UTC" if due else "")
    else:
        next_text = None
    every = f" every {duration(interval_h * 3600)}" if interval_h is not None and worst else ""
    return [
        f"Funding {quantity(case.facts.value, case.facts.unit)} of equity{case.threshold}",
        _joined(next_text, f"{percent(annualised, 0)} per year" if annualised is not None else None, case.since),
        f"largest: {worst}{every}" if worst else None,
        case.words("why", 200),
    ]


def _blind_headline(case: Case) -> str:
    value = case.facts.value
    kind = case.words("failure_kind", 30)
    age = f"no good read for {duration(value)}" if value is not None else "no good read"
    return f"{age} ({kind})" if kind else age


def _blind_details(case: Case) -> list[str | None]:
    positions = case.number("positions")
    last = case.time("last_read_at")
    held = None
    if positions is not None:
        held = f"{positions:.0f} position{'' if positions == 1 else 's'} open then" if positions else "no position then"
    return [
        _joined(f"Last good read {last} UTC" if last else "Never read since the start", held),
        case.words("failure_detail", 200),
        None if case.words("advice") else "Do: look at this account at the venue yourself until it is read again",
    ]


def _unassessed_headline(case: Case) -> str:
    count = case.facts.value
    return f"{amount(count)} figure{'' if count == 1 else 's'} cannot be judged" if count else "cannot be judged"


def _key_headline(case: Case) -> str:
    may = case.words("may")
    return f"its key may {may}" if may else "its key expires soon"


def _key_details(case: Case) -> list[str | None]:
    expires = case.time("expires_at")
    return [
        "perpwatch needs to read, and nothing else.",
        "It works from any address." if case.facts.inputs.get("any_address") is True else None,
        f"It expires {expires} UTC." if expires else None,
    ]


def _any_headline(case: Case) -> str:
    kind = foreign(case.facts.rule_kind.replace("_", " "), 40)
    value = quantity(case.facts.value, case.facts.unit) if case.facts.value is not None else ""
    return " ".join(part for part in (case.subject, kind, value) if part)


def _any_details(case: Case) -> list[str | None]:
    value = case.facts.value
    figure = f"{quantity(value, case.facts.unit)}{case.threshold}" if value is not None else None
    return [_joined(figure, case.since), case.words("subjects", 200), case.words("why", 200)]


def _named(text: str) -> Callable[[Case], str]:
    return lambda case: f"{case.subject} {text}".strip()


def _once(recovered: str, otherwise: str) -> Callable[[Case], str]:
    """An account taken out of the configuration has not been read again."""
    return lambda case: recovered if case.facts.resolution in (None, Resolution.RECOVERED) else otherwise


_ANY_KIND = Phrases(
    _any_headline,
    lambda case: f"{case.subject} {foreign(case.facts.rule_kind.replace('_', ' '), 40)}".strip(),
    _any_details,
)
_KINDS = {
    "liquidation_distance": Phrases(_distance_headline, _named("liquidation distance"), _distance_details),
    "margin_ratio": Phrases(_margin_headline, _named("margin ratio"), _margin_details),
    "funding_exposure": Phrases(_funding_headline, _named("funding"), _funding_details),
    "blind": Phrases(_blind_headline, _once("is read again", "no good read"), _blind_details),
    "key_permissions": Phrases(
        _key_headline, _once("its key is as it should be", "its key was not looked at again"), _key_details
    ),
    "unassessed": Phrases(_unassessed_headline, _once("judged in full again", "cannot be judged"), _any_details),
}


def lasted(facts: AlertFacts) -> str | None:
    if facts.fired_at is None or facts.resolved_at is None:
        return None
    return between(facts.fired_at, facts.resolved_at)
