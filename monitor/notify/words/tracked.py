"""What was gained and given back: trailing stop, take-profit levels, drawdown."""

from monitor.notify.text import amount, percent, price, quantity
from monitor.notify.words.case import Case, in_moves, joined, labelled

_OF_WINDOW = {"day": "of the day", "week": "of the week", "all": "of all time"}


def stop_headline(case: Case) -> str:
    value = case.facts.value
    return f"{case.subject} {percent(value)} back from its best mark" if value is not None else stop_name(case)


def stop_name(case: Case) -> str:
    return f"{case.subject} trailing stop"


def stop_details(case: Case) -> list[str | None]:
    best, best_at, atr = case.number("best_mark"), case.time("best_at"), case.number("atr")
    ranges = in_moves(case.facts.value, atr / best if atr and best else None, "ATR")
    return [
        f"Trailing stop: {quantity(case.facts.value, case.facts.unit)} back{ranges}{case.threshold}",
        joined(_priced(case, "mark", "mark_price"), _priced(case, "stop", "stop_price"), case.since),
        joined(
            f"best mark {price(best)}" + (f" at {best_at} UTC" if best_at else "") if best is not None else None,
            _priced(case, "entry", "entry_price"),
            _watched(case),
        ),
        case.words("why", 200),
    ]


def level_headline(case: Case) -> str:
    return f"{case.subject} reached, take-profit level"


def level_name(case: Case) -> str:
    return f"{case.subject} take-profit level"


def level_details(case: Case) -> list[str | None]:
    gain, pnl = case.number("gain"), case.number("unrealized_pnl")
    return [
        f"Best gain {quantity(case.facts.value, case.facts.unit)} of the entry price",
        joined(
            labelled("now", percent(gain) if gain is not None else None),
            _priced(case, "mark", "mark_price"),
            _priced(case, "entry", "entry_price"),
        ),
        joined(f"PnL {amount(pnl)} {case.currency}".rstrip() if pnl is not None else None, _watched(case)),
        case.words("why", 200),
    ]


def drawdown_headline(case: Case) -> str:
    value = case.facts.value
    return f"{percent(value)} below its peak {_window(case)}" if value is not None else drawdown_name(case)


def drawdown_name(case: Case) -> str:
    return f"drawdown {_window(case)}"


def drawdown_details(case: Case) -> list[str | None]:
    equity, peak, lost = case.number("equity"), case.number("peak_equity"), case.number("lost")
    peak_at, since = case.time("peak_at"), case.time("since")
    return [
        f"Drawdown {_window(case)} {quantity(case.facts.value, case.facts.unit)}{case.threshold}",
        joined(
            f"equity {amount(equity)} USD" if equity is not None else None,
            f"peak {amount(peak)} USD" + (f" at {peak_at} UTC" if peak_at else "") if peak is not None else None,
            case.since,
        ),
        joined(
            f"lost {amount(lost)} USD" if lost is not None else None,
            f"watched since {since} UTC" if since else None,
        ),
        case.words("why", 200),
    ]


def _window(case: Case) -> str:
    return _OF_WINDOW.get(case.key.subject, "")


def _watched(case: Case) -> str | None:
    watched = case.time("watched_since")
    return f"watched since {watched} UTC" if watched else None


def _priced(case: Case, label: str, name: str) -> str | None:
    value = case.number(name)
    return f"{label} {price(value)}" if value is not None else None
