"""Whether a list of positions is whole, where a venue tells beside it how much margin they bind."""

from collections.abc import Iterable, Mapping

from monitor.domain.account import FailureKind, Position
from monitor.exchange.failures import ReadError
from monitor.exchange.values import malformed

# The margin bound may exceed what the positions listed bind by this factor: that it is their sum is documented only.
MAX_MARGIN_GAP = 1.5
# Venues round margins, each position for itself, to four decimals at the coarsest.
ROUNDING = 0.01


def check_complete(bound: Mapping[str, float], held: Iterable[tuple[str, Position]]) -> None:
    """`bound` is the margin that positions bind by currency, `held` each position listed with its currency.

    Raises ReadError: implausible where more is bound than the positions listed explain, malformed where the money of a
    position is not listed.
    """
    listed: dict[str, float] = {}
    for currency, position in held:
        if currency not in bound:
            raise malformed(f"the account does not list {currency:.20}, in which a position is margined")
        listed[currency] = listed.get(currency, 0.0) + (position.initial_margin or 0.0)
    short = [name for name, sum_ in bound.items() if sum_ > listed.get(name, 0.0) * MAX_MARGIN_GAP + ROUNDING]
    if short:
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"more margin is bound in {', '.join(short):.60} than the positions listed bind"
        )
