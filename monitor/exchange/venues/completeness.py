"""Whether a list of positions is whole, where a venue tells how much margin they bind; each once; of kinds we read."""

from collections.abc import Iterable, Mapping

from monitor.domain.account import FailureKind, MarginMode, Position
from monitor.exchange.failures import ReadError
from monitor.exchange.values import Row, malformed, text

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


def check_held_once(positions: Iterable[Position]) -> None:
    """Some venues let one side of a contract be held across and isolated at once, which raises ReadError (unsupported);
    one listed twice is malformed."""
    modes: dict[str, MarginMode | None] = {}
    for position in positions:
        name = position.subject
        if name in modes:
            if modes[name] is position.margin_mode:
                raise malformed(f"{name} is listed twice")
            raise ReadError(FailureKind.UNSUPPORTED, f"{name} is held across and isolated at once, which is not read")
        modes[name] = position.margin_mode


def caveats_of(others: Iterable[Row], key: str) -> tuple[str, ...]:
    """Of positions that are no contracts; their kind stands under that key."""
    kinds = ", ".join(sorted({text(row, key) for row in others}))
    if not kinds:
        return ()
    return (f"positions of the kind {kinds:.60} are held and not read: their margin stands in the totals",)
