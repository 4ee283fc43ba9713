"""`python -m benchmarks.fuzz --what yaml --minutes 30 --seed 1`: hostile input, as many cases as the time allows.

A case is made of the seed and its number alone: `--number N` runs one again. A problem is anything raised but what the
code under test promises, a broken promise, or more than SLOW_S of CPU time for one case.
"""

import argparse
import itertools
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from tests.fuzz import messages, venues, yaml
from tests.fuzz.target import Target, dice_of

TARGETS: dict[str, Callable[[], AbstractContextManager[Target]]] = {
    "yaml": yaml.target,
    "venues": venues.target,
    "messages": messages.target,
}
SLOW_S = 1.0
MAX_PROBLEMS = 20
MAX_SHOWN_CHARS = 600


class SlowError(BaseException):
    """A case took too long; no Exception, so that no code under test takes it for one of its own."""


@dataclass(slots=True)
class Figures:
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[int] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: int = 0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises SlowError inside the block after that much CPU time of this process."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise SlowError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def run(target: Target, case: Any) -> tuple[str | None, float]:
    """What became of it, None where there is a problem, which is printed; and the CPU time it took."""
    began = time.process_time()
    try:
        with within(SLOW_S):
            outcome = target.check(case)
    except (Exception, SlowError):  # noqa: BLE001  # whatever comes through is what is looked for
        traceback.print_exc()
        print(f"the case: {case!r:.{MAX_SHOWN_CHARS}}", file=sys.stderr)
        return None, time.process_time() - began
    return outcome, time.process_time() - began


def fuzz(target: Target, what: str, seed: int, numbers: Iterator[int], until: float) -> Figures:
    figures = Figures()
    for number in numbers:
        outcome, took_s = run(target, target.draw(dice_of(seed, number)))
        figures.outcomes[outcome or "PROBLEM"] += 1
        if took_s > figures.slowest_s:
            figures.slowest_s, figures.slowest = took_s, number
        if outcome is None:
            figures.problems.append(number)
            print(f"replay: python -m benchmarks.fuzz --what {what} --seed {seed} --number {number}", file=sys.stderr)
        if len(figures.problems) == MAX_PROBLEMS or time.monotonic() > until:
            break
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.fuzz")
    parser.add_argument("--what", choices=TARGETS, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, help="run this one case alone")
    options = parser.parse_args()
    began = time.monotonic()
    numbers = itertools.count() if options.number is None else iter([options.number])
    with TARGETS[options.what]() as target:
        figures = fuzz(target, options.what, options.seed, numbers, began + 60 * options.minutes)
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in figures.outcomes.most_common())
    print(f"{options.what}, seed {options.seed}: {figures.outcomes.total():,} cases ({told})")
    print(f"slowest: number {figures.slowest}, {figures.slowest_s:.3f} s of CPU")
    print(f"problems: {len(figures.problems)} {figures.problems or ''}")
    print(f"{(time.monotonic() - began) / 60:.1f} min")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
