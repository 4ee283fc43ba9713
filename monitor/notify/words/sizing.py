"""How much is held for the money there is."""

from monitor.domain.reading import Unit
from monitor.notify.text import amount, percent, price, quantity
from monitor.notify.words.case import Case, joined


def leverage_headline(case: Case) -> str:
    if case.facts.value is None:
        return f"{case.subject} positions are open and no equity is left".strip()
    return f"{case.subject} leverage {quantity(case.facts.value, case.facts.unit)}".strip()


def leverage_details(case: Case) -> list[str | None]:
    notional, equity = case.number("notional"), case.number("equity")
    return [
        case.measured("Leverage"),
        joined(
            f"notional {amount(notional)} USD" if notional is not None else None,
            f"equity {amount(equity)} USD" if equity is not None else None,
            case.since,
        ),
        case.words("why", 200),
    ]


def volatility_headline(case: Case) -> str:
    leverage, cap = case.number("leverage"), case.number("leverage_cap")
    if case.facts.value is None or leverage is None or cap is None:
        return leverage_headline(case)
    allowed = quantity(cap, Unit.LEVERAGE)
    return f"{case.subject} leverage {quantity(leverage, Unit.LEVERAGE)}, volatility allows {allowed}".strip()


def volatility_details(case: Case) -> list[str | None]:
    sigma, notional, equity = case.number("daily_sigma"), case.number("notional"), case.number("equity")
    return [
        case.measured("An ordinary day moves the equity by"),
        joined(
            f"what is held moves {percent(sigma)} a day" if sigma is not None else None,
            f"notional {amount(notional)} USD" if notional is not None else None,
            f"equity {amount(equity)} USD" if equity is not None else None,
        ),
        joined("one day in three moves further", case.since),
        case.words("why", 200),
    ]


def exposure_headline(case: Case) -> str:
    if case.facts.value is None:
        return "positions are open and no equity is left"
    return f"all positions are {quantity(case.facts.value, case.facts.unit)} the equity of all accounts"


def exposure_details(case: Case) -> list[str | None]:
    gross, net, equity = (case.number(name) for name in ("gross_notional", "net_notional", "equity"))
    largest, its_notional = case.words("largest_account", 40), case.number("largest_notional")
    return [
        case.measured("Exposure"),
        joined(
            f"notional {amount(gross)} USD" if gross is not None else None,
            f"net {amount(net)} USD" if net is not None else None,
            f"equity {amount(equity)} USD" if equity is not None else None,
        ),
        joined(
            f"{largest} holds {amount(its_notional)} USD of it" if largest and its_notional is not None else None,
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
        case.measured("Position size"),
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


def correlated_headline(case: Case) -> str:
    coins = case.words("coins", 60) or "coins that move together"
    if case.facts.value is None:
        return f"{coins} are open and no equity is left"
    return f"{coins} together stake {percent(case.facts.value)} of all equity"


def correlated_details(case: Case) -> list[str | None]:
    staked, equity = case.number("staked_margin"), case.number("equity")
    net, bitcoin, left_out = (case.number(name) for name in ("net_notional", "bitcoin_notional", "left_out"))
    assumed = case.words("assumed", 60)
    return [
        case.measured("Correlated stake"),
        joined(
            f"initial margin {amount(staked)} USD" if staked is not None else None,
            f"equity {amount(equity)} USD" if equity is not None else None,
            case.since,
        ),
        joined(
            f"net {amount(net)} USD" if net is not None else None,
            f"moves like {amount(bitcoin)} USD of BTC" if bitcoin is not None else None,
        ),
        f"taken to move together, as it is not measured: {assumed}" if assumed else None,
        f"without {left_out:.0f} position{'' if left_out == 1 else 's'} whose margin is not told" if left_out else None,
        case.words("why", 200),
    ]


def loss_headline(case: Case) -> str:
    return f"{case.subject} has lost {percent(case.facts.value)} of its margin"


def _realised(case: Case) -> str | None:
    """What of a loss is in the wallet already."""
    realised, loss, pnl = case.number("realised"), case.number("loss"), case.number("unrealised")
    is_of_it = realised is not None and loss is not None and pnl is not None and loss > -pnl
    return f"{amount(-realised)} of it booked" if is_of_it and realised is not None else None


def loss_details(case: Case) -> list[str | None]:
    loss, entry, mark = case.number("loss"), case.number("entry_price"), case.number("mark_price")
    return [
        f"Loss {quantity(case.facts.value, case.facts.unit)} of the initial margin{case.threshold}",
        joined(
            f"loss {amount(loss)} {case.currency}".rstrip() if loss is not None else None,
            _realised(case),
            _initial_margin(case),
            case.since,
        ),
        joined(
            f"entry {price(entry)}" if entry is not None else None, f"mark {price(mark)}" if mark is not None else None
        ),
        case.words("why", 200),
    ]
