"""What holding costs."""

from monitor.notify.text import amount, duration, percent, quantity
from monitor.notify.words.case import Case, joined


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
        f"Funding {quantity(case.facts.value, case.facts.unit)} of equity{case.threshold}",
        joined(next_text, f"{percent(annualised, 0)} per year" if annualised is not None else None, case.since),
        f"largest: {worst}{every}" if worst else None,
        case.words("why", 200),
    ]
