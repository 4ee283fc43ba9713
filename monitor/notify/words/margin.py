"""Distance to liquidation and margin ratio."""

from monitor.notify.text import amount, percent, price, quantity
from monitor.notify.words.case import Case, in_moves, joined, labelled
from monitor.risk.holdings import disagrees

# A normal walk makes less of far levels than markets do: a small figure would be a false calm.
LIKELY = 0.01


def distance_headline(case: Case) -> str:
    value = case.facts.value
    if value is None:
        return f"{case.subject} distance to liquidation unknown"
    if value <= 0:
        return f"{case.subject} is at its liquidation price"
    return f"{case.subject} {percent(value)} from liquidation"


def distance_details(case: Case) -> list[str | None]:
    mark, liquidation = case.number("mark_price"), case.number("liquidation_price")
    own = case.number("own_liquidation_price")
    origin = {"venue": " (venue)", "own_estimate": " (our estimate)"}.get(
        str(case.facts.inputs.get("liquidation_price_origin")), ""
    )
    apart = None
    if mark is not None and liquidation is not None and own is not None and origin == " (venue)":
        apart = f"our own estimate is {price(own)}" if disagrees(mark, liquidation, own) else None
    leverage, chance, value = case.number("leverage"), case.number("touch_probability"), case.facts.value
    sigmas = in_moves(value, case.number("daily_sigma"), "daily sigmas")
    return [
        f"Distance to liquidation {quantity(value, case.facts.unit)}{sigmas}{case.threshold}",
        joined(
            labelled("mark", price(mark) if mark is not None else None),
            f"liquidation {price(liquidation)}{origin}" if liquidation is not None else None,
            case.since,
        ),
        f"reached within a day with a chance of {percent(chance, 0)} or more" if chance and chance >= LIKELY else None,
        apart,
        joined(_notional(case), f"leverage {amount(leverage)}x" if leverage is not None else None),
        case.words("why", 200),
    ]


def _notional(case: Case) -> str | None:
    notional = case.number("notional")
    return f"notional {amount(notional)} {case.words('settle', 20) or ''}".rstrip() if notional is not None else None


def ratio_headline(case: Case) -> str:
    if case.facts.value is not None:
        return f"{case.subject} margin ratio {percent(case.facts.value)}"
    equity = case.number("equity")
    if equity is not None and equity <= 0:
        return f"{case.subject} equity is gone, liquidation is due"
    return f"{case.subject} margin ratio unknown"


def ratio_details(case: Case) -> list[str | None]:
    maintenance, equity = case.number("maintenance_margin"), case.number("equity")
    venue_ratio, ratio = case.number("venue_margin_ratio"), case.measured("Margin ratio")
    return [
        f"{ratio}, liquidation at 100%" if ratio else None,
        joined(
            f"maintenance {amount(maintenance)} {case.currency}".rstrip() if maintenance is not None else None,
            f"equity {amount(equity)} {case.currency}".rstrip() if equity is not None else None,
            case.since,
        ),
        f"the venue's own figure: {percent(venue_ratio)}" if venue_ratio is not None else None,
        case.words("why", 200),
    ]
