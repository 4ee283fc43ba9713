"""Whether what should be a dollar still is one."""

from monitor.notify.text import amount, percent, price, quantity
from monitor.notify.words.case import Case, joined, labelled


def headline(case: Case) -> str:
    told = case.number("coin_price")
    return f"{case.subject} at {price(told)} USD" if told is not None else f"{case.subject} off its dollar"


def details(case: Case) -> list[str | None]:
    told, held, falling = case.number("coin_price"), case.number("amount"), case.number("falling_share")
    haircut, coin = case.number("haircut_share"), case.words("coin", 20) or ""
    missing = abs(held) * abs(told - 1) if held is not None and told is not None else None
    return [
        f"Off its dollar by {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        joined(
            f"{'owed' if held < 0 else 'held'} {amount(abs(held))} {coin}".rstrip() if held is not None else None,
            f"{amount(missing)} USD {'less' if told is not None and told < 1 else 'more'} than at par"
            if missing
            else None,
            labelled("haircut", percent(haircut) if haircut else None),
            case.since,
        ),
        f"price by {case.words('origin')}" if case.words("origin") else None,
        f"{percent(falling)} of the equity is in coins that fall with the positions" if falling else None,
    ]
