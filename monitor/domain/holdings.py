"""What an account holds, as it is remembered between reads and over restarts, and what of it changed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.domain.account import EndKind, MarginMode, Side

# So many are remembered of an account; older ones are forgotten.
MAX_EVENTS = 20
MAX_TAKEN = 500
# A venue's records may lag so far behind its positions.
RECORDS_LAG = timedelta(minutes=5)
# Its clock may be so far behind ours, and its records name the moment of the fill.
CLOCKS_DIFFER = timedelta(seconds=60)


class EventKind(StrEnum):
    OPENED = "opened"
    GONE = "gone"
    FLIPPED = "flipped"
    GREW_PAST_BRACKET = "grew past its bracket"
    MARGIN_MODE = "changed its margin mode"
    ACCOUNT_MODE = "changed its mode at the venue"
    FUNDING_INTERVAL = "is charged funding at another interval"
    DISPUTED = "has a disputed liquidation price"
    LIQUIDATED = "liquidated"
    DELEVERAGED = "auto-deleveraged"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """`subject` is the position's or the account's name; `detail` is a sentence for people, empty where the kind says
    it all."""

    at: datetime
    kind: EventKind
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position. `bracket` is where its maintenance bracket begins, in settle units; None where none is known.

    `is_disputed`: the venue's liquidation price and ours were once far apart, and its owner was told. `interval_h` is
    how often funding was last known to be paid, in hours.
    """

    symbol: str
    side: Side
    margin_mode: MarginMode | None
    bracket: float | None
    is_disputed: bool = False
    interval_h: float | None = None

    @property
    def subject(self) -> str:
        return f"{self.symbol} {self.side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One order by which the venue took something, once told. `at_ms` is the venue's time, not moved with our clock."""

    at_ms: int
    subject: str
    kind: EndKind
    contracts: float | None
    price: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """`events` are the latest, oldest first. `compared_at` is when liquidation prices were last held against ours.

    `taken` are the latest by their time, oldest first. `ends_owed_since` is the snapshot's.
    """

    mode: str = ""
    compared_at: datetime | None = None
    positions: tuple[Holding, ...] = ()
    events: tuple[AccountEvent, ...] = ()
    taken: tuple[Taken, ...] = ()
    ends_owed_since: datetime | None = None

    def lost_something_since(self, since: datetime) -> bool:
        return any(event.kind is EventKind.GONE and event.at >= since for event in self.events)
