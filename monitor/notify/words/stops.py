"""What would close a position before the venue does."""

from monitor.domain.reading import Severity
from monitor.notify.text import amount, amount_to_do, percent, price, price_within, quantity
from monitor.notify.words.case import Case, joined, labelled
from monitor.rules.quantities import ANY_SHARE


def headline(case: Case) -> str:
    value = case.facts.value
    if value is None:
        return f"{case.subject} stops unknown".strip()
    if value == 0 and _lacks_take_profit(case):
        return f"{case.subject} has no take-profit".strip()
    if value == 0 and case.number("closest_stop_atr") is not None:
        return f"{case.subject} has a stop within the noise".strip()
    if value < 1:
        return f"{case.subject} has no stop for {percent(value)} of it".strip()
    return f"{case.subject} has no stop{' that would fire' if _has_useless_stops(case) else ''}".strip()


def details(case: Case) -> list[str | None]:
    mark, liquidation, size = case.number("mark_price"), case.number("liquidation_price"), case.number("size")
    seen, closest = case.time("orders_at"), case.number("closest_stop_atr")
    return [
        f"Not covered by stops {quantity(case.facts.value, case.facts.unit)}{_threshold(case)}",
        case.words("problem", 200),
        f"a stop is {closest:.2g} ATR from the entry, which an ordinary day moves either way" if closest else None,
        "no take-profit rests at the venue" if _lacks_take_profit(case) else None,
        joined(
            f"{amount(size)} {case.words('base', 20) or ''}".rstrip() if size is not None else None,
            labelled("mark", price(mark) if mark is not None else None),
            labelled("liquidation", price(liquidation) if liquidation is not None else None),
        ),
        joined(f"orders as of {seen} UTC" if seen else None, case.since),
        case.words("why", 200),
        _what_to_place(case),
    ]


def _threshold(case: Case) -> str:
    threshold = case.facts.threshold
    if threshold is None or threshold > ANY_SHARE:
        return case.threshold
    return f" (any share is {'critical' if case.severity is Severity.CRITICAL else f'a {case.severity}'})"


def _lacks_take_profit(case: Case) -> bool:
    return case.facts.inputs.get("needs_take_profit") is True and case.number("take_profits") == 0


def _has_useless_stops(case: Case) -> bool:
    return (case.words("problem") or "").startswith("a stop ")


def _what_to_place(case: Case) -> str | None:
    """`Do: place a reduce-only stop for 0.5 BTC above 88,400, where liquidation is (11.6% below the mark)`."""
    if case.facts.value == 0 and _lacks_take_profit(case):
        return f"Do: place a take-profit {'above' if case.facts.inputs.get('side') == 'long' else 'below'} the mark"
    noise = case.number("noise_until_price")
    if case.facts.value == 0 and noise is not None:
        beyond = "below" if case.facts.inputs.get("side") == "long" else "above"
        return f"Do: move the stop {beyond} {price(noise)}, and hold less where that risks too much"
    size, mark, within = case.number("stop_size"), case.number("mark_price"), case.number("stop_within")
    if size is None or mark is None:
        return None
    what = f"Do: place a reduce-only stop for {amount_to_do(size)} {case.words('stop_unit', 20) or ''}".rstrip()
    inwards, outwards = ("above", "below") if case.facts.inputs.get("side") == "long" else ("below", "above")
    if within is None or mark <= 0:
        return f"{what} {outwards} the mark"
    distance = percent(abs(mark - within) / mark)
    return f"{what} {inwards} {price_within(within, mark)}, where liquidation is ({distance} {outwards} the mark)"
