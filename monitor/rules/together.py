"""What several accounts hold and are worth together, in dollars."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

from monitor.domain.study import Study
from monitor.risk.shock import BITCOIN
from monitor.risk.underlying import Held, coins_of, underlying_of
from monitor.risk.worth import UnknownWorthError
from monitor.rules.base import Context, Portfolio, Where

T = TypeVar("T")

# A coin, or an account, that holds less of the whole than this does not make it spread.
COUNTS_FROM = 0.05


class UnknownSumError(Exception):
    """A part is not known; `inputs` say which, and why."""

    def __init__(self, inputs: Mapping[str, str | bool]) -> None:
        super().__init__(str(inputs["why"]))
        self.inputs = inputs


def held_by(portfolio: Portfolio, where: Where) -> tuple[Held, ...]:
    """Raises UnknownSumError where a coin cannot be valued, or an account is unseen."""
    return tuple(held for _, of_one in _of_each(portfolio, lambda one: held_in(one, where)) for held in of_one)


def held_in(context: Context, where: Where) -> tuple[Held, ...]:
    """The same of one account. Raises UnknownWorthError."""
    if not where.names_positions:
        return context.held
    return tuple(held for held in context.held if where.matches_position(held.position))


def equity_of(portfolio: Portfolio) -> float:
    """Raises UnknownSumError where an equity is not told, a coin cannot be valued, or an account is unseen."""
    return sum(equity for _, equity in _of_each(portfolio, lambda one: one.worth.equity))


def gross_by(name: Callable[[Held], str], held: Iterable[Held]) -> dict[str, float]:
    """Gross notional, largest first."""
    found: dict[str, float] = {}
    for one in held:
        found[name(one)] = found.get(name(one), 0.0) + abs(one.notional)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def studies_of(accounts: Portfolio) -> dict[str, Study]:
    """By coin: of several contracts on one the study with the most days. However old: what moves together does so for
    months."""
    found: dict[str, Study] = {}
    for context in accounts.seen.values():
        told = [(BITCOIN, context.bitcoin)] if context.bitcoin is not None else []
        for position in context.snapshot.positions:
            state = context.markets.get(position.instrument.symbol)
            if state is not None and state.study is not None:
                told.append((underlying_of(position.instrument).name, state.study.value))
        for coin, study in told:
            if coin not in found or len(study.returns) > len(found[coin].returns):
                found[coin] = study
    return found


def dollars_per_coin(accounts: Portfolio, coins: Collection[str]) -> dict[str, float]:
    """Of each of these coins, by its largest position that can be valued."""
    found: dict[str, tuple[float, float]] = {}
    for context in accounts.seen.values():
        with suppress(UnknownWorthError):
            for held in context.held:
                worth = abs(held.notional)
                if held.underlying in coins and worth > found.get(held.underlying, (0.0, 0.0))[0]:
                    found[held.underlying] = worth, held.notional / coins_of(held.position)
    return {coin: rate for coin, (_, rate) in found.items()}


def counting(parts: Mapping[str, float]) -> int:
    """How many of the parts make a difference to the whole."""
    whole = sum(parts.values())
    return sum(part >= COUNTS_FROM * whole for part in parts.values() if part)


def _of_each(portfolio: Portfolio, figure: Callable[[Context], T]) -> Iterator[tuple[str, T]]:
    for name, context in portfolio.seen.items():
        try:
            yield name, figure(context)
        except UnknownWorthError as unknown:
            raise UnknownSumError({"account": name, "why": f"{name}: {unknown}"}) from unknown
    if portfolio.unseen:
        raise UnknownSumError(portfolio.unseen_inputs())
