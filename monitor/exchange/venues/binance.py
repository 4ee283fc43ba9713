"""What Binance's two futures exchanges share: how they are asked, and their markets; accounts are parsed next door.

Weights, limits and fields as Binance's documentation gives them (fapi and dapi count separately, 2,400 a minute each).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import ccxt.async_support as ccxt

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.market import Tier, Tiers
from monitor.exchange.budget import CALLS_PER_SECOND
from monitor.exchange.client import Rules
from monitor.exchange.failures import BROKEN_PARSING, ReadError
from monitor.exchange.together import Lazy, together
from monitor.exchange.values import (
    Row,
    boolean,
    interval_of,
    malformed,
    mapping,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
    time_of,
)
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Held, Instruments, KeyFacts, Mark

WEIGHT_PER_MINUTE = 2400
# fundingInfo lists only symbols whose terms were adjusted; the others pay every eight hours.
DEFAULT_FUNDING_INTERVAL = timedelta(hours=8)
# A mark older than this is a feed that stands still. Binance publishes marks every second or three.
MAX_MARK_AGE_MS = 60_000
ROWS_PER_SLICE = 25
SAPI_READS = {
    "sapiGetAccountApiRestrictions": ("/sapi/v1/account/apiRestrictions", 1),
    "sapiGetAccountInfo": ("/sapi/v1/account/info", 1),
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
}

KEY_STEPS = (
    "API Management > Create API > System generated; leave only 'Enable Reading' on, and under 'Restrict access to "
    "trusted IPs only' name this machine's address"
)
PORTFOLIO_UNKNOWN = "whether this account uses portfolio margin could not be determined; if it does, figures are wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceVenue:
    """One of the two exchanges, declared by its module. `api` is the family: fapi or dapi.

    `reads` are the endpoints that may be called, by ccxt's name: URL path and weight. `quantity` names the brackets'
    measure.
    """

    id: str
    api: str
    reads: Mapping[str, tuple[str, int]]
    brackets_method: str
    quantity: str
    coverage: tuple[str, ...]
    figures: Figures = field(repr=False)
    account_methods: Sequence[str]
    parse: Callable[[Sequence[Any], Instruments, AccountSettings], AccountReading]
    leverages: Callable[[Any], Coroutine[Any, Any, Mapping[str, float]]] | None = None
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "premiumIndex"
    key_steps: str = KEY_STEPS
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        reads = {**self.reads, **SAPI_READS}
        weights = dict(reads.values())
        rules = Rules(
            calls=frozenset(reads),
            permits=lambda method, path: method == "GET" and path in weights,
            weights=weights,
            kinds_by_code=KINDS_BY_CODE,
            used_weight=_used_weight,
        )
        object.__setattr__(self, "rules", rules)

    async def read_instruments(self, client: Any) -> Instruments:
        """By ccxt's own parser, in slices: all 600 rows at once would hold the event loop for 90 ms."""
        info = mapping(await _call(client, f"{self.api}PublicGetExchangeInfo"), "exchangeInfo")
        listed: dict[str, Instrument] = {}
        for count, row in enumerate(rows(info.get("symbols"), "exchangeInfo.symbols")):
            instrument = self._instrument(client, row)
            if instrument is not None:
                listed[text(row, "symbol")] = instrument
            if count % ROWS_PER_SLICE == ROWS_PER_SLICE - 1:
                await asyncio.sleep(0)
        if not listed:
            raise malformed("exchangeInfo lists no contract")
        return listed

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """None for what is no contract between known currencies; a position in it fails loudly, as one not listed."""
        if not all(isinstance(row.get(key), str) for key in ("symbol", "baseAsset", "quoteAsset", "marginAsset")):
            return None
        try:
            market = client.parse_market(row)
        except (*BROKEN_PARSING, ccxt.BaseError):
            return None
        if market is None or not (market["linear"] or market["inverse"]) or not market["contractSize"]:
            return None
        return Instrument(
            venue=self.id,
            symbol=market["symbol"],
            base=market["base"],
            quote=market["quote"],
            settle=market["settle"],
            contract_size=positive(market, "contractSize"),
            inverse=bool(market["inverse"]),
        )

    async def read_settings(self, client: Any) -> AccountSettings:
        """Classic single-asset accounts alone are understood; others raise ReadError (unsupported)."""
        leverages, portfolio = await together(
            (self.leverages or _told_elsewhere)(client), _uses_portfolio_margin(client)
        )
        if portfolio:
            raise ReadError(FailureKind.UNSUPPORTED, "the account uses portfolio margin, which is not read yet")
        return AccountSettings(leverages=leverages, caveats=(PORTFOLIO_UNKNOWN,) if portfolio is None else ())

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> Sequence[Any]:
        return await together(*(_call(client, method) for method in self.account_methods))

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        return self.parse(raw, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        reply = rows(await _call(client, f"{self.api}PublicGetPremiumIndex"), "premiumIndex")
        listed = {
            instrument.symbol: row for row in reply if (instrument := instruments.get(text(row, "symbol"))) is not None
        }
        if not listed:
            raise malformed("premiumIndex lists no contract")
        oldest_ms = client.milliseconds() - MAX_MARK_AGE_MS
        if all(number(row, "time") < oldest_ms for row in listed.values()):
            newest_ms = max(number(row, "time") for row in listed.values())
            raise ReadError(FailureKind.IMPLAUSIBLE, f"mark prices stand still since {time_of(newest_ms):%H:%M:%S} UTC")
        return Lazy(listed, _mark)

    async def read_funding_intervals(self, client: Any, instruments: Instruments) -> Mapping[str, timedelta]:
        reply = rows(await _call(client, f"{self.api}PublicGetFundingInfo"), "fundingInfo")
        adjusted = {text(row, "symbol"): interval_of(number(row, "fundingIntervalHours")) for row in reply}
        return {i.symbol: adjusted.get(raw, DEFAULT_FUNDING_INTERVAL) for raw, i in instruments.items()}

    async def read_tiers(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        reply = rows(await _call(client, self.brackets_method), "leverageBracket")
        tiers: dict[str, Tiers] = {}
        for count, row in enumerate(reply):
            instrument = instruments.get(text(row, "symbol"))
            if instrument is not None:
                tiers[instrument.symbol] = self._tiers(rows(row.get("brackets"), "brackets"))
            if count % ROWS_PER_SLICE == ROWS_PER_SLICE - 1:
                await asyncio.sleep(0)
        return tiers

    def _tiers(self, brackets: Sequence[Row]) -> Tiers:
        # COIN-M's documentation spells the floor both ways.
        floor = f"{self.quantity}lFloor" if brackets and f"{self.quantity}lFloor" in brackets[0] else None
        parsed = [
            Tier(
                not_negative(row, floor or f"{self.quantity}Floor"),
                positive(row, f"{self.quantity}Cap"),
                not_negative(row, "maintMarginRatio"),
                not_negative(row, "cum"),
            )
            for row in brackets
        ]
        if len({tier.floor for tier in parsed}) < len(parsed):
            raise malformed("a bracket is listed twice")
        return tuple(sorted(parsed, key=lambda tier: tier.floor))

    async def read_orders(self, *_: Any) -> Sequence[StopOrder]:
        raise ReadError(FailureKind.UNSUPPORTED, f"stop orders of {self.id} are not read")

    async def read_ends(self, *_: Any) -> Sequence[End]:
        raise ReadError(FailureKind.UNSUPPORTED, f"{self.id}'s records of liquidations are not read")

    async def read_key_facts(self, client: Any) -> KeyFacts:
        restrictions, server = await together(
            _call(client, "sapiGetAccountApiRestrictions"), _call(client, f"{self.api}PublicGetTime")
        )
        allowed = mapping(restrictions, "apiRestrictions")
        # A reply that does not even name these tells nothing of the key.
        for name in ("enableFutures", "enableSpotAndMarginTrading", "enableWithdrawals", "permitsUniversalTransfer"):
            boolean(allowed, name)
        ours_ms = client.shared.clock.now().timestamp() * 1000
        return KeyFacts(
            may_trade=any(
                allowed.get(name) is True
                for name in (
                    "enableFutures",
                    "enableSpotAndMarginTrading",
                    "enableMargin",
                    "enableVanillaOptions",
                    "enablePortfolioMarginTrading",
                    "enableFixApiTrade",
                )
            ),
            may_withdraw=any(
                allowed.get(name) is True
                for name in ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
            ),
            ip_restricted=boolean(allowed, "ipRestrict"),
            clock_ahead_s=(ours_ms - number(mapping(server, "time"), "serverTime")) / 1000,
        )


def _used_weight(headers: Mapping[str, str]) -> int | None:
    used = headers.get("x-mbx-used-weight-1m", "")
    return int(used) if used.isdecimal() else None


def _mark(row: Row) -> Mark | None:
    """A row that is not sound makes its own mark unknown, and no other.

    A dated contract pays no funding: Binance leaves its rate empty and its next payment 0.
    """
    try:
        next_ms = optional_positive(row, "nextFundingTime")
        is_dated = row.get("lastFundingRate") == "" and row.get("nextFundingTime") in (0, "0")
        return Mark(
            price=positive(row, "markPrice"),
            funding_rate=0.0 if is_dated else optional_number(row, "lastFundingRate"),
            next_funding_at=time_of(next_ms) if next_ms else None,
        )
    except ReadError:
        return None


async def _call(client: Any, method: str) -> Any:
    return await getattr(client, method)()


async def _told_elsewhere(_: Any) -> Mapping[str, float]:
    """COIN-M tells the leverage with each position."""
    return {}


async def _uses_portfolio_margin(client: Any) -> bool | None:
    """None where the spot host, which alone tells it, cannot be asked; a host that hangs must not cost the read."""
    try:
        async with client.shared.clock.deadline(client.shared.patience_s / 2):
            info = await _call(client, "sapiGetAccountInfo")
    except (ReadError, TimeoutError):
        return None
    enabled = info.get("isPortfolioMarginRetailEnabled") if isinstance(info, dict) else None
    return enabled if isinstance(enabled, bool) else None
