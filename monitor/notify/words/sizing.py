"""How much is held for the money there is."""

from monitor.notify.text import amount, percent, price, quantity
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


def size_headline(case: Case) -> str:
    if case.facts.value is None:
        return f"{case.subject} is open and no equity is left"
    return f"{case.subject} stakes {percent(case.facts.value)} of the equity"


def size_details(case: Case) -> list[str | None]:
    equity = case.number("equity")
    return [
        f"Position size {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        joined(_initial_margin(case), f"equity {amount(equity)} USD" if equity is not None else None, case.since),
        case.words("why", 200),
    ]


def _initial_margin(case: Case) -> str | None:
    margin, basis = case.number("initial_margin"), case.words("initial_margin_basis")
    if margin is None:
        return None
    return f"initial margin {amount(margin)} {case.currency}".rstrip() + (f" (our estimate: {basis})" if basis else "")


def concentration_headline(case: Case) -> str:
    return f"{case.words('underlying', 20) or 'one underlying'} is {percent(case.facts.value)} of what is held"


def concentration_details(case: Case) -> list[str | None]:
    largest, gross, count = case.number("largest_notional"), case.number("gross_notional"), case.number("underlyings")
    held = f"{amount(largest)} of {amount(gross)} {case.currency}".rstrip() if largest and gross else None
    return [
        f"Concentration {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        joined(held, f"{count:.0f} underlyings" if count else None, case.since),
        case.words("why", 200),
    ]


def loss_headline(case: Case) -> str:
    return f"{case.subject} has lost {percent(case.facts.value)} of its margin"


def loss_details(case: Case) -> list[str | None]:
    loss, entry, mark = case.number("loss"), case.number("entry_price"), case.number("mark_price")
    return [
        f"Loss {quantity(case.facts.value, case.facts.unit)} of the initial margin{case.threshold}",
        joined(
            f"loss {amount(loss)} {case.currency}".rstrip() if loss is not None else None,
            _initial_margin(case),
            case.since,
        ),
        joined(
            f"entry {price(entry)}" if entry is not None else None, f"mark {price(mark)}" if mark is not None else None
        ),
    ]
