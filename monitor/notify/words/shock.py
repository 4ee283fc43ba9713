"""What a move of the whole market does to a margin pool."""

from monitor.notify.text import amount, percent, quantity
from monitor.notify.words.case import Case, joined, labelled


def headline(case: Case) -> str:
    move = _nearest(case)
    if move is None:
        return f"{case.subject} pool and a common move of all markets"
    return f"{case.subject} pool gone at BTC {signed(move)}" if move else f"{case.subject} pool is at its liquidation"


def details(case: Case) -> list[str | None]:
    losers = [loser for loser in (_loser(case, rank) for rank in (1, 2, 3)) if loser]
    fall, rise = case.number("btc_fall"), case.number("btc_rise")
    both = None if fall is None or rise is None else f"gone at BTC {signed(fall)} or {signed(rise)}"
    still = case.facts.inputs.get("holds_coins_still") is True
    return [
        f"BTC moves {quantity(case.facts.value, case.facts.unit)} to liquidation{case.threshold}",
        joined("all coins moving with it, by beta", both, case.since),
        labelled("loses most there:", ", ".join(losers)),
        "the worth of the coins in the pool is held still: which they are is not told" if still else None,
        case.words("why", 200),
    ]


def signed(move: float) -> str:
    return f"+{percent(move)}" if move > 0 else percent(move)


def _nearest(case: Case) -> float | None:
    moves = [move for move in (case.number("btc_fall"), case.number("btc_rise")) if move is not None]
    return min(moves, key=abs, default=None)


def _loser(case: Case, rank: int) -> str | None:
    subject, loss = case.words(f"loser_{rank}"), case.number(f"loss_{rank}")
    return f"{subject} {amount(-loss)} {case.currency}".rstrip() if subject and loss is not None else None
