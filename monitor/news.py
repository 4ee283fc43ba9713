"""News of an account that no rule judges: what the venue took, a mode that changed, a liquidation price in doubt.

Each is a notice of its own. What was told stands in the account's holdings, in the transaction that tells it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from monitor.domain.account import AccountSnapshot, End, EndKind
from monitor.domain.holdings import AccountEvent, EventKind
from monitor.domain.notification import Notification, notices
from monitor.domain.reading import AlertKey, Scope, Severity
from monitor.notify.text import TO_DO, amount, moment, price
from monitor.plan import AccountPlan
from monitor.risk.holdings import by_position, size_and_price

ACCOUNT_MODE, DISPUTED, FUNDING_INTERVAL = "account_mode", "liquidation_price", "funding_interval"
DAY_S = 86_400
_LOOK = {
    EndKind.LIQUIDATED: f"{TO_DO}look at this account at the venue now",
    EndKind.DELEVERAGED: f"{TO_DO}what this position hedged is open now: look at it at once",
}


def news_notices(
    plan: AccountPlan,
    snapshot: AccountSnapshot,
    taken: Iterable[End],
    events: Iterable[AccountEvent],
    now: datetime,
) -> Iterator[Notification]:
    """What is worth a message of this read; `taken` are those of its ends that nobody was told of."""
    yield from _of_ends(plan, snapshot, taken, now)
    for event in events:
        if event.kind is EventKind.ACCOUNT_MODE:
            yield from _of_mode(plan, event, now)
        elif event.kind is EventKind.FUNDING_INTERVAL:
            yield from _of_interval(plan, event, now)
        elif event.kind is EventKind.DISPUTED:
            yield from _of_dispute(plan, event, now)


def _of_ends(
    plan: AccountPlan, snapshot: AccountSnapshot, taken: Iterable[End], now: datetime
) -> Iterator[Notification]:
    held = {position.subject: position.contracts for position in snapshot.positions}
    for (subject, kind), ends in by_position(taken).items():
        rest = held.get(subject)
        lines = [
            taken_words(ends, now),
            f"open now: {_contracts(rest)}" if rest else "nothing of it is open now",
            _LOOK[kind],
        ]
        yield from notices(
            plan.targets[Severity.CRITICAL],
            AlertKey(str(kind), plan.name, Scope.POSITION, subject),
            # Of each read that brings any: what two reads tell may be of one second.
            round(now.timestamp() * 1000),
            f"{str(kind).upper()} {plan.name}: {subject}",
            lines,
            Severity.CRITICAL,
            now,
        )


def taken_words(ends: Sequence[End], now: datetime) -> str:
    """`12 contracts at 101,234 by the venue's records, 21:13 UTC`; the price is the mean over the orders."""
    total, mean = size_and_price(ends)
    parts = [_contracts(total) if total else None, f"at {price(mean)}" if mean else None]
    what = " ".join(part for part in parts if part)
    return f"{what} by the venue's records, {moment(ends[-1].at, now)} UTC".lstrip()


def _contracts(count: float) -> str:
    return f"{amount(count)} contract{'' if count == 1 else 's'}"


def _of_mode(plan: AccountPlan, event: AccountEvent, now: datetime) -> tuple[Notification, ...]:
    return notices(
        plan.targets[Severity.WARNING],
        AlertKey(ACCOUNT_MODE, plan.name, Scope.ACCOUNT, plan.name),
        int(event.at.timestamp()),
        f"{plan.name}: its mode at {plan.venue} changed",
        [f"now {event.detail}", f"{TO_DO}check leverage, margin and liquidation prices: pools may be others now"],
        Severity.WARNING,
        now,
    )


def _of_interval(plan: AccountPlan, event: AccountEvent, now: datetime) -> tuple[Notification, ...]:
    """A venue shortens the interval where a rate is at its bound: then it is paid as high, and oftener. What that costs
    is an alert of funding_exposure."""
    intervals, _, by_day = event.detail.partition(": ")
    return notices(
        plan.targets[Severity.INFO],
        AlertKey(FUNDING_INTERVAL, plan.name, Scope.POSITION, event.subject),
        int(event.at.timestamp()),
        f"{plan.name}: funding of {event.subject} is now due {intervals}",
        [f"{by_day}, paid or received"],
        Severity.INFO,
        now,
    )


def _of_dispute(plan: AccountPlan, event: AccountEvent, now: datetime) -> tuple[Notification, ...]:
    return notices(
        plan.targets[Severity.INFO],
        AlertKey(DISPUTED, plan.name, Scope.POSITION, event.subject),
        # A position that is opened and closed all day is no news each time.
        int(event.at.timestamp()) // DAY_S,
        f"{plan.name}: {event.subject} may be liquidated elsewhere than the venue says",
        [event.detail, "perpwatch judges by the venue's price; this is told once a day at most"],
        Severity.INFO,
        now,
    )
