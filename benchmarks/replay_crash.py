"""Would the owner have been told before the exchange liquidated? The crash of 10 October 2025, with shipped defaults.

`python -m benchmarks.replay_crash [--coins AVAX,DOT] [--start 20:48] [--end 21:40]` prints the leads of every case as a
table and exits 1 where one was missed that should not have been; then what leaving would have cost in the book of BTC.
"""

import argparse
import asyncio
import sys
import time
from datetime import datetime

from benchmarks import crash_depth, crash_moves
from benchmarks.crash_cases import LEVERAGES, cases_of
from benchmarks.crash_day import COINS, DAY_END, DAY_START, prices
from benchmarks.crash_replay import replay
from benchmarks.crash_report import missed, report
from benchmarks.oracle_cases import SHARED, real_brackets
from monitor.log import configure

RECORDED = SHARED / "market" / "2025-10-10"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--coins", default=",".join(COINS))
    parser.add_argument("--leverages", default=",".join(map(str, LEVERAGES)))
    parser.add_argument("--start", default=f"{DAY_START:%H:%M}", help="UTC; positions are opened then")
    parser.add_argument("--end", default=f"{DAY_END:%H:%M}")
    asked = parser.parse_args()
    if not RECORDED.exists():
        print(f"the recorded prices are not beside the checkout ({RECORDED.name})", file=sys.stderr)
        return 1
    configure("warning", "console")
    coins = asked.coins.split(",")
    start, end = _at(asked.start), _at(asked.end)
    paths = {coin: prices(RECORDED, coin, start, end) for coin in coins}
    cases = cases_of(coins, [int(leverage) for leverage in asked.leverages.split(",")])
    started_s = time.perf_counter()
    outcome = asyncio.run(replay(cases, paths, start, real_brackets()))
    print(f"10 October 2025, {start:%H:%M} to {end:%H:%M} UTC, {time.perf_counter() - started_s:.0f} s\n")
    print(report(outcome))
    print(f"\n{crash_moves.report(crash_moves.all_told(RECORDED, coins))}")
    crash_depth.print_report(RECORDED)
    return 1 if missed(outcome) else 0


def _at(text: str) -> datetime:
    hour, minute = map(int, text.split(":"))
    return DAY_START.replace(hour=hour, minute=minute)


if __name__ == "__main__":
    sys.exit(main())
