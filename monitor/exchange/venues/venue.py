"""The shape every venue module has: what the rest of exchange/ asks of it, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from monitor.domain.account import Instrument, MarginBalance, Position
from monitor.domain.market import Tiers
from monitor.exchange.client import Rules

# Raw symbol -> instrument.
Instruments = Mapping[str, Instrument]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One instrument's row of the public mark prices."""

    price: float
    funding_rate: float | None = None
    next_funding_at: datetime | None = None
    funding_interval: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """How the account is set up at the venue; changes rarely. `leverages` by raw symbol."""

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
    marks_are_the_markets: bool = True
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What a key may do, and how far our clock is ahead of the venue's; None where the venue does not tell."""

    may_trade: bool | None
    may_withdraw: bool | None
    ip_restricted: bool | None
    clock_ahead_s: float | None
    notes: tuple[str, ...] = ()


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
    def marks_origin(self) -> str:
        """The name of the reply that `read_marks` reads."""

    @property
    def coverage(self) -> tuple[str, ...]:
        """Sentences for the owner: what is exact, what is not read, what cannot be vouched for."""

    async def read_instruments(self, client: Any) -> Instruments:
        """The first read of a venue; raises ReadError (unsupported) where its positions cannot be listed."""

    async def read_settings(self, client: Any, /) -> AccountSettings:
        """Raises ReadError (unsupported) where the account is in a mode this reader does not understand."""

    async def read_account(self, client: Any) -> Any: ...

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading: ...

    async def read_marks(self, client: Any, instruments: Instruments) -> Mapping[str, Mark | None]:
        """Of every instrument at once, by symbol; None where its row tells no sound mark price."""

    async def read_funding_intervals(self, client: Any, instruments: Instruments, /) -> Mapping[str, timedelta]:
        """By symbol."""

    async def read_tiers(self, client: Any, instruments: Instruments, /) -> Mapping[str, Tiers]:
        """By symbol; `client` must hold credentials."""

    async def read_key_facts(self, client: Any) -> KeyFacts: ...
