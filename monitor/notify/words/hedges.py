"""What offsets each other, and does not any more."""

from monitor.notify.text import amount, amount_to_do, percent, quantity
from monitor.notify.words.case import Case, joined, labelled


def headline(case: Case) -> str:
    lost = case.words("lost_side", 10)
    if lost is not None:
        return f"{case.subject} hedge lost its {lost} side"
    return f"{case.subject} hedge is {percent(case.facts.value)} off"


def details(case: Case) -> list[str | None]:
    base = case.words("base", 20) or ""
    return [
        f"Missing {quantity(case.facts.value, case.facts.unit)} of the hedge{case.threshold}",
        labelled("gone:", case.words("gone", 200)),
        joined(_coins(case, "long", base), _coins(case, "short", base), _net(case, base)),
        joined(labelled("now:", case.words("legs", 160)), case.since),
        case.words("why", 200),
        _what_to_do(case, base),
    ]


def _coins(case: Case, side: str, base: str) -> str | None:
    coins = case.number(side)
    return None if coins is None else f"{side} {amount(coins)} {base}".rstrip()


def _net(case: Case, base: str) -> str | None:
    net, dollars = case.number("net"), case.number("net_notional")
    if net is None:
        return None
    return f"net {amount(net)} {base}".rstrip() + (f" ({amount(dollars)} USD)" if dollars is not None else "")


def _what_to_do(case: Case, base: str) -> str | None:
    """`Do: sell 0.42 BTC to restore the short side, or close 0.42 BTC of the long side`."""
    restore, cut = case.number("restore_size"), case.number("cut_other_size")
    if not restore or cut is None:
        return None
    action, side, other = case.words("action", 10), case.words("restored_side", 10), case.words("cut_side", 10)
    return (
        f"Do: {action} {amount_to_do(restore)} {base} to restore the {side} side, "
        f"or close {amount_to_do(cut)} {base} of the {other} side"
    )
