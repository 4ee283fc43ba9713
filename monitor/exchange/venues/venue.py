"""The shape every venue module has: what the rest of exchange/ asks of it, and what it answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, Self, TypeVar

from monitor.domain.account import Collateral, End, FailureKind, Instrument, MarginBalance, Position, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Book, Tiers
from monitor.domain.study import Candle, Frame
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError
from monitor.exchange.together import Lazy
from monitor.exchange.values import interval_of, time_of
from monitor.exchange.venues.figures import Figures

Raw = TypeVar("Raw")

# Raw symbol -> instrument.
Instruments = Mapping[str, Instrument]
# Instruments in which some account of the venue holds a position, by symbol: for what venues tell one by one.
Held = Mapping[str, Instrument]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One instrument's row of the public mark prices."""

    price: float
    funding_rate: float | None = None
    next_funding_at: datetime | None = None
    funding_interval: timedelta | None = None

    @classmethod
    def told(cls, *, price: float, rate: float | None, next_ms: float | None, hours: float | None = None) -> Self:
        """Of figures as venues write them; raises ReadError for a time or an interval that is none."""
        return cls(
            price=price,
            funding_rate=rate,
            next_funding_at=time_of(next_ms) if next_ms else None,
            funding_interval=interval_of(hours) if hours else None,
        )


def marks_of(raw: Mapping[str, Raw], read: Callable[[Raw], Mark]) -> Mapping[str, Mark | None]:
    """Marks by symbol, each read when asked for; a row that is not sound makes its own unknown, and no other."""

    def sound(row: Raw) -> Mark | None:
        try:
            return read(row)
        except ReadError:
            return None

    return Lazy(raw, sound)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """How the account is set up at the venue; changes rarely. `leverages` by raw symbol.

    `mode` says in the venue's own words what it is ("unified, portfolio margin, hedge mode"): it is told to the owner,
    and told again when it changes. A venue's reader decides by it what to call and how to read it. `parts` are named
    parts of the venue that are asked for one by one.
    """

    mode: str = ""
    parts: tuple[str, ...] = ()
    leverages: Mapping[str, float] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReading:
    """One parsed account. `margin_in_use` is the venue's own sum of what positions bind; None where it tells none.

    It comes from another part of the reply than the positions, and so tells a real flat from a broken one.
    `marks_are_the_markets`: positions are valued at the same mark prices that `read_marks` reads.
    """

    margins: tuple[MarginBalance, ...]
    positions: tuple[Position, ...]
    margin_in_use: float | None
    collateral: tuple[Collateral, ...] = ()
    marks_are_the_markets: bool = True
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What a key may do, and how far our clock is ahead of the venue's; None where the venue does not tell."""

    may_trade: bool | None
    may_withdraw: bool | None
    ip_restricted: bool | None
    clock_ahead_s: float | None
    expires_at: datetime | None = None
    notes: tuple[str, ...] = ()


def clock_ahead_s(client: Any, server_ms: float) -> float:
    """How far our clock is ahead of the venue's time, for KeyFacts."""
    return float((client.shared.clock.now().timestamp() * 1000 - server_ms) / 1000)


# What stands in a list of addresses where a key works from every one of them.
EVERYWHERE = frozenset({"", "*", "0.0.0.0/0", "::/0"})


def is_bound(addresses: Collection[str]) -> bool:
    """Whether a key works from those addresses alone, for KeyFacts."""
    return bool(addresses) and EVERYWHERE.isdisjoint(addresses)


class Extras:
    """What readers give beyond accounts, marks and records; one that does not say otherwise gives none of it."""

    async def read_candles(self, *_: Any) -> list[Candle]:
        raise ReadError(FailureKind.UNSUPPORTED, "candles of this venue are not read")

    async def read_book(self, *_: Any) -> Book:
        raise ReadError(FailureKind.UNSUPPORTED, "order books of this venue are not read")

    async def read_ledger(self, *_: Any) -> Ledger:
        raise ReadError(FailureKind.UNSUPPORTED, "bookings of this venue are not read")


class Venue(Protocol):
    """Everything one venue does differently. `client` is a strict client; every method raises ReadError alone.

    `read_account` returns raw replies and `parse_account` is pure, so that recorded replies test it.
    """

    @property
    def id(self) -> str: ...

    @property
    def rules(self) -> Rules: ...

    @property
    def weight_per_minute(self) -> int: ...

    @property
    def calls_per_second(self) -> int:
        """Of one address, over all accounts."""

    @property
    def marks_origin(self) -> str:
        """The name of the reply that `read_marks` reads."""

    @property
    def coverage(self) -> tuple[str, ...]:
        """Sentences for the owner: what is exact, what is not read, what cannot be vouched for."""

    @property
    def figures(self) -> Figures:
        """Every figure there is, with how exactly this reader gives it."""

    @property
    def key_steps(self) -> str:
        """How its owner makes a key that can only read, in the venue's own words; empty where no key is needed."""

    async def read_instruments(self, client: Any) -> Instruments:
        """The first read of a venue; raises ReadError (unsupported) where its positions cannot be listed."""

    async def read_settings(self, client: Any, /) -> AccountSettings:
        """Read before the first account, every ten minutes, and after a reply that was not what the mode lets expect.

        Raises ReadError (unsupported) where the account is in a mode this reader does not understand.
        """

    async def read_account(self, client: Any, settings: AccountSettings, /) -> Any: ...

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading: ...

    async def read_marks(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Mark | None]:
        """Of every instrument at once (of those held where the venue tells them one by one), by symbol; None where its
        row tells no sound mark price."""

    async def read_funding_intervals(self, client: Any, instruments: Instruments, /) -> Mapping[str, timedelta]:
        """By symbol."""

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        """By symbol, of those held at least; `client` must hold credentials."""

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        """All stops, take-profits and trailing stops that rest at the venue; raises ReadError (unsupported) where they
        cannot be read."""

    async def read_ends(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        """Liquidations and auto-deleveragings of this account since then, by the venue's own records, in any order;
        raises ReadError (unsupported) where it has none that can be read."""

    async def read_key_facts(self, client: Any) -> KeyFacts: ...

    async def read_candles(self, client: Any, raw: str, about: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        """The last `count` of an instrument (fewer where it is young), ascending; the last one is not complete.

        `raw` is the venue's own symbol, `client` a public one.
        """

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        """As deep as one call tells it."""

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        """What was booked to the account after `since`, by pages, of which a venue may allow too few for all of it:
        then `Ledger.since` is later."""
