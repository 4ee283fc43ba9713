"""What the venues' tests compare, counted: `python -m benchmarks.compared`.

Every account of every case is read over HTTP by the real client and held against the engine's truth, as
`tests/venues` does; beside it stand the misbehaviours that each call of a read is spoilt with, by the failure they must
be read as. A figure that differs ends the run.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.rig import measured_on, print_table
from tests.reading import ShiftedClock, good
from tests.venues.cases import CASES
from tests.venues.kit import (
    MISBEHAVIOURS,
    AccountCase,
    VenueCase,
    a_house,
    book_of,
    compared,
    compared_market,
    crowd_of,
)

HEADINGS = (
    "venue",
    "accounts",
    "positions",
    "figures of accounts",
    "of markets",
    "spoilt calls",
    "as failures of kind",
)


@dataclass
class Count:
    accounts: int = 0
    positions: int = 0
    figures: int = 0
    of_markets: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def row(self, venue: str) -> tuple[str, ...]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.failures.items()))
        numbers = (self.accounts, self.positions, self.figures, self.of_markets, self.failures.total())
        return (venue, *(f"{number:,}" for number in numbers), kinds)


async def read(case: VenueCase, account: AccountCase, count: Count, *, is_crowd: bool) -> None:
    clock = ShiftedClock()
    engine = crowd_of(case, clock.now()) if is_crowd else book_of(case, clock.now())
    async with a_house(case, clock, engine) as house:
        source = house.open(account, read_deadline_s=60.0)
        snapshot = good(await source.observe())
        markets = source.markets()
        count.figures += compared(case, account, engine, snapshot)
        if not is_crowd:
            count.of_markets += sum(
                compared_market(case, account, engine, position, markets[position.instrument.symbol])
                for position in snapshot.positions
            )
        count.accounts += 1
        count.positions += len(snapshot.positions)


async def counted(cases: Sequence[VenueCase]) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for case in cases:
        count = found.setdefault(case.venue, Count())
        for account in case.accounts:
            await read(case, account, count, is_crowd=False)
        if case.crowd is not None:
            await read(case, case.crowd, count, is_crowd=True)
        count.failures.update(
            str(case.kind_of(name, fault, usual)) for name in case.reads for fault, usual in MISBEHAVIOURS
        )
    return found


def main() -> int:
    found = asyncio.run(counted(CASES))
    print(f"{measured_on()}\n")
    print_table(HEADINGS, [count.row(venue) for venue, count in found.items()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
