"""Deribit: perpetual and dated futures settled in coins (inverse) and in USDC or USDT (linear), four margin models.

Sources: Deribit's documents (API v2, 2026), its support articles, Coinbase's guide to isolated positions of the same
API, replies recorded by others, ccxt 4.5.90's `sign` and `handle_errors`.
Calls of a cycle: get_account_summaries and get_positions, without pages; public, get_book_summary_by_currency for each
currency that contracts settle in. Each costs 500 credits of 10,000 a second, that is 20 calls, by subaccount and, where
unsigned, by address; get_instruments costs 10,000 of its own.
Envelope: `result`; refusals have `error` with a code, and HTTP 400.
Mode: `margin_model` of each currency, told with every read. Segregated currencies are a pool each; under cross
collateral every currency tells the one pool, converted, and its totals in US dollars. Deribit liquidates where
maintenance exceeds the margin balance; it tells no ratio.
Widened: `include_isolated`, without which isolated positions are hidden; where it is refused there are none to show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tiers
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError
from monitor.exchange.together import in_slices, together
from monitor.exchange.values import (
    Row,
    boolean,
    malformed,
    mapping,
    number,
    optional_number,
    positive,
    rows,
    text,
    time_of,
)
from monitor.exchange.venues import deribit_account as account
from monitor.exchange.venues import deribit_ledger, deribit_prices
from monitor.exchange.venues.contracts import a_contract, ends_in, instrument_of
from monitor.exchange.venues.deribit_figures import COVERAGE, FIGURES, KEY_STEPS
from monitor.exchange.venues.deribit_prices import DeribitPrices
from monitor.exchange.venues.deribit_records import end_of, key_facts, stop_orders
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

WEIGHT_PER_MINUTE = 1200
CALLS_PER_SECOND = 20
_API = "/api/v2"
READS = {
    "publicGetGetTime": f"{_API}/public/get_time",
    "publicGetGetInstruments": f"{_API}/public/get_instruments",
    "publicGetGetBookSummaryByCurrency": f"{_API}/public/get_book_summary_by_currency",
    **deribit_prices.READS,
    "privateGetGetAccountSummaries": f"{_API}/private/get_account_summaries",
    "privateGetGetPositions": f"{_API}/private/get_positions",
    "privateGetGetOpenOrders": f"{_API}/private/get_open_orders",
    "privateGetGetUserTradesByCurrencyAndTime": f"{_API}/private/get_user_trades_by_currency_and_time",
    "privateGetGetTransactionLog": f"{_API}/private/get_transaction_log",
    "privateGetListApiKeys": f"{_API}/private/list_api_keys",
}
# As ccxt names it before it signs.
_LOG = "/private/get_transaction_log"
FUTURES = {"kind": "future"}
ISOLATED = {"include_isolated": "true"}
PERPETUAL = "-PERPETUAL"
FUNDING_HOURS = 8
PAGE, MAX_PAGES = 1000, 20
# A refused signature that is older than this, or as much younger, may be refused for its time.
MAX_SKEW_MS = 5_000
# Trades are told at once for so long; older ones are asked for otherwise, and come a little late.
RECENT_TRADES = timedelta(hours=23)
# Summaries of which none is younger than this are a feed that stands still.
MAX_MARK_AGE_MS = 60_000

# docs.deribit.com, error codes.
KINDS_BY_CODE: Mapping[str, FailureKind] = {
    **dict.fromkeys(("10028", "10047", "10066"), FailureKind.RATE_LIMIT),
    **dict.fromkeys(("10040", "11094", "13028"), FailureKind.OVERLOADED),
    **dict.fromkeys(("10041", "11051", "13025"), FailureKind.MAINTENANCE),
    **dict.fromkeys(("10000", "13001", "13004", "13006", "13007", "13009"), FailureKind.AUTH),
    **dict.fromkeys(("9999", "11042", "13002", "13003", "13012", "13021"), FailureKind.PERMISSION),
    **dict.fromkeys(("-32601", "-32602", "10033", "13020"), FailureKind.UNSUPPORTED),
    "12005": FailureKind.REGION,
    "13888": FailureKind.TIMEOUT,
}
# What the documents let the log be asked for. An account has other coins as well (staked, tokenised), in which no
# contract is settled: whether they may be asked for nobody says, and each would cost as much as twenty calls.
CURRENCIES = frozenset({"BTC", "ETH", "USDC", "USDT", "EURR"})
# What a refusal of `include_isolated` may be: a word not known, or a key that is not of the main account.
NOT_SHOWN = (FailureKind.UNSUPPORTED, FailureKind.PERMISSION)

Query = Mapping[str, str | int]


def what_it_said(reply: Mapping[str, Any]) -> tuple[object, object]:
    """Code, and message with the reason that stands in `data`."""
    error = reply.get("error")
    if not isinstance(error, dict):
        return None, None
    data = error.get("data")
    told = [error.get("message"), data.get("reason") if isinstance(data, dict) else None]
    return error.get("code"), ", ".join(word for word in told if isinstance(word, str)) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeribitVenue(DeribitPrices):
    id: str = "deribit"
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "book_summary"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = KEY_STEPS
    rules: Rules = field(
        default=Rules.of_reads(
            READS,
            kinds_by_code=KINDS_BY_CODE,
            said=what_it_said,
            weights={_LOG: deribit_ledger.WEIGHT},
            paces={_LOG: deribit_ledger.CALLS_PER_SECOND},
        ),
        repr=False,
    )

    async def read_instruments(self, client: Any) -> Instruments:
        listed: dict[str, Instrument] = {}
        async for row in in_slices(rows(await _result(client.publicGetGetInstruments, FUTURES), "result")):
            instrument = self._instrument(client, row)
            if instrument is not None:
                listed[text(row, "instrument_name")] = instrument
        if not listed:
            raise malformed("get_instruments lists no future")
        return listed

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """None for what is not told whole; a position in it fails loudly, as one not listed."""
        try:
            coins = [text(row, f"{name}_currency") for name in ("base", "counter", "settlement")]
            is_dated = text(row, "settlement_period") != "perpetual"
            dated = f"-{time_of(positive(row, 'expiration_timestamp')):%y%m%d}" if is_dated else ""
            size = positive(row, "contract_size")
            base, quote, settle = (client.safe_currency_code(coin) for coin in coins)
        except ReadError:
            return None
        if row.get("kind") != account.FUTURE or settle not in (base, quote):
            return None
        return a_contract(self.id, (base, quote, settle), size, inverse=settle == base, dated=dated)

    async def read_settings(self, client: Any, /) -> AccountSettings:
        try:
            told = await _signed(client, client.privateGetGetAccountSummaries, ISOLATED)
        except ReadError as refused:
            if refused.kind not in NOT_SHOWN:
                raise
            told = await _signed(client, client.privateGetGetAccountSummaries)
        result = mapping(told, "result")
        return AccountSettings(mode=account.mode_of(result), parts=account.currencies_of(result))

    async def read_account(self, client: Any, settings: AccountSettings, /) -> tuple[Row, list[Row]]:
        """(summaries, positions)."""
        shown = _shown(settings)
        told, positions = await together(
            _signed(client, client.privateGetGetAccountSummaries, shown),
            _signed(client, client.privateGetGetPositions, {"currency": "any", **shown}),
        )
        return mapping(told, "result"), rows(positions, "result")

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        told, positions = raw
        return account.parse(told, positions, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        calls = (
            _result(client.publicGetGetBookSummaryByCurrency, {"currency": settle, **FUTURES})
            for settle in _settled_in(instruments)
        )
        summaries = [row for told in await together(*calls) for row in rows(told, "result")]
        newest_ms = max((number(row, "creation_timestamp") for row in summaries), default=0.0)
        if summaries and newest_ms < client.milliseconds() - MAX_MARK_AGE_MS:
            raise ReadError(FailureKind.IMPLAUSIBLE, "mark prices stand still")
        listed = {
            instruments[raw].symbol: row for row in summaries if (raw := text(row, "instrument_name")) in instruments
        }
        if not listed:
            raise malformed("get_book_summary_by_currency lists no future")
        return marks_of(listed, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, _client: Any, _instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        """No call tells them."""
        return {}

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        query = {"type": "trigger_all", **FUTURES, **_shown(settings)}
        listed = rows(await _result(client.privateGetGetOpenOrders, query), "result")
        return [
            order for row in listed for order in stop_orders(row, instrument_of(row, instruments, "instrument_name"))
        ]

    async def read_ends(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        """Liquidations alone, of the account itself."""
        now = client.shared.clock.now()
        query = {
            **FUTURES,
            "start_timestamp": round(since.timestamp() * 1000),
            "end_timestamp": round(now.timestamp() * 1000),
            "historical": "true" if now - since > RECENT_TRADES else "false",
        }
        method = client.privateGetGetUserTradesByCurrencyAndTime
        settles = _settled_in(instruments)
        found = await together(*(trades(method, {"currency": settle, **query}) for settle in settles))
        forced = [row for listed in found for row in listed if row.get("liquidation") is not None]
        return ends_in(forced, lambda row: end_of(row, instrument_of(row, instruments, "instrument_name")))

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        return await deribit_ledger.read_ledger(client, instruments, _booked_in(instruments, settings), since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        reply = mapping(await client.privateGetListApiKeys(), "reply")
        ahead_s = clock_ahead_s(client, number(reply, "usOut") / 1000)
        return key_facts(rows(reply.get("result"), "result"), client.apiKey, ahead_s=ahead_s)


# --- asking ---


async def _result(method: Any, query: Query | None = None) -> object:
    return mapping(await method(query or {}), "reply").get("result")


async def _signed(client: Any, method: Any, query: Query | None = None) -> object:
    """Raises ReadError (clock) where a refused signature may be our clock's fault: the refusal does not tell."""
    try:
        return await _result(method, query)
    except ReadError as refused:
        if refused.kind is FailureKind.AUTH and abs(await _ahead_ms(client)) > MAX_SKEW_MS:
            raise ReadError(FailureKind.CLOCK, f"{refused.detail}, and our clock is off") from None
        raise


async def _ahead_ms(client: Any) -> float:
    """How far our clock is ahead; 0 where Deribit does not tell its time now."""
    try:
        reply = mapping(await client.publicGetGetTime({}), "reply")
        return float(client.milliseconds() - number(reply, "result"))
    except ReadError:
        return 0.0


def _shown(settings: AccountSettings) -> dict[str, str]:
    return ISOLATED if settings.mode.endswith(account.WITH_ISOLATED) else {}


def _settled_in(instruments: Instruments) -> list[str]:
    return sorted({instrument.settle for instrument in instruments.values()})


def _booked_in(instruments: Instruments, settings: AccountSettings) -> list[str]:
    """The account's own currencies as well: a contract that is not told whole is not listed, and hides no booking."""
    return sorted({*_settled_in(instruments), *CURRENCIES.intersection(settings.parts)})


async def trades(method: Any, query: Query) -> list[Row]:
    """All of the user's trades within the time asked for, the oldest first.

    A page begins with the moment at which the one before ended; one that ends where it began is malformed.
    """
    found: dict[str, Row] = {}
    asked: dict[str, str | int] = {**query, "count": PAGE, "sorting": "asc"}
    for _ in range(MAX_PAGES):
        told = mapping(await _result(method, asked), "result")
        page = rows(told.get("trades"), "trades")
        found |= {text(row, "trade_id"): row for row in page}
        if not boolean(told, "has_more"):
            return list(found.values())
        last_ms = round(positive(page[-1], "timestamp")) if page else asked["start_timestamp"]
        if last_ms == asked["start_timestamp"]:
            raise malformed("a page of trades follows itself")
        asked["start_timestamp"] = last_ms
    raise malformed(f"more than {MAX_PAGES} pages of {PAGE} trades")


# --- the market ---


def _mark(row: Row) -> Mark:
    """`funding_8h` is what was paid in the last 8 hours; a dated future pays none."""
    price = positive(row, "mark_price")
    if not text(row, "instrument_name").endswith(PERPETUAL):
        return Mark(price=price, funding_rate=0.0)
    return Mark.told(price=price, rate=optional_number(row, "current_funding"), next_ms=None, hours=FUNDING_HOURS)


VENUE = DeribitVenue()
