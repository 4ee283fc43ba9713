"""What the venue may do to a position by its own rules: its queue for auto-deleveraging, its margin brackets."""

from monitor.notify.text import amount, percent, price, quantity
from monitor.notify.words.case import Case, joined, labelled

_FIRST = 5


def adl_headline(case: Case) -> str:
    first = ", taken first" if case.facts.value == _FIRST else ""
    return f"{case.subject} ADL rank {quantity(case.facts.value, case.facts.unit)}{first}"


def adl_details(case: Case) -> list[str | None]:
    other, pnl, leverage = case.words("other_side"), case.number("unrealized_pnl"), case.number("leverage")
    return [
        f"Auto-deleveraging rank {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        joined(
            f"PnL {amount(pnl)} {case.currency}".rstrip() if pnl is not None else None,
            f"leverage {amount(leverage)}x" if leverage is not None else None,
            case.since,
        ),
        f"{other} would be left without its other side" if other else None,
    ]


def cliff_headline(case: Case) -> str:
    return f"{case.subject} {percent(case.facts.value)} below a margin bracket's edge"


def cliff_details(case: Case) -> list[str | None]:
    notional, edge, edge_price = case.number("notional"), case.number("edge"), case.number("edge_price")
    return [
        f"Room to the bracket's edge {quantity(case.facts.value, case.facts.unit)} of the notional{case.threshold}",
        joined(
            f"notional {amount(notional)}" if notional is not None else None,
            f"edge {amount(edge)} {case.currency}".rstrip() if edge is not None else None,
            labelled("reached at a mark of", price(edge_price) if edge_price is not None else None),
            case.since,
        ),
        _cost(case),
    ]


def _cost(case: Case) -> str | None:
    """What crossing costs at once, and of every further bit."""
    rate, next_rate = case.number("rate"), case.number("next_rate")
    at_edge, beyond = case.number("maintenance_at_edge"), case.number("maintenance_beyond")
    if rate is None or next_rate is None or at_edge is None or beyond is None:
        return None
    rates = f"{percent(rate)} to {percent(next_rate)}"
    # By the venue's amounts maintenance goes on where it was; without them the rate holds for the whole position.
    if beyond - at_edge <= 1e-6 * at_edge:
        return f"beyond it maintenance rises from {rates} of what is added"
    rise = f"from {amount(at_edge)} to {amount(beyond)} {case.currency}".rstrip()
    return f"crossing it takes maintenance {rise} at once ({rates})"
