"""What every target of the fuzzing is: cases drawn by dice, and the promises that each of them is held against."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """`draw` makes a case of the dice alone. `check` says in a word what became of it, and raises where a promise does
    not hold: an AssertionError of its own, or whatever the code let through."""

    draw: Callable[[random.Random], Any]
    check: Callable[[Any], str]


def dice_of(seed: int, number: int) -> random.Random:
    """The dice of one case, so that a case is replayed without those before it."""
    return random.Random(f"{seed}/{number}")
