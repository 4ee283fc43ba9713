"""How much is held for the money there is."""

from monitor.notify.text import amount, quantity
from monitor.notify.words.case import Case, joined


def leverage_headline(case: Case) -> str:
    if case.facts.value is None:
        return f"{case.subject} positions are open and no equity is left".strip()
    return f"{case.subject} leverage {quantity(case.facts.value, case.facts.unit)}".strip()


def leverage_details(case: Case) -> list[str | None]:
    notional, equity = case.number("notional"), case.number("equity")
    return [
        f"Leverage {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        joined(
            f"notional {amount(notional)} USD" if notional is not None else None,
            f"equity {amount(equity)} USD" if equity is not None else None,
            case.since,
        ),
        case.words("why", 200),
    ]
