"""Bybit's unified trading account (UTA 2.0): linear contracts in USDT and USDC, inverse ones; three margin modes.

Sources: Bybit's V5 documents, replies recorded in ccxt's static tests, ccxt 4.5.90's `sign` and `handle_errors`.
Calls of a cycle: /v5/account/wallet-balance (accountType UNIFIED) and /v5/position/list three times (linear by
settleCoin USDT and USDC, inverse), 200 rows a page; the cursor is told with a last, short page as well. ccxt reads
linear USDT alone, one page. Public: /v5/market/tickers by category (mark, funding rate, interval, next time).
Envelope: `retCode` 0, else ccxt raises; the rows stand in `result.list`.
Limits (V5 documents, "Rate Limit Rules"): 600 requests in 5 s for an address (HTTP 403 "access too frequent" beyond, or
10018), each call some 10 to 50 a second for an account (10006); the X-Bapi-Limit headers tell the account's, and of one
call, so that they say nothing of the address.
Mode: /v5/account/info. Under REGULAR_MARGIN and PORTFOLIO_MARGIN all coins stand behind all positions: one pool in US
dollars, its ratio `accountMMRate` liquidates at 1. Under ISOLATED_MARGIN each position is a pool and the account-wide
fields mean nothing. Classic accounts and UTA 1.0, whose inverse contracts have a wallet of their own, are refused.
Option positions are not read, but owe maintenance in the coins' sums: whether there are any belongs to the mode.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tier, Tiers, continuous_amount
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError, Reply
from monitor.exchange.together import in_slices, together
from monitor.exchange.values import (
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
    word,
)
from monitor.exchange.venues import bybit_account as account
from monitor.exchange.venues import bybit_ledger as ledger
from monitor.exchange.venues import bybit_prices
from monitor.exchange.venues.bookings import Cursor, Page, read_bookings
from monitor.exchange.venues.bybit_figures import COVERAGE, FIGURES
from monitor.exchange.venues.bybit_prices import BybitPrices, mark
from monitor.exchange.venues.bybit_records import end, key_facts, stop_order
from monitor.exchange.venues.coins import dollar_rates
from monitor.exchange.venues.contracts import a_contract, ends_in, instrument_of
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    clock_ahead_s,
    marks_of,
)

# 600 requests in 5 s, whatever they are.
WEIGHT_PER_MINUTE = 7200
CALLS_PER_SECOND = 100
READS = {
    "publicGetV5MarketTime": "/v5/market/time",
    "publicGetV5MarketInstrumentsInfo": "/v5/market/instruments-info",
    "publicGetV5MarketTickers": "/v5/market/tickers",
    "publicGetV5MarketRiskLimit": "/v5/market/risk-limit",
    "privateGetV5AccountInfo": "/v5/account/info",
    "privateGetV5AccountWalletBalance": "/v5/account/wallet-balance",
    "privateGetV5PositionList": "/v5/position/list",
    "privateGetV5OrderRealtime": "/v5/order/realtime",
    "privateGetV5ExecutionList": "/v5/execution/list",
    "privateGetV5AccountTransactionLog": "/v5/account/transaction-log",
    "privateGetV5UserQueryApi": "/v5/user/query-api",
    **bybit_prices.READS,
}
Query = Mapping[str, str | int]
SCOPES: tuple[Query, ...] = (
    {"category": "linear", "settleCoin": "USDT"},
    {"category": "linear", "settleCoin": "USDC"},
    {"category": "inverse"},
)
LISTED: tuple[Query, ...] = (
    {"category": "linear"},
    {"category": "linear", "status": "PreLaunch"},
    {"category": "inverse"},
)
CATEGORIES = ("linear", "inverse")
# Rows of a page as the venue allows them, and as many pages as any account or market fills.
INSTRUMENTS_PAGE, POSITIONS_PAGE, ORDERS_PAGE, EXECUTIONS_PAGE = 1000, 200, 50, 100
MAX_PAGES = 20
# Records are told of so long a time at most.
RECORDS_KEPT = timedelta(days=7) - timedelta(minutes=1)
# Marks older than this are a feed that stands still.
MAX_MARK_AGE_MS = 60_000
BRACKETS_AT_ONCE = 5

ISOLATED, PORTFOLIO = "isolated margin", "portfolio margin"
MARGIN_MODES = {"REGULAR_MARGIN": "cross margin", "ISOLATED_MARGIN": ISOLATED, "PORTFOLIO_MARGIN": PORTFOLIO}
UNIFIED_STATUSES = (5, 6)
OPTIONS_HELD = "options held"
# An address that asked too much is told so with HTTP 403, as one in a country that is not served; and must let ten
# minutes pass.
TOO_FREQUENT, BAN_S = "access too frequent", 600.0
KINDS_BY_CODE: Mapping[str, FailureKind] = {
    TOO_FREQUENT: FailureKind.BANNED,
    "10000": FailureKind.OVERLOADED,
    "10002": FailureKind.CLOCK,
    "10003": FailureKind.AUTH,
    "10004": FailureKind.AUTH,
    "10005": FailureKind.PERMISSION,
    "10006": FailureKind.RATE_LIMIT,
    "10007": FailureKind.AUTH,
    "10008": FailureKind.PERMISSION,
    "10009": FailureKind.BANNED,
    "10010": FailureKind.PERMISSION,
    "10016": FailureKind.OVERLOADED,
    "10017": FailureKind.UNSUPPORTED,
    "10018": FailureKind.RATE_LIMIT,
    "10020": FailureKind.UNSUPPORTED,
    "10024": FailureKind.REGION,
    "10027": FailureKind.PERMISSION,
    "10028": FailureKind.UNSUPPORTED,
    "10029": FailureKind.PERMISSION,
    "33004": FailureKind.AUTH,
}


def _own_limit(reply: Reply) -> datetime | None:
    """An account's calls of one second."""
    return reply.reset_at("x-bapi-limit-reset-timestamp") if reply.code == "10006" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitVenue(BybitPrices):
    id: str = "bybit"
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "tickers"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = (
        "API > Create New Key > System-generated; choose 'Read-Only' and tick the reads of Contract, USDC Contract and "
        "Unified Trading; under 'Only IPs with permissions granted' name this machine's address"
    )
    rules: Rules = field(
        default=Rules.of_reads(
            READS, kinds_by_code=KINDS_BY_CODE, words=(TOO_FREQUENT,), ban_s=BAN_S, own_limit=_own_limit
        ),
        repr=False,
    )

    async def read_instruments(self, client: Any) -> Instruments:
        found = await together(
            *(pages(client.publicGetV5MarketInstrumentsInfo, query, INSTRUMENTS_PAGE) for query in LISTED)
        )
        listed: dict[str, Instrument] = {}
        for query, contracts in zip(LISTED, found, strict=True):
            async for row in in_slices(contracts):
                instrument = self._instrument(client, row, inverse=query["category"] == "inverse")
                if instrument is not None:
                    listed[text(row, "symbol")] = instrument
        if not listed:
            raise malformed("instruments-info lists no contract")
        return listed

    def _instrument(self, client: Any, row: Row, *, inverse: bool) -> Instrument | None:
        """None for what is no contract between known currencies; a position in it fails loudly, as one not listed.

        ccxt takes the smallest order of an inverse contract for its size; positions are counted in dollars.
        """
        coins = [row.get(key) for key in ("baseCoin", "quoteCoin", "settleCoin")]
        kind = row.get("contractType")
        if not isinstance(kind, str) or not all(isinstance(coin, str) and coin for coin in coins):
            return None
        base, quote, settle = (client.safe_currency_code(coin) for coin in coins)
        dated = ""
        if not kind.endswith("Perpetual"):
            delivery_ms = _delivery_ms(row)
            if delivery_ms is None:
                return None
            dated = f"-{time_of(delivery_ms):%y%m%d}"
        return a_contract(self.id, (base, quote, settle), 1.0, inverse=inverse, dated=dated)

    async def read_settings(self, client: Any, /) -> AccountSettings:
        info, options = await together(_result(client.privateGetV5AccountInfo), _options_held(client))
        status = number(info, "unifiedMarginStatus")
        if status not in UNIFIED_STATUSES:
            raise ReadError(
                FailureKind.UNSUPPORTED,
                f"the account is no unified trading account 2.0 (unifiedMarginStatus {status:g}): upgrade it at Bybit",
            )
        margin = MARGIN_MODES.get(text(info, "marginMode"))
        if margin is None:
            raise ReadError(FailureKind.UNSUPPORTED, f"unknown margin mode {info['marginMode']!s:.40}")
        caveats = ("options are held, which are not read: their margin stands in the account's totals",)
        return AccountSettings(
            mode=f"unified, {margin}" + (f", {OPTIONS_HELD}" if options else ""), caveats=caveats if options else ()
        )

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> tuple[Row, list[list[Row]]]:
        """(wallet balance, position lists in the order of SCOPES)."""
        wallet, *listed = await together(
            _result(client.privateGetV5AccountWalletBalance, {"accountType": "UNIFIED"}),
            *(pages(client.privateGetV5PositionList, query, POSITIONS_PAGE) for query in SCOPES),
        )
        return wallet, listed

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        wallet, listed = raw
        isolated, portfolio = ISOLATED in settings.mode, PORTFOLIO in settings.mode
        unified = account.account_row(wallet)
        coins = account.coins_of(unified)
        rates = dollar_rates(coins, value="usdValue", equity="equity")
        positions = tuple(
            account.position(row, instruments, isolated=isolated, portfolio=portfolio, rates=rates)
            for row in account.held([row for rows_of_scope in listed for row in rows_of_scope])
        )
        return AccountReading(
            margins=tuple(map(account.isolated_pool, positions)) if isolated else (account.unified_pool(unified),),
            positions=positions,
            collateral=account.collateral(coins),
            margin_in_use=account.margin_in_use(coins, positions, options_held=OPTIONS_HELD in settings.mode),
            caveats=settings.caveats,
        )

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        replies = await together(
            *(_call(client.publicGetV5MarketTickers, {"category": category}) for category in CATEGORIES)
        )
        listed: dict[str, Row] = {}
        for reply in replies:
            if number(reply, "time") < client.milliseconds() - MAX_MARK_AGE_MS:
                raise ReadError(FailureKind.IMPLAUSIBLE, "mark prices stand still")
            for row in rows(mapping(reply.get("result"), "tickers").get("list"), "tickers.list"):
                if (instrument := instruments.get(text(row, "symbol"))) is not None:
                    listed[instrument.symbol] = row
        if not listed:
            raise malformed("tickers list no contract")
        return marks_of(listed, mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        """One contract a call: without a symbol, 15 contracts a page would take 40 calls."""
        turns = asyncio.Semaphore(BRACKETS_AT_ONCE)
        wanted = [(raw, instrument) for raw, instrument in instruments.items() if instrument.symbol in held]

        async def brackets(raw: str, instrument: Instrument) -> Tiers:
            category = "inverse" if instrument.inverse else "linear"
            async with turns:
                result = await _result(client.publicGetV5MarketRiskLimit, {"category": category, "symbol": raw})
            return tiers_of(rows(result.get("list"), "risk-limit.list"), raw)

        read = await together(*(brackets(raw, instrument) for raw, instrument in wanted))
        return {instrument.symbol: tiers for (_, instrument), tiers in zip(wanted, read, strict=True)}

    async def read_orders(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        queries = [{**query, "orderFilter": "StopOrder"} for query in SCOPES]
        listed = await together(*(pages(client.privateGetV5OrderRealtime, query, ORDERS_PAGE) for query in queries))
        return [stop_order(row, instrument_of(row, instruments)) for found in listed for row in found]

    async def read_ends(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        """Of seven days at most: Bybit tells no longer a time at once."""
        oldest = client.shared.clock.now() - RECORDS_KEPT
        start_ms = round(max(since, oldest).timestamp() * 1000)
        queries = [
            {"category": category, "execType": kind, "startTime": start_ms}
            for category in CATEGORIES
            for kind in ("BustTrade", "AdlTrade")
        ]
        listed = await together(*(pages(client.privateGetV5ExecutionList, query, EXECUTIONS_PAGE) for query in queries))
        return ends_in(chain(*listed), lambda row: end(row, instrument_of(row, instruments)))

    async def read_ledger(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        """Of seven days at most."""
        until = time_of(client.milliseconds())
        since = max(since, until - RECORDS_KEPT)
        query: dict[str, str | int] = {
            "accountType": "UNIFIED",
            "startTime": round(since.timestamp() * 1000),
            "endTime": round(until.timestamp() * 1000),
            "limit": ledger.PAGE,
        }

        async def ask(cursor: Cursor | None) -> Page:
            asked = query if cursor is None else {**query, "cursor": cursor}
            result = await _result(client.privateGetV5AccountTransactionLog, asked)
            page = rows(result.get("list"), "transaction-log.list")
            return Page(page, None if len(page) < ledger.PAGE else word(result, "nextPageCursor") or None)

        return await read_bookings(
            ask,
            lambda row: ledger.entries(client, row, instruments),
            ledger.booked_at,
            since=since,
            until=until,
            max_pages=ledger.MAX_PAGES,
        )

    async def read_key_facts(self, client: Any) -> KeyFacts:
        reply = await _call(client.privateGetV5UserQueryApi, {})
        ahead_s = clock_ahead_s(client, number(reply, "time"))
        return key_facts(mapping(reply.get("result"), "query-api"), ahead_s=ahead_s)


async def _call(method: Any, query: Query) -> Row:
    return mapping(await method(query), "reply")


async def _result(method: Any, query: Query | None = None) -> Row:
    return mapping((await _call(method, query or {})).get("result"), "result")


async def pages(method: Any, query: Query, limit: int) -> list[Row]:
    """All rows, page by page. A page that is not full is the last; a cursor that comes again is malformed."""
    found: list[Row] = []
    cursors: set[object] = set()
    asked: dict[str, Any] = {**query, "limit": limit}
    for _ in range(MAX_PAGES):
        result = await _result(method, asked)
        page = rows(result.get("list"), "list")
        found += page
        cursor = result.get("nextPageCursor")
        if len(page) < limit or not cursor:
            return found
        if cursor in cursors:
            raise malformed("a page follows itself")
        cursors.add(cursor)
        asked["cursor"] = cursor
    raise malformed(f"more than {MAX_PAGES} pages of {limit} rows")


async def _options_held(client: Any) -> bool:
    """A key that may not read options is of an account whose options cannot be known: then there may be some."""
    try:
        result = await _result(client.privateGetV5PositionList, {"category": "option"})
    except ReadError as failed:
        if failed.kind is FailureKind.PERMISSION:
            return True
        raise
    return any(not_negative(row, "size") > 0 for row in rows(result.get("list"), "options"))


def _delivery_ms(row: Row) -> float | None:
    try:
        return optional_positive(row, "deliveryTime")
    except ReadError:
        return None


def tiers_of(brackets: Sequence[Row], raw: str) -> Tiers:
    """`mmDeduction` is empty in the lowest bracket, and in all of some contracts: then maintenance is made continuous.

    Bybit's documents show rates in percent, its replies fractions: the unit is told by initialMargin x maxLeverage.
    """
    tiers: list[Tier] = []
    for row in sorted(brackets, key=lambda row: positive(row, "riskLimitValue")):
        if text(row, "symbol") != raw:
            raise malformed(f"risk-limit: asked for {raw}, told of another contract")
        product = positive(row, "initialMargin") * positive(row, "maxLeverage")
        unit = next((unit for unit in (1, 100) if 0.9 < product / unit < 1.1), None)
        if unit is None:
            raise malformed(f"{raw}: initialMargin and maxLeverage make {product:g}, neither 1 nor 100")
        rate = positive(row, "maintenanceMargin") / unit
        floor = tiers[-1].cap if tiers else 0.0
        continuous = continuous_amount(tiers, floor, rate)
        told = optional_number(row, "mmDeduction")
        if positive(row, "riskLimitValue") == floor:
            raise malformed(f"{raw}: a bracket is listed twice")
        tiers.append(Tier(floor, positive(row, "riskLimitValue"), rate, continuous if told is None else told))
    if not tiers:
        raise malformed(f"{raw} has no brackets")
    return tuple(tiers)


VENUE = BybitVenue()
