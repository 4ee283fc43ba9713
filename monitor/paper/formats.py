"""How venues write figures: text with so many decimals, and times in milliseconds."""

import math
from collections.abc import Sequence
from datetime import datetime

from monitor.paper.contract import Contract
from monitor.paper.tape import Level

ZERO = "0.00000000"


def amount(value: float) -> str:
    """Eight decimals, and no minus before a nought."""
    text = f"{value:.8f}"
    return ZERO if text == "-0.00000000" else text


def decimals(step: float) -> int:
    """Digits behind the point that a step needs; 8 where there is none."""
    return max(0, -math.floor(math.log10(step) + 1e-9)) if step else 8


def quantity(contract: Contract, value: float) -> str:
    return f"{value:.{decimals(contract.step)}f}"


def levels(contract: Contract, resting: Sequence[Level]) -> list[list[str]]:
    """Price and number of contracts of each."""
    return [[amount(price), quantity(contract, contracts)] for price, contracts in resting]


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
