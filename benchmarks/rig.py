"""What the benchmarks share: the venue's process, a configuration that reads it, and how results are told."""

import os
import platform
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from monitor.rules.book import RULE_KINDS

LATENCY_MS = 50
# Every tenth account is near liquidation: it has alerts to keep, which a quiet one has not.
NEAR_EVERY = 10


@contextmanager
def venue() -> Iterator[str]:
    """The base URL of a venue that runs until the block ends."""
    command = [sys.executable, "-m", "benchmarks.venue", "--latency-ms", str(LATENCY_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def reads_served(base_url: str) -> int:
    """How many account reads the venue has answered."""
    with urlopen(f"{base_url}/reads", timeout=5) as reply:
        return int(reply.read())


def key_of(number: int) -> str:
    """The API key of that account; by it the venue tells accounts apart."""
    return f"{'near' if number % NEAR_EVERY == NEAR_EVERY - 1 else 'quiet'}-key-{number:03}"


def write_config(
    folder: Path,
    base_url: str,
    *,
    accounts: int,
    poll_interval_s: int,
    channels: int = 1,
    kinds: Collection[str] = RULE_KINDS.keys(),
) -> Path:
    """A configuration with the default rules of these kinds that reads `base_url` and sends there as well."""
    sink = base_url.replace("http://", "json://") + "/sink"
    lines = [f"poll_interval: {poll_interval_s}s", "accounts:"]
    for number in range(accounts):
        credentials = f"api_key: {key_of(number)}, secret: benchmark-secret-{number:03}"
        lines.append(f"  fund-{number}: {{venue: binanceusdm, base_url: '{base_url}', {credentials}}}")
    lines.append("channels:")
    lines += [f"  sink-{number}: {{url: '{sink}?n={number}'}}" for number in range(channels)]
    unwanted = [f"  {kind}: off" for kind in RULE_KINDS if kind not in kinds]
    lines += ["rules:", *unwanted] if unwanted else []
    lines += ["health: {port: 0}", f"database: {folder / 'perpwatch.db'}"]
    path = folder / "perpwatch.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One figure that must not exceed another."""

    what: str
    value: float
    at_most: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.value <= self.at_most


def measured_on() -> str:
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}, {platform.system()}"


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = [tuple(headings), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n".join(lines))


def verdict(bounds: Sequence[Bound]) -> int:
    """Prints each bound with PASS or FAIL; the exit status."""
    print()
    for bound in bounds:
        told = "PASS" if bound.holds else "FAIL"
        print(f"{told}  {bound.what}: {bound.value:.3g} {bound.unit} (at most {bound.at_most:g})")
    return 0 if all(bound.holds for bound in bounds) else 1
