"""What the venue's own records tell of an account: its forced orders, each shown some time after it happened."""

import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from monitor.domain.account import End, EndKind, Instrument
from monitor.paper.book import EventKind
from monitor.paper.engine import Engine
from tests.simulation.plan import Plan

KINDS = {
    EventKind.PARTIAL: EndKind.LIQUIDATED,
    EventKind.FULL: EndKind.LIQUIDATED,
    EventKind.ADL: EndKind.DELEVERAGED,
}


class Record(NamedTuple):
    """Times are seconds from the start: when it happened, and from when on it is shown."""

    end: End
    at: float
    shown_from: float


class Records:
    """By account, oldest first. What happened in one moment is shown in one moment."""

    def __init__(self, plan: Plan, start: datetime) -> None:
        self._plan, self._start = plan, start
        self._of: dict[str, list[Record]] = defaultdict(list)
        self._taken_up = 0

    def take_up(self, engine: Engine, instruments: Mapping[str, Instrument]) -> None:
        """Write down what the engine did since it was last asked."""
        first = self._taken_up
        for event in reversed(engine.events):
            if event.sequence <= first:
                break
            self._taken_up = max(self._taken_up, event.sequence)
            if event.kind not in KINDS or event.symbol is None or event.side is None:
                continue
            end = End(
                instrument=instruments[event.symbol],
                side=event.side,
                kind=KINDS[event.kind],
                at=event.time,
                contracts=event.contracts,
                price=event.price,
            )
            at = (event.time - self._start).total_seconds()
            self._of[event.account].append(Record(end, at, at + self._plan.lag_s(event.account, at)))

    def between(self, account: str, after: float, until: float) -> list[Record]:
        """What happened to the account in that time."""
        return [record for record in self._of[account] if after < record.at <= until]

    def shown(self, account: str, since: datetime, time: float, dice: random.Random) -> list[End]:
        """What a reply of that time tells, in any order."""
        told = [record.end for record in self._of[account] if record.shown_from <= time and record.end.at >= since]
        return dice.sample(told, len(told))
