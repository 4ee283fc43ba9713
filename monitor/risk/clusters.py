"""Which coins move together: the connected groups of what is correlated. Pure."""

from collections.abc import Callable, Iterable

# Two coins with daily returns at least this correlated are one bet for the most part: half of what the one does, the
# other explains (0.7 squared).
CORRELATED_FROM = 0.7


def clusters(coins: Iterable[str], are_related: Callable[[str, str], bool]) -> tuple[tuple[str, ...], ...]:
    """The groups in which each coin is related to another one of it, in the order of their first coins."""
    found: list[list[str]] = []
    for coin in coins:
        joined = [group for group in found if any(are_related(coin, other) for other in group)]
        apart = [group for group in found if group not in joined]
        found = [*apart, [*(member for group in joined for member in group), coin]]
    return tuple(tuple(group) for group in found)
