"""`python -m tests.simulation --days 100 --seed 1`: worlds of a day and four accounts each, from that seed on.

With `--out FILE` every world's report is added to the file as a line of JSON, seeds that stand in it are not run again,
and the figures are those of the whole file: a long run may stop and go on, and ranges of seeds add up.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.simulation.house import House, Report
from tests.simulation.plan import ACCOUNTS

DAY_S = 86_400.0
SUMMED = (
    "account_days",
    "cpu_s",
    "reads",
    "failed_reads",
    "transitions",
    "messages",
    "fired",
    "resolved",
    "marked_repeats",
    "untraceable_repeats",
    "kills",
)
MEMORY = Path("/dev/shm")  # memory-backed where there is such a folder


def simulate(seed: int, length_s: float = DAY_S) -> tuple[Report, float]:
    """One world, and the seconds of CPU it took."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        report = House(seed, length_s, Path(folder)).run()
    return report, time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.simulation")
    parser.add_argument("--days", type=float, default=4.0, help="account-days in all")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the reports are added to")
    options = parser.parse_args()
    lines = _lines(options.out)
    done = {line["seed"] for line in lines}
    worlds = math.ceil(options.days / len(ACCOUNTS))
    seeds = [seed for seed in range(options.seed, options.seed + worlds) if seed not in done]
    with ProcessPoolExecutor(options.workers) as pool:
        for future in as_completed([pool.submit(simulate, seed) for seed in seeds]):
            report, cpu_s = future.result()
            lines.append(asdict(report) | {"cpu_s": cpu_s})
            _told(report)
            if options.out is not None:
                with options.out.open("a") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    _print(lines)
    return 1 if any(line["problems"] for line in lines) else 0


def _lines(out: Path | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out is not None and out.exists() else []


def _told(report: Report) -> None:
    for problem in report.problems[:10]:
        print(f"seed {report.seed}: {problem}", file=sys.stderr)
    if report.problems:
        print(f"replay: make simulate DAYS={len(ACCOUNTS)} SEED={report.seed}", file=sys.stderr)


def _print(lines: Iterable[dict[str, Any]]) -> None:
    lines = list(lines)
    figures = {name: sum(line[name] for line in lines) for name in SUMMED}
    print(f"worlds                    {len(lines):>12,}")
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<26}{value:>12,.0f}")
    print(f"{'slowest read, s':<26}{max((line['slowest_read_s'] for line in lines), default=0.0):>12.1f}")
    print(f"{'problems':<26}{sum(len(line['problems']) for line in lines):>12,}")
    print(f"{'account-days per CPU s':<26}{figures['account_days'] / max(figures['cpu_s'], 1e-9):>12.2f}")


if __name__ == "__main__":
    sys.exit(main())
