"""What a move of the whole market does to a margin pool."""

from monitor.notify.text import amount, quantity, signed
from monitor.notify.words.case import Case, in_moves, joined, labelled
from monitor.risk.shock import ALT_BETA


def headline(case: Case) -> str:
    move = _nearest(case)
    if move is None:
        return f"{case.subject} pool in a common move"
    return f"{case.subject} pool gone at BTC {signed(move)}" if move else f"{case.subject} pool is at its liquidation"


def details(case: Case) -> list[str | None]:
    losers = [loser for loser in (_loser(case, rank) for rank in (1, 2, 3)) if loser]
    fall, rise = case.number("btc_fall"), case.number("btc_rise")
    sigmas = in_moves(case.facts.value, case.number("daily_sigma"), "of its daily sigmas")
    return [
        f"BTC is {quantity(case.facts.value, case.facts.unit)} from liquidating it{sigmas}{case.threshold}",
        joined(f"gone at BTC {signed(fall)} or {signed(rise)}" if fall and rise else None, case.since),
        labelled("loses most there:", ", ".join(losers)),
        f"other coins counted to lose at least {ALT_BETA:g} times what BTC moves, or to gain at most as much"
        if losers
        else None,
        "the worth of the coins in the pool held still" if case.facts.inputs.get("holds_coins_still") is True else None,
        case.words("why", 200),
    ]


def _nearest(case: Case) -> float | None:
    moves = [move for move in (case.number("btc_fall"), case.number("btc_rise")) if move is not None]
    return min(moves, key=abs, default=None)


def _loser(case: Case, rank: int) -> str | None:
    subject, loss = case.words(f"loser_{rank}"), case.number(f"loss_{rank}")
    return f"{subject} {amount(-loss)} {case.currency}".rstrip() if subject and loss is not None else None
