"""How venues write figures: text with so many decimals, and times in milliseconds."""

import math
from datetime import datetime

from monitor.paper.contract import Contract

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


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
