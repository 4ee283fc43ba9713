"""What the daemon weighs when nothing happens: resident memory of a real `perpwatch run` after a minute of polling.

`python -m benchmarks.idle [--seconds 60]` prints a table and exits 1 where the bound is exceeded. The daemon is a
process of its own that reads three accounts of ten positions every 10 s, on a venue of 600 contracts whose replies do
not move any alert, with two channels that have taken its first message. The largest parts are weighed each by the
growth of a fresh interpreter that imports or does it alone; they share modules, so they add up to more than the whole.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rig import Bound, measured_on, print_table, reads_served, venue, verdict, write_config

ACCOUNTS, CHANNELS, POLL_INTERVAL_S = 3, 2, 10
BOUND_MB = 180
SAMPLES = 5
PARTS = {
    "bare interpreter": "pass",
    "ccxt, every venue's class": "import ccxt.async_support",
    "ccxt, one venue's class": "import monitor.exchange.lean, ccxt.async_support as ccxt; ccxt.binanceusdm",
    "Apprise with a plugin opened": "import apprise; apprise.Apprise().add('json://127.0.0.1/')",
    "SQLAlchemy and Alembic": "import sqlalchemy, alembic.command",
    "pydantic settings": "import pydantic_settings",
    "typer and rich": "import typer, rich.console",
    "all of perpwatch run": "import monitor.cli.app",
}
_WEIGH = "; print(open('/proc/self/status').read())"


@contextmanager
def daemon(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real daemon, ended by SIGTERM."""
    command = [sys.executable, "-m", "monitor", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def resident_mb(status: str) -> float:
    """VmRSS of a /proc/PID/status."""
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def after(seconds: float, config: Path, base_url: str) -> tuple[float, float]:
    """(median, largest) megabytes over the last samples; the time counts from the first reads."""
    with daemon(config) as process:
        while reads_served(base_url) < ACCOUNTS and process.poll() is None:
            time.sleep(0.5)
        time.sleep(seconds - SAMPLES)
        weights = []
        for _ in range(SAMPLES):
            time.sleep(1)
            if process.poll() is not None:
                raise SystemExit(f"the daemon ended by itself with exit code {process.returncode}")
            weights.append(resident_mb(Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")))
    return statistics.median(weights), max(weights)


def weight_of(statement: str) -> float:
    output = subprocess.run([sys.executable, "-c", statement + _WEIGH], capture_output=True, text=True, check=True)
    return resident_mb(output.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    print(f"{measured_on()}; {ACCOUNTS} accounts every {POLL_INTERVAL_S} s, {CHANNELS} channels\n")
    with venue() as base_url, TemporaryDirectory() as folder:
        config = write_config(
            Path(folder), base_url, accounts=ACCOUNTS, poll_interval_s=POLL_INTERVAL_S, channels=CHANNELS
        )
        median_mb, largest_mb = after(asked.seconds, config, base_url)
        reads = reads_served(base_url)
    due = ACCOUNTS * (asked.seconds // POLL_INTERVAL_S)
    assert reads >= due, f"the daemon read {reads} times in {asked.seconds:.0f} s, {due:.0f} reads were due"
    bare_mb = weight_of(PARTS["bare interpreter"])
    rows = [(f"daemon after {asked.seconds:.0f} s, median", f"{median_mb:.0f} MB")]
    rows += [("the same, largest", f"{largest_mb:.0f} MB"), ("bare interpreter", f"{bare_mb:.0f} MB")]
    rows += [(name, f"+{weight_of(part) - bare_mb:.0f} MB") for name, part in list(PARTS.items())[1:]]
    print_table(("measured", "resident"), rows)
    return verdict([Bound(what="resident memory of the idle daemon", value=largest_mb, at_most=BOUND_MB, unit="MB")])


if __name__ == "__main__":
    sys.exit(main())
