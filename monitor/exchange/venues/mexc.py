"""MEXC futures (contract API v1), linear and inverse, one-way and hedge mode, cross and isolated.

Two signed calls a cycle, then the fair prices of what is held: `account/assets` holds the money of each currency,
`position/open_positions` the positions (no pages), `fair_price/{symbol}` a mark each (one `ticker` of all contracts
where more than a few are held). Each endpoint is counted by itself and allows 20 calls in two seconds, `detail` and
`ticker` 10: the public ones an address, as MEXC's rule is that calls without a key count by address, the signed ones an
account. No header tells what is used.

Envelope: success true and the answer in `data`; refusals come with HTTP 200, success false and a code. MEXC tells
neither maintenance nor a ratio of the account: maintenance is estimated by the tiers of `contract/detail`.
Sources: www.mexc.com/api-docs/futures, and arithmetic on recorded positions where that is said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tier, Tiers
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import (
    SMALLEST,
    Row,
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
from monitor.exchange.venues import mexc_ledger, mexc_prices
from monitor.exchange.venues.contracts import a_contract
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.mexc_account import COVERAGE, FIGURES, held_symbols, parse
from monitor.exchange.venues.mexc_orders import ends, key_facts, listed, stops, told
from monitor.exchange.venues.mexc_prices import MexcPrices
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    marks_of,
)

# Ours, over all endpoints: MEXC counts each by itself, and bans addresses that do not heed it.
CALLS_PER_MINUTE = 1200
CALLS_PER_SECOND = 20
# More fair prices than these are cheaper all at once, in one reply of half a megabyte.
FAIR_PRICES_ONE_BY_ONE = 5
# Funding terms are told contract by contract; of more than these, interval and next payment are not asked for.
FUNDING_ONE_BY_ONE = 40
MAX_MARK_AGE_MS = 60_000
MAX_LEVELS = 100

_PUBLIC, _PRIVATE = "/api/v1/contract", "/api/v1/private"
# What may be called, by ccxt's name.
READS: Mapping[str, str] = {
    "contractPublicGetPing": f"{_PUBLIC}/ping",
    "contractPublicGetDetail": f"{_PUBLIC}/detail",
    "contractPublicGetTicker": f"{_PUBLIC}/ticker",
    "contractPublicGetFairPriceSymbol": f"{_PUBLIC}/fair_price/{{symbol}}",
    "contractPublicGetFundingRateSymbol": f"{_PUBLIC}/funding_rate/{{symbol}}",
    **mexc_prices.READS,
    "contractPrivateGetPositionPositionMode": f"{_PRIVATE}/position/position_mode",
    "contractPrivateGetPositionOpenPositions": f"{_PRIVATE}/position/open_positions",
    "contractPrivateGetPositionFundingRecords": f"{_PRIVATE}/position/funding_records",
    "contractPrivateGetAccountAssets": f"{_PRIVATE}/account/assets",
    "contractPrivateGetAccountTransferRecord": f"{_PRIVATE}/account/transfer_record",
    "contractPrivateGetStoporderOpenOrders": f"{_PRIVATE}/stoporder/open_orders",
    "contractPrivateGetPlanorderListOrders": f"{_PRIVATE}/planorder/list/orders",
    "contractPrivateGetTrackorderListOrders": f"{_PRIVATE}/trackorder/list/orders",
    "contractPrivateGetOrderListHistoryOrders": f"{_PRIVATE}/order/list/history_orders",
    "spotPrivateGetApiKeyInfo": "/api/v3/apiKeyInfo",
}
# A little less than an address is allowed.
PACES: Mapping[str, int] = {
    **dict.fromkeys((READS["contractPublicGetDetail"], READS["contractPublicGetTicker"]), 4),
    **{path: 9 for path in READS.values() if path.endswith("{symbol}")},
}

# www.mexc.com/api-docs/futures/error-code, and the spot API's for apiKeyInfo.
KINDS_BY_CODE: Mapping[str, FailureKind] = {
    **dict.fromkeys(("401", "402", "602", "1000", "10072", "700001", "700002"), FailureKind.AUTH),
    **dict.fromkeys(("406", "511", "701", "702", "703", "704", "700006", "700007"), FailureKind.PERMISSION),
    **dict.fromkeys(("500", "501", "503"), FailureKind.OVERLOADED),
    **dict.fromkeys(("604", "801"), FailureKind.MAINTENANCE),
    **dict.fromkeys(("10073", "700003"), FailureKind.CLOCK),
    "510": FailureKind.RATE_LIMIT,
}
MODES = {1: "hedge mode", 2: "one-way mode"}
KEY_STEPS = (
    "API Management > Create New API Key; tick only 'View Account Details' and 'View Order Details' under Futures, "
    "and under 'Link IP Address' name this machine's address: a key without one expires after 90 days"
)


RULES = Rules.of_reads(
    READS,
    paces=PACES,
    kinds_by_code=KINDS_BY_CODE,
    # ccxt would learn the time from the spot API.
    options={"defaultType": "swap"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MexcVenue(MexcPrices):
    id: str = "mexc"
    rules: Rules = field(default=RULES, repr=False)
    weight_per_minute: int = CALLS_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "contract/ticker"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = KEY_STEPS

    async def read_instruments(self, client: Any) -> Instruments:
        reply = listed(await client.contractPublicGetDetail(), "contract/detail")
        found = {row["symbol"]: it for row in reply if (it := self._instrument(client, row)) is not None}
        if not found:
            raise malformed("contract/detail lists no contract")
        return found

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """None for what is no perpetual between known currencies; a position in it fails loudly, as one not listed."""
        try:
            text(row, "symbol")
            base, quote, settle = (
                client.safe_currency_code(text(row, f"{name}Coin")) for name in ("base", "quote", "settle")
            )
            size = positive(row, "contractSize")
        except ReadError:
            return None
        if settle not in (base, quote) or row.get("futureType", 1) != 1:
            return None
        return a_contract(self.id, (base, quote, settle), size, inverse=settle == base)

    async def read_settings(self, client: Any, /) -> AccountSettings:
        """Both position modes are read alike. Multi-asset margin, which no call tells, is refused by what it owes."""
        told_mode = told(await client.contractPrivateGetPositionPositionMode(), "position_mode")
        mode = MODES.get(told_mode) if isinstance(told_mode, int) else None
        if mode is None:
            raise ReadError(FailureKind.UNSUPPORTED, f"position mode {told_mode!r:.40} is not known")
        return AccountSettings(mode=mode)

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> Any:
        """(assets, positions, fair prices by raw symbol)."""
        assets, positions = await together(
            client.contractPrivateGetAccountAssets(), client.contractPrivateGetPositionOpenPositions()
        )
        symbols = held_symbols(listed(positions, "open_positions"))
        return assets, positions, await _fair_prices(client, symbols)

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        assets, positions, marks = raw
        rows_of = listed(assets, "account/assets"), listed(positions, "open_positions")
        return parse(*rows_of, marks, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Mark | None]:
        tickers = await _tickers(client)
        by_symbol = {instrument.symbol: raw for raw, instrument in instruments.items()}
        asked = [by_symbol[symbol] for symbol in held if symbol in by_symbol]
        if len(asked) > FUNDING_ONE_BY_ONE:
            asked = []
        terms = dict(zip(asked, await together(*(_funding_terms(client, raw) for raw in asked)), strict=True))
        found = {
            instrument.symbol: (row, terms.get(raw))
            for raw, row in tickers.items()
            if (instrument := instruments.get(raw)) is not None
        }
        if not found:
            raise malformed("contract/ticker lists no contract")
        return marks_of(found, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        """MEXC counts its tiers in contracts: their edges are worked out at the marks of now."""
        detail, tickers = await together(client.contractPublicGetDetail(), _tickers(client))
        found: dict[str, Tiers] = {}
        for row in listed(detail, "contract/detail"):
            raw = row.get("symbol")
            instrument = instruments.get(raw) if isinstance(raw, str) else None
            if instrument is None or raw not in tickers:
                continue
            tiers = _tiers(row, instrument, optional_positive(tickers[raw], "fairPrice"))
            if tiers:
                found[instrument.symbol] = tiers
        return found

    async def read_orders(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        return await stops(client, instruments)

    async def read_ends(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        return await ends(client, instruments, since)

    async def read_ledger(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        return await mexc_ledger.read_ledger(client, instruments, since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        return await key_facts(client)


async def _fair_prices(client: Any, symbols: Sequence[str]) -> Mapping[str, float]:
    """By raw symbol. Raises ReadError (implausible) where one has stood still."""
    if len(symbols) > FAIR_PRICES_ONE_BY_ONE:
        tickers = await _tickers(client)
        return {raw: positive(tickers[raw], "fairPrice") for raw in symbols if raw in tickers}
    replies = await together(*(client.contractPublicGetFairPriceSymbol({"symbol": raw}) for raw in symbols))
    return {raw: _fair_price(client, raw, reply) for raw, reply in zip(symbols, replies, strict=True)}


def _fair_price(client: Any, raw: str, reply: object) -> float:
    row = mapping(told(reply, "fair_price"), "fair_price")
    if text(row, "symbol") != raw:
        raise malformed(f"fair_price of {raw} was answered with that of {row['symbol']:.40}")
    at_ms = number(row, "timestamp")
    if at_ms < client.milliseconds() - MAX_MARK_AGE_MS:
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"the fair price of {raw} stands still since {time_of(at_ms):%H:%M:%S}"
        )
    return positive(row, "fairPrice")


async def _tickers(client: Any) -> Mapping[str, Row]:
    return {text(row, "symbol"): row for row in listed(await client.contractPublicGetTicker(), "contract/ticker")}


async def _funding_terms(client: Any, raw: str) -> Row | None:
    """None where they cannot be read: the mark beside them is worth more."""
    try:
        reply = await client.contractPublicGetFundingRateSymbol({"symbol": raw})
        return mapping(told(reply, "funding_rate"), "funding_rate")
    except ReadError:
        return None


def _mark(row_and_terms: tuple[Row, Row | None]) -> Mark:
    row, terms = row_and_terms
    told_terms = terms or {}
    return Mark.told(
        price=positive(row, "fairPrice"),
        rate=optional_number(row if terms is None else terms, "fundingRate"),
        next_ms=optional_positive(told_terms, "nextSettleTime"),
        hours=optional_positive(told_terms, "collectCycle"),
    )


def _tiers(row: Row, instrument: Instrument, mark: float | None) -> Tiers | None:
    """The rate of a tier holds for the whole position; the liquidation fee is owed beside it. None where unknown."""
    try:
        fee = not_negative(row, "liquidationFeeRate")
        caps = [(_cap(row, instrument, mark, limit), rate + fee) for limit, rate in _limits(row)]
    except ReadError:
        return None
    floors = [0.0, *(cap for cap, _ in caps)]
    if any(floor >= cap for floor, (cap, _) in zip(floors, caps, strict=False)):
        return None
    return tuple(Tier(floor, cap, rate, 0.0) for floor, (cap, rate) in zip(floors, caps, strict=False))


def _limits(row: Row) -> Iterable[tuple[float, float]]:
    """(largest position, maintenance rate) of each tier, lowest first; of one side alone they are not taken."""
    if row.get("riskLongShortSwitch") not in (None, 0):
        raise malformed("the tiers of longs and shorts differ")
    mode = text(row, "riskLimitMode")
    if mode == "CUSTOM":
        return [
            (positive(level, "maxVol"), not_negative(level, "mmr"))
            for level in rows(row.get("riskLimitCustom"), "riskLimitCustom")
        ]
    if mode != "INCREASE":
        raise malformed(f"riskLimitMode: {mode:.40} is not known")
    first, step = positive(row, "riskBaseVol"), not_negative(row, "riskIncrVol")
    rate, rise = not_negative(row, "maintenanceMarginRate"), not_negative(row, "riskIncrMmr")
    levels = int(positive(row, "riskLevelLimit")) if step >= SMALLEST else 1
    return [(first + level * step, rate + level * rise) for level in range(min(levels, MAX_LEVELS))]


def _cap(row: Row, instrument: Instrument, mark: float | None, limit: float) -> float:
    """A tier's limit in settle units: told in contracts, or by value (not seen in a recorded reply)."""
    if row.get("riskLimitType") == "BY_VALUE" and not instrument.inverse:
        return limit
    if row.get("riskLimitType") != "BY_VOLUME" or mark is None:
        raise malformed("the tiers cannot be told in settle units")
    return instrument.notional(limit, mark)


VENUE = MexcVenue()
