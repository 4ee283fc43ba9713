"""Accounts of venues whose bookings are read, and one booking in each venue's own words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.domain.ledger import EntryKind
from monitor.paper.bookings import Booking
from monitor.paper.faults import FaultKind
from monitor.paper.formats import milliseconds
from tests.venues import bitget
from tests.venues.kit import AccountCase, VenueCase

STABLES = ("USDT", "USDC")


@dataclass(frozen=True, kw_only=True)
class BookedCase:
    """`call` is named as the dialect names it. `tells` says what of the engine's bookings this account is told.

    `strange` makes a profile of one booking in a word that nobody knows: 1.25 of `currency` came in at that time.
    `page` is how many rows the venue tells at once, `pages` how many of them are read. `honest` are faults of which
    nothing shows that they are one: a list that is empty.
    """

    case: VenueCase
    account: AccountCase
    call: str
    page: int
    pages: int
    strange: Callable[[datetime], Mapping[str, Any]]
    currency: str = "USDT"
    tells: Callable[[Booking], bool] = lambda _booking: True
    untold: frozenset[EntryKind] = frozenset()
    without_symbol: frozenset[EntryKind] = frozenset({EntryKind.TRANSFER})
    honest: frozenset[FaultKind] = field(default=frozenset())

    def __str__(self) -> str:
        return f"{self.case.venue}-{self.account.name}"


def _stable(booking: Booking) -> bool:
    return booking.asset in STABLES


def _bill(at: datetime) -> Mapping[str, Any]:
    told = {"symbol": "", "coin": "USDT", "amount": "1.25", "fee": "0"}
    names = {"billId": "1", "id": "1", "businessType": "telepathy", "type": "TELEPATHY"}
    return {"bills": ({**told, **names, "cTime": str(milliseconds(at)), "ts": str(milliseconds(at))},)}


BOOKED: tuple[BookedCase, ...] = (
    BookedCase(
        case=bitget.CLASSIC,
        account=bitget.CLASSIC.accounts[0],
        call="/api/v2/mix/account/bill USDT-FUTURES",
        page=100,
        pages=5,
        strange=_bill,
        tells=_stable,
    ),
    BookedCase(
        case=bitget.UNIFIED,
        account=bitget.UNIFIED.accounts[1],
        call="/api/v3/account/financial-records OTHER",
        page=100,
        pages=2,
        strange=_bill,
    ),
)
