"""What leaving a position would cost."""

from monitor.notify.text import amount, duration, percent, price
from monitor.notify.words.case import Case, joined, labelled


def headline(case: Case) -> str:
    value = case.facts.value
    if value is not None:
        least = "at least " if _is_cut_short(case) else ""
        return f"{case.subject} exit costs {least}{percent(value)} of the margin buffer"
    if _told(case) == 0:
        return f"{case.subject} cannot be closed: its order book holds no {_offers(case)}"
    return f"{case.subject} has no margin buffer left to be closed with"


def details(case: Case) -> list[str | None]:
    buffer, last, mark = case.number("margin_buffer"), case.number("last_price"), case.number("mark_price")
    seen = case.time("book_at")
    return [
        case.measured("Exit at once", " of the margin buffer"),
        joined(_slippage(case), labelled("buffer", _money(case, buffer)), case.since),
        joined(
            labelled("down to" if case.words("side") == "long" else "up to", price(last) if last is not None else None),
            labelled("mark", price(mark) if mark is not None else None),
            f"book as of {seen} UTC" if seen else None,
        ),
        _cut_short(case),
        _slices(case),
    ]


def _told(case: Case) -> float | None:
    return case.number("told_share")


def _is_cut_short(case: Case) -> bool:
    told = _told(case)
    return told is not None and told < 1


def _offers(case: Case) -> str:
    return "bids" if case.words("side") == "long" else "asks"


def _money(case: Case, value: float | None) -> str | None:
    return f"{amount(value)} {case.currency}".rstrip() if value is not None else None


def _slippage(case: Case) -> str | None:
    slippage, share = case.number("slippage"), case.number("slippage_share")
    if slippage is None or _told(case) == 0:
        return None
    of_notional = f" ({percent(share)} of the notional)" if share is not None else ""
    return f"slippage {_money(case, slippage)}{of_notional}"


def _cut_short(case: Case) -> str | None:
    told, about = _told(case), case.number("slippage_about")
    if told is None or not 0 < told < 1:
        return None
    text = f"the book as told ends after {percent(told)} of the position, the rest counted at its last price"
    return text + (f"; about {_money(case, about)} where it goes on as densely" if about is not None else "")


def _slices(case: Case) -> str | None:
    count, minutes, size = case.number("slices"), case.number("slices_min"), case.number("size")
    if count is None or minutes is None or size is None or count <= 1:
        return None
    one = f"{amount(size / count)} {case.words('base', 20) or ''}".rstrip()
    return f"a careful exit: {count:.0f} slices of {one}, a minute apart, {duration(minutes * 60)}"
