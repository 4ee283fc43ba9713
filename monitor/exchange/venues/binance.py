"""What Binance's two futures exchanges share: account modes and how they are told, settings, orders, records, keys.

Markets, accounts, orders are parsed next door. Weights, limits and fields as Binance's documentation gives them; fapi,
dapi (2,400 each), papi (6,000) and sapi (12,000 of each endpoint) count an address's minute apart. One budget of 2,400
holds for all of them together, in which papi's weights count as a share of its larger limit. X-MBX-USED-WEIGHT-1M of
the venue's own API is taken over. fundingInfo weighs nothing and has a limit of its own, 500 in five minutes.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, TypeVar

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Book, Tiers
from monitor.domain.study import Candle, Frame
from monitor.exchange.budget import CALLS_PER_SECOND
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import boolean, flag, mapping, number, text
from monitor.exchange.venues.binance_income import income
from monitor.exchange.venues.binance_market import Family, call, mark
from monitor.exchange.venues.binance_orders import ends, stop_orders
from monitor.exchange.venues.bookings import merged
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Extras,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    clock_ahead_s,
    marks_of,
)

T = TypeVar("T")
D = TypeVar("D")

WEIGHT_PER_MINUTE, PAPI_WEIGHT_PER_MINUTE = 2400, 6000
SAPI_READS = {
    "sapiGetAccountApiRestrictions": ("/sapi/v1/account/apiRestrictions", 1),
    "sapiGetAccountInfo": ("/sapi/v1/account/info", 1),
    "sapiGetPortfolioAccount": ("/sapi/v1/portfolio/account", 5),
}

KINDS_BY_CODE: Mapping[str, FailureKind] = {
    "-1001": FailureKind.OVERLOADED,
    "-1002": FailureKind.PERMISSION,
    "-1003": FailureKind.RATE_LIMIT,
    "-1007": FailureKind.OVERLOADED,
    "-1008": FailureKind.OVERLOADED,
    "-1016": FailureKind.MAINTENANCE,
    "-1021": FailureKind.CLOCK,
    "-1022": FailureKind.AUTH,
    "-2008": FailureKind.AUTH,
    "-2014": FailureKind.AUTH,
    "-2015": FailureKind.AUTH,
    # What sapi answers about a portfolio to an account that has none.
    "-21001": FailureKind.UNSUPPORTED,
}

KEY_STEPS = (
    "API Management > Create API > System generated; leave only 'Enable Reading' on, and under 'Restrict access to "
    "trusted IPs only' name this machine's address"
)
PORTFOLIO_MARGIN = "portfolio margin"
PORTFOLIO_UNKNOWN = "whether this account uses portfolio margin could not be determined; if it does, figures are wrong"
# accountType of sapi's portfolio account; the others are Portfolio Margin Pro, which is margined by other rules.
CLASSIC_PORTFOLIO = "PM_2"
TRADES = (
    "enableFutures",
    "enableSpotAndMarginTrading",
    "enableMargin",
    "enableVanillaOptions",
    "enablePortfolioMarginTrading",
    "enableFixApiTrade",
)
MOVES_FUNDS = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMode:
    """How an account in one mode is read: calls by ccxt's names, and who parses their replies."""

    account: Sequence[str]
    parse: Callable[[Sequence[Any], Instruments, AccountSettings], AccountReading]
    stops: Sequence[str]
    ends: Sequence[str]
    income: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceVenue(Extras):
    """One of the two exchanges, declared by its module.

    `families` are the APIs whose contracts its accounts may hold, its own first. `reads` are the endpoints that may be
    called, by ccxt's name: URL path and weight. `modes` by the words that `setup` (of classic accounts) tells them in,
    with the leverages set; without PORTFOLIO_MARGIN among them such accounts are refused, `instead` saying what to do.
    """

    id: str
    families: Sequence[Family]
    reads: Mapping[str, tuple[str, int]]
    coverage: tuple[str, ...]
    figures: Figures = field(repr=False)
    modes: Mapping[str, AccountMode]
    setup: Callable[[Any], Coroutine[Any, Any, tuple[str, Mapping[str, float]]]]
    instead: str = ""
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "premiumIndex"
    key_steps: str = KEY_STEPS
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        reads = {**self.reads, **SAPI_READS}
        rules = Rules.of_reads(
            {name: path for name, (path, _) in reads.items()},
            weights={path: _share(path, weight) for path, weight in reads.values()},
            kinds_by_code=KINDS_BY_CODE,
            used_weight=self._used_weight,
        )
        object.__setattr__(self, "rules", rules)

    @property
    def own(self) -> Family:
        return self.families[0]

    async def read_instruments(self, client: Any) -> Instruments:
        """What another API lists is of use to portfolios alone and may fail: a position in it is then told loudly."""
        own, *others = await together(
            self.own.instruments(client, self.id),
            *(_or_else({}, client, partial(family.instruments, client, self.id)) for family in self.families[1:]),
        )
        return {raw: instrument for listed in (*others, own) for raw, instrument in listed.items()}

    async def read_settings(self, client: Any) -> AccountSettings:
        """Raises ReadError (unsupported) where the account is of a kind that this venue's reader does not read."""
        portfolio = await _portfolio(client)
        if portfolio is not None and portfolio not in ("", CLASSIC_PORTFOLIO):
            raise ReadError(
                FailureKind.UNSUPPORTED, f"the account uses Portfolio Margin Pro ({portfolio:.20}), which is not read"
            )
        if portfolio == CLASSIC_PORTFOLIO:
            if PORTFOLIO_MARGIN not in self.modes:
                raise ReadError(FailureKind.UNSUPPORTED, f"the account uses portfolio margin: {self.instead}")
            return AccountSettings(mode=PORTFOLIO_MARGIN)
        mode, leverages = await self.setup(client)
        caveats = (PORTFOLIO_UNKNOWN,) if portfolio is None else ()
        return AccountSettings(mode=mode, leverages=leverages, caveats=caveats)

    async def read_account(self, client: Any, settings: AccountSettings, /) -> Sequence[Any]:
        return await together(*(call(client, method) for method in self.modes[settings.mode].account))

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        return self.modes[settings.mode].parse(raw, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Mark | None]:
        """Of another API where something of it is held."""
        asked = [f for f in self.families[1:] if any(f.lists(instrument) for instrument in held.values())]
        own, *others = await together(
            self.own.mark_rows(client, instruments),
            *(_or_else({}, client, partial(family.mark_rows, client, instruments)) for family in asked),
        )
        return marks_of({symbol: row for told in (*others, own) for symbol, row in told.items()}, mark)

    async def read_funding_intervals(self, client: Any, instruments: Instruments) -> Mapping[str, timedelta]:
        own, *others = await together(
            self.own.intervals(client, instruments),
            *(_or_else({}, client, partial(family.intervals, client, instruments)) for family in self.families[1:]),
        )
        return {symbol: interval for told in (*others, own) for symbol, interval in told.items()}

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        asked = [f for f in self.families[1:] if any(f.lists(instrument) for instrument in held.values())]
        told = await together(*(family.tiers(client, instruments) for family in (self.own, *asked)))
        return {symbol: tiers for of in told for symbol, tiers in of.items()}

    async def read_candles(self, client: Any, raw: str, about: Instrument, frame: Frame, count: int, /) -> list[Candle]:
        return await self._family_of(about).candles(client, raw, frame, count)

    async def read_book(self, client: Any, raw: str, about: Instrument, /) -> Book:
        return await self._family_of(about).book(client, raw, about)

    def _family_of(self, about: Instrument) -> Family:
        return next(family for family in self.families if family.lists(about))

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        replies = await together(*(call(client, method) for method in self.modes[settings.mode].stops))
        return [order for reply in replies for order in stop_orders(reply, instruments)]

    async def read_ends(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        told = await together(*(ends(client, method, instruments, since) for method in self.modes[settings.mode].ends))
        return [end for of in told for end in of]

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        is_portfolio = settings.mode == PORTFOLIO_MARGIN
        methods = self.modes[settings.mode].income
        return merged(
            await together(
                *(income(client, method, instruments, since, of_portfolio=is_portfolio) for method in methods)
            )
        )

    async def read_key_facts(self, client: Any) -> KeyFacts:
        """A demo has no API that tells what a key may do."""
        if not _has_sapi(client):
            server = await call(client, f"{self.own.api}PublicGetTime")
            ahead_s = _ahead_s(client, server)
            return KeyFacts(may_trade=None, may_withdraw=None, ip_restricted=None, clock_ahead_s=ahead_s)
        restrictions, server = await together(
            call(client, "sapiGetAccountApiRestrictions"), call(client, f"{self.own.api}PublicGetTime")
        )
        allowed = mapping(restrictions, "apiRestrictions")
        # A reply that does not even name these tells nothing of the key.
        for name in ("enableFutures", "enableSpotAndMarginTrading", "enableWithdrawals", "permitsUniversalTransfer"):
            boolean(allowed, name)
        return KeyFacts(
            may_trade=any(flag(allowed, name) for name in TRADES),
            may_withdraw=any(flag(allowed, name) for name in MOVES_FUNDS),
            ip_restricted=boolean(allowed, "ipRestrict"),
            clock_ahead_s=_ahead_s(client, server),
        )

    def _used_weight(self, headers: Mapping[str, str], path: str) -> int | None:
        """Each API sends a count of its own under the same name; ours is what the limit is of."""
        used = headers.get("x-mbx-used-weight-1m", "")
        return int(used) if used.isdecimal() and path.startswith(f"/{self.own.api}/") else None


def _share(path: str, weight: int) -> int:
    """Of the budget."""
    return ceil(weight * WEIGHT_PER_MINUTE / PAPI_WEIGHT_PER_MINUTE) if path.startswith("/papi/") else weight


def _ahead_s(client: Any, server: Any) -> float:
    return clock_ahead_s(client, number(mapping(server, "time"), "serverTime"))


def _has_sapi(client: Any) -> bool:
    """Demo and testnet have no sapi, and neither portfolios."""
    return "sapi" in client.urls["api"]


async def _or_else(default: D, client: Any, read: Callable[[], Awaitable[T]]) -> T | D:
    """What another host tells, or the default: one that fails or hangs must not cost the read.

    It is asked here, so that nothing is left unasked of a read that was given up before it began.
    """
    try:
        async with client.shared.clock.deadline(client.shared.patience_s / 2):
            return await read()
    except (ReadError, TimeoutError):
        return default


async def _portfolio(client: Any) -> str | None:
    """The account's kind of portfolio, "" for none, None where the host that alone tells it cannot be asked.

    Two questions, since either alone may leave the other kind out; and one answer is enough, since the second may be
    refused, in words that are not documented, to an account without a portfolio.
    """
    if not _has_sapi(client):
        return ""
    asked = (partial(_retail, client), partial(_kind, client))
    retail, kind = await together(*(_or_else(None, client, read) for read in asked))
    if kind or retail:
        return kind or CLASSIC_PORTFOLIO
    return None if retail is None and kind is None else ""


async def _retail(client: Any) -> bool | None:
    enabled = mapping(await call(client, "sapiGetAccountInfo"), "account info").get("isPortfolioMarginRetailEnabled")
    return enabled if isinstance(enabled, bool) else None


async def _kind(client: Any) -> str | None:
    """ "" where sapi says that the account is none of a portfolio."""
    try:
        return text(mapping(await call(client, "sapiGetPortfolioAccount"), "portfolio account"), "accountType")
    except ReadError as refused:
        if refused.kind is FailureKind.UNSUPPORTED:
            return ""
        raise
