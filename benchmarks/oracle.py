"""The monitor's risk arithmetic against the paper exchange, which shares none of it, on random accounts.

`python -m benchmarks.oracle [--accounts 10000] [--seed 1]` prints a table and exits 1 where a bound is exceeded.
"""

import argparse
import sys
import time

from benchmarks.oracle_cases import (
    PRICE_BOUND,
    RATIO_BOUND,
    Tally,
    bracket_list_of,
    compare,
    random_accounts,
    real_brackets,
)

HEADINGS = ("pools of kind", "pools", "positions", "no price", "already", "ratio", "repriced", "liq. price", "disagree")
DISAGREEMENTS_SHOWN = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    brackets = real_brackets()
    tallies: dict[str, Tally] = {}
    used: set[str] = set()
    started_s = time.perf_counter()
    for account in random_accounts(asked.seed, asked.accounts, brackets):
        compare(account, tallies)
        used |= {bracket_list_of(contract) for contract in account.contracts}
    took_s = time.perf_counter() - started_s
    print(f"{asked.accounts:,} random accounts (seed {asked.seed}), {took_s:.0f} s")
    print(f"{len(used)} of {len(brackets)} real bracket lists were met; for inverse contracts converted to coin.")
    print("Largest errors: of ratios to max(1, ratio), of prices relative.\n")
    print(_table(tallies))
    for tally in tallies.values():
        for line in tally.disagreements[:DISAGREEMENTS_SHOWN]:
            print(f"  {line}")
    holds = all(tally.holds for tally in tallies.values())
    print(f"\nBounds: ratio {RATIO_BOUND:g}, liquidation price {PRICE_BOUND:g}: {'hold' if holds else 'EXCEEDED'}")
    return 0 if holds else 1


def _table(tallies: dict[str, Tally]) -> str:
    rows: list[tuple[str, ...]] = [HEADINGS]
    for kind in sorted(tallies):
        tally = tallies[kind]
        counts = (tally.pools, tally.positions, tally.no_price, tally.already)
        errors = (tally.ratio_error, tally.repriced_error, tally.price_error)
        rows.append(
            (kind, *(f"{n:,}" for n in counts), *(f"{error:.1e}" for error in errors), str(len(tally.disagreements)))
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-|-".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" if "-|-" not in line else f"|-{line}-|" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
