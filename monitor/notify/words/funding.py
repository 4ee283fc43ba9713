"""What holding costs."""

from datetime import timedelta

from monitor.notify.text import amount, duration, percent
from monitor.notify.words.case import Case, joined

_DAY_S = 86_400
TOLD_DAYS = 365
TOLD_IN_DAYS = 1.5


def headline(case: Case) -> str:
    if case.facts.value is None:
        return f"{case.currency} funding has to be paid and no equity is left".strip()
    return f"{case.currency} funding costs {percent(case.facts.value)} of equity per day".strip()


def details(case: Case) -> list[str | None]:
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
        case.measured("Funding", " of equity"),
        joined(next_text, f"{percent(annualised, 0)} per year" if annualised is not None else None, case.since),
        joined(f"largest: {worst}{every}" if worst else None, _lasts(case)),
        _paid(case),
        case.words("why", 200),
    ]


def _lasts(case: Case) -> str | None:
    """Where that is near enough to mean something."""
    days = case.number("days_left")
    return f"eats the margin buffer in {duration(days * _DAY_S)}" if days is not None and days <= TOLD_DAYS else None


def _paid(case: Case) -> str | None:
    paid, share, since = case.number("paid"), case.number("paid_share"), case.instant("paid_since")
    if not paid or since is None:
        return None
    verb = "paid" if paid > 0 else "received"
    of_equity = f", {percent(abs(share))} of equity" if share is not None else ""
    days = (case.now - since) / timedelta(days=1)
    span = f"{days:.0f} days" if days >= TOLD_IN_DAYS else duration(days * _DAY_S)
    return f"{verb} in the last {span}: {amount(abs(paid))} {case.currency}".rstrip() + of_equity
