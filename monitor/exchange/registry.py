"""Opens accounts, and keeps what those of one venue share: session, market data, request budget, clock offset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from monitor.clock import Clock
from monitor.domain.reading import Need
from monitor.exchange.budget import Budget
from monitor.exchange.client import ClockOffset, Shared, is_venue, new_session, new_ssl_context, release, strict_client
from monitor.exchange.ledger import EVERY_S as LEDGER_EVERY_S
from monitor.exchange.market_data import MarketData
from monitor.exchange.modes import Mode, mode_error
from monitor.exchange.resting import EVERY_S
from monitor.exchange.source import AccountSource
from monitor.exchange.venues import (
    binancecoinm,
    binanceusdm,
    bingx,
    bitget,
    bybit,
    deribit,
    gate,
    hyperliquid,
    krakenfutures,
    kucoinfutures,
    mexc,
    okx,
)
from monitor.exchange.venues.figures import Exactness, Figure
from monitor.exchange.venues.generic import GenericVenue
from monitor.exchange.venues.venue import Venue

__all__ = ["AccountAccess", "Exchanges", "Mode", "coverage", "exact_venues", "is_venue", "mode_error", "venue_of"]

_EXACT: Mapping[str, Venue] = {
    venue.id: venue
    for venue in (
        binanceusdm.VENUE,
        binancecoinm.VENUE,
        bybit.VENUE,
        okx.VENUE,
        bitget.VENUE,
        gate.VENUE,
        kucoinfutures.VENUE,
        hyperliquid.VENUE,
        krakenfutures.VENUE,
        deribit.VENUE,
        mexc.VENUE,
        bingx.VENUE,
    )
}
# Shared marks are read anew when older than this share of the asking account's poll interval.
MARKS_AGE_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAccess:
    """How one account is reached. `credentials` by ccxt's names: apiKey, secret, password, walletAddress, uid ...

    `needs`: what some rule judges by, and so is read beside the account.
    """

    name: str
    venue: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_url: str | None = None
    mode: Mode = Mode.LIVE
    proxy: str | None = None
    read_deadline_s: float = 10.0
    poll_interval_s: float = 10.0
    needs: frozenset[Need] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    """Accounts of one venue, in one mode, at one base URL behind one egress address."""

    venue: Venue
    shared: Shared
    public: Any
    market: MarketData
    sources: list[AccountSource] = field(default_factory=list)


_GroupKey = tuple[str, Mode, str | None, str | None]


def venue_of(venue_id: str) -> Venue:
    """The reader of that venue: its own module, or the generic one. Raises ValueError where ccxt knows no such id."""
    if not is_venue(venue_id):
        raise ValueError(f"ccxt knows no exchange {venue_id!r}")
    return _EXACT.get(venue_id) or GenericVenue(id=venue_id)


def exact_venues() -> tuple[str, ...]:
    """Those with a reader of their own."""
    return tuple(_EXACT)


def coverage(venue_id: str) -> tuple[str, ...]:
    """Sentences on what is read exactly from that venue, and what is not."""
    return venue_of(venue_id).coverage


def _orders_every_s(access: AccountAccess, venue: Venue) -> float | None:
    """None as well where the venue's reader declares that it never tells them."""
    tells = venue.figures[Figure.STOP_ORDERS].exactness is not Exactness.UNKNOWN
    return max(EVERY_S, access.poll_interval_s) if Need.ORDERS in access.needs and tells else None


def _ledger_every_s(access: AccountAccess) -> float | None:
    return max(LEDGER_EVERY_S, access.poll_interval_s) if Need.LEDGER in access.needs else None


class Exchanges:
    """Open accounts inside a running event loop; `close` when done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ssl_context = new_ssl_context()
        self._session: aiohttp.ClientSession | None = None
        self._groups: dict[_GroupKey, _Group] = {}
        # They outlive their groups: an edited configuration must not make a ban forgotten.
        self._budgets: dict[_GroupKey, Budget] = {}

    def open_account(self, access: AccountAccess) -> AccountSource:
        """Nothing is sent yet. Raises ValueError for an unknown venue or a proxy that is no http(s) URL."""
        group = self._group(access)
        client = strict_client(
            access.venue,
            access.credentials,
            rules=group.venue.rules,
            shared=group.shared,
            base_url=access.base_url,
            mode=access.mode,
            proxy=access.proxy,
            options=access.options,
            public=group.public,
        )
        source = AccountSource(
            access.name,
            group.venue,
            client,
            group.market,
            self._clock,
            deadline_s=access.read_deadline_s,
            marks_max_age_s=access.poll_interval_s * MARKS_AGE_SHARE,
            orders_every_s=_orders_every_s(access, group.venue),
            ledger_every_s=_ledger_every_s(access),
            needs=access.needs,
        )
        group.sources.append(source)
        return source

    async def close_account(self, source: AccountSource) -> None:
        """The last account of a group takes what they shared with it."""
        await source.close()
        for key, group in list(self._groups.items()):
            if source in group.sources:
                group.sources.remove(source)
                if not group.sources:
                    del self._groups[key]
                    await self._close_group(group)

    async def close(self) -> None:
        groups = list(self._groups.values())
        self._groups.clear()
        for group in groups:
            await self._close_group(group)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _close_group(self, group: _Group) -> None:
        await group.market.close()
        for source in group.sources:
            await source.close()
        release(group.public)

    def _group(self, access: AccountAccess) -> _Group:
        key = (access.venue, access.mode, access.base_url, access.proxy)
        if key not in self._groups:
            self._groups[key] = self._new_group(access, key)
        return self._groups[key]

    def _new_group(self, access: AccountAccess, key: _GroupKey) -> _Group:
        if access.proxy is not None and not access.proxy.startswith(("http://", "https://")):
            raise ValueError(f"account {access.name}: the proxy must be an http:// or https:// URL")
        venue = venue_of(access.venue)
        if self._session is None:
            self._session = new_session(self._ssl_context)
        shared = Shared(
            clock=self._clock,
            session=self._session,
            ssl_context=self._ssl_context,
            budget=self._budget(venue, key),
            offset=ClockOffset(),
            patience_s=access.read_deadline_s,
        )
        public = strict_client(
            access.venue,
            {},
            rules=venue.rules,
            shared=shared,
            base_url=access.base_url,
            mode=access.mode,
            proxy=access.proxy,
            options=access.options,
        )
        market = MarketData(venue, public, self._clock, deadline_s=access.read_deadline_s)
        return _Group(venue, shared, public, market)

    def _budget(self, venue: Venue, key: _GroupKey) -> Budget:
        if key not in self._budgets:
            self._budgets[key] = Budget(
                weight_per_minute=venue.weight_per_minute,
                calls_per_second=venue.calls_per_second,
                paces=venue.rules.paces,
                clock=self._clock,
            )
        return self._budgets[key]
