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
        labelled("betas:", case.words("betas", 160)),
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
    """`Do: sell 0.42 BTC to restore the short side, or close 0.42 BTC of the long side`; of a basket a share of it."""
    restore, cut, share = (case.number(name) for name in ("restore_size", "cut_other_size", "cut_other_share"))
    action, side, other = case.words("action", 10), case.words("restored_side", 10), case.words("cut_side", 10)
    closed = percent(share) if share is not None else None if cut is None else f"{amount_to_do(cut)} {base}"
    if closed is None:
        return None
    close = f"close {closed} of the {other} side"
    if not restore:
        return f"Do: {close}" if share is not None else None
    coin = case.words("restore_coin", 20) or base
    return f"Do: {action} {amount_to_do(restore)} {coin} to restore the {side} side, or {close}"
