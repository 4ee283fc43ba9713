"""OKX: one trading account in four account modes; perpetual and dated contracts settled in USDT, USDC, USD and coins.

Sources: OKX's V5 documents (July 2026), replies in them and in ccxt's tests, ccxt 4.5.90's `sign` and `handle_errors`.
Calls of a cycle: /account/balance and /account/positions, 10 in 2 s each for a user, without pages: ccxt widens no
scope here and none hides positions. Public, by address: mark-price by type and funding-rate of ANY contract. An
address has no limit of its own beside these, and no header tells what is used.
Envelope: `code` "0", else ccxt raises; the rows stand in `data`.
Mode: /account/config. Futures mode has a pool per currency (`details`), multi-currency and portfolio margin one in US
dollars (`adjEq`); an isolated position is a pool in each.
Ratio: `mgnRatio` is equity / (mmr + the fee of liquidation) and liquidates at 1, less is worse: it is turned. That it
holds a fee, which `mmr` does not, two recorded replies show to the last digit (0.05 % of the notional), though the
documents call it adjEq / mmr. So a pool's maintenance is equity / mgnRatio.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tier, Tiers
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError, Reply
from monitor.exchange.together import in_slices, together
from monitor.exchange.values import (
    Row,
    interval_of,
    malformed,
    not_negative,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
    time_of,
)
from monitor.exchange.venues import okx_account as account
from monitor.exchange.venues import okx_ledger as ledger
from monitor.exchange.venues import okx_prices
from monitor.exchange.venues.bookings import Cursor, Page, read_bookings
from monitor.exchange.venues.contracts import a_contract, ends_in, instrument_of
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.okx_figures import COVERAGE, FIGURES
from monitor.exchange.venues.okx_prices import OkxPrices, data_of
from monitor.exchange.venues.okx_records import FORCED_TYPES, end_of, key_facts, stop_orders
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

# OKX limits each call by itself, most by user, and no address as a whole: these are ours.
WEIGHT_PER_MINUTE = 3000
CALLS_PER_SECOND = 50
USERS_WINDOW_S = 2.0
_API = "/api/v5"
READS = {
    "publicGetPublicTime": f"{_API}/public/time",
    "publicGetPublicInstruments": f"{_API}/public/instruments",
    "publicGetPublicMarkPrice": f"{_API}/public/mark-price",
    "publicGetPublicFundingRate": f"{_API}/public/funding-rate",
    "publicGetPublicPositionTiers": f"{_API}/public/position-tiers",
    "privateGetAccountConfig": f"{_API}/account/config",
    "privateGetAccountBalance": f"{_API}/account/balance",
    "privateGetAccountPositions": f"{_API}/account/positions",
    "privateGetAccountBills": f"{_API}/account/bills",
    "privateGetTradeOrdersAlgoPending": f"{_API}/trade/orders-algo-pending",
    **okx_prices.READS,
}
STOP_TYPES = ("conditional,oco", "trigger", "move_order_stop")
PAGE, MAX_PAGES = 100, 20
# Bills are told of so long a time at most.
RECORDS_KEPT = timedelta(days=7) - timedelta(minutes=1)
# Marks of which none is younger than this are a feed that stands still.
MAX_MARK_AGE_MS = 60_000
MS_PER_HOUR = 3_600_000
# Brackets are told of so many contract families in a call, and 10 calls in 2 s are allowed an address.
FAMILIES_PER_CALL, TIER_CALLS, TIER_PAUSE_S = 5, 40, 0.2
# Owed beside the maintenance margin; the rate of the recorded replies, that of users without a discount.
LIQUIDATION_FEE = 0.0005
XPERP = "_XPERP-"

ACCOUNT_MODES = {"1": account.SPOT, "2": account.FUTURES, "3": account.MULTI, "4": account.PORTFOLIO}
POSITION_MODES = {"net_mode": "net positions", "long_short_mode": "long/short positions"}
STRATEGIES = {"0": "", "1": ", delta neutral strategy"}
# www.okx.com/docs-v5, error codes of the classes General, API and Trade.
KINDS_BY_CODE: Mapping[str, FailureKind] = {
    **dict.fromkeys(("50001", "50005", "50046", "50062"), FailureKind.MAINTENANCE),
    **dict.fromkeys(("50013", "50026"), FailureKind.OVERLOADED),
    **dict.fromkeys(("50011", "50040", "50061"), FailureKind.RATE_LIMIT),
    **dict.fromkeys(("50102", "50112"), FailureKind.CLOCK),
    **dict.fromkeys(("50051", "50121"), FailureKind.REGION),
    **dict.fromkeys(("50008", "50100", "50101", "50103", "50104", "50105", "50106", "50107"), FailureKind.AUTH),
    **dict.fromkeys(("50111", "50113", "50114", "50119"), FailureKind.AUTH),
    **dict.fromkeys(("50007", "50009", "50012", "50027", "50030", "50035", "50041"), FailureKind.PERMISSION),
    **dict.fromkeys(("50059", "50060", "50110", "50120"), FailureKind.PERMISSION),
    **dict.fromkeys(("50038", "50053", "51010"), FailureKind.UNSUPPORTED),
    "50004": FailureKind.TIMEOUT,
}

Query = Mapping[str, str | int]


def _own_limit(reply: Reply) -> datetime | None:
    """Signed calls are counted by user, and no header tells where the count ends."""
    return reply.retry_at(USERS_WINDOW_S) if reply.code == "50011" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxVenue(OkxPrices):
    id: str = "okx"
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "mark-price and funding-rate"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = (
        "Profile > API > Create API key > API trading; tick 'Read' alone, under 'IP addresses' name this machine's "
        "address, and give the passphrase you choose there as the account's password"
    )
    rules: Rules = field(default=Rules.of_reads(READS, kinds_by_code=KINDS_BY_CODE, own_limit=_own_limit), repr=False)

    async def read_instruments(self, client: Any) -> Instruments:
        listed: dict[str, Instrument] = {}
        for found in await together(*_of_each_kind(client.publicGetPublicInstruments)):
            async for row in in_slices(found):
                instrument = self._instrument(client, row)
                if instrument is not None:
                    listed[text(row, "instId")] = instrument
        if not listed:
            raise malformed("instruments lists no contract")
        return listed

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """None for what is not told whole, as before its listing; a position in it fails loudly, as one not listed."""
        try:
            coins = [*text(row, "uly").split("-"), text(row, "settleCcy")]
            size = positive(row, "ctVal") * (optional_positive(row, "ctMult") or 1.0)
            expires_ms = positive(row, "expTime") if row.get("instType") == "FUTURES" else None
            dated = "" if expires_ms is None else f"-{time_of(expires_ms):%y%m%d}"
            base, quote, settle = (client.safe_currency_code(coin) for coin in coins)
        except (ReadError, ValueError):
            return None
        kind = row.get("ctType")
        if kind not in ("linear", "inverse"):
            return None
        return a_contract(self.id, (base, quote, settle), size, inverse=kind == "inverse", dated=dated)

    async def read_settings(self, client: Any, /) -> AccountSettings:
        config = await _only_row(client.privateGetAccountConfig)
        mode = _word_for(config, "acctLv", ACCOUNT_MODES)
        positions, strategy = _word_for(config, "posMode", POSITION_MODES), _word_for(config, "stgyType", STRATEGIES)
        caveats = ("the account runs a delta neutral strategy, whose margins were not verified",) if strategy else ()
        return AccountSettings(mode=f"{mode}, {positions}{strategy}", caveats=caveats)

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> tuple[Row, list[Row]]:
        """(balance, positions)."""
        balance, positions = await together(
            _only_row(client.privateGetAccountBalance), _data(client.privateGetAccountPositions)
        )
        return balance, positions

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        balance, listed = raw
        return account.parse(balance, listed, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        marks, payments = await together(_marks(client), _data(client.publicGetPublicFundingRate, {"instId": "ANY"}))
        terms = {text(row, "instId"): row for row in payments}
        listed = {
            instruments[raw].symbol: (row, terms.get(raw)) for raw, row in marks.items() if raw in instruments
        }  # fmt: skip
        if not listed:
            raise malformed("mark-price lists no contract")
        return marks_of(listed, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        """OKX counts its tiers in contracts: their edges are worked out at the marks of now.

        Of 200 families at most, so that the address keeps to its limit within one read.
        """
        wanted = [raw for raw, instrument in instruments.items() if instrument.symbol in held and XPERP not in raw]
        if not wanted:
            return {}
        told: dict[tuple[str, str], list[Row]] = {}
        marks = await _marks(client)
        for count, query in enumerate(_tier_queries(wanted)):
            if count:
                await client.shared.clock.sleep(TIER_PAUSE_S)
            for row in await _data(client.publicGetPublicPositionTiers, query):
                told.setdefault((str(query["instType"]), text(row, "instFamily")), []).append(row)
        return {
            instruments[raw].symbol: tiers_of(told[key], instruments[raw], positive(marks[raw], "markPx"))
            for raw in wanted
            if (key := (_kind_of(raw), _family_of(raw))) in told and raw in marks
        }

    async def read_orders(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        queries = [{"ordType": kind} for kind in STOP_TYPES]
        found = await together(*(pages(client.privateGetTradeOrdersAlgoPending, query, "algoId") for query in queries))
        return [
            order
            for listed in found
            for row in listed
            if account.is_of_contract(row)
            for order in stop_orders(row, instrument_of(row, instruments, "instId"))
        ]

    async def read_ends(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        """Of seven days at most."""
        begin = max(since, client.shared.clock.now() - RECORDS_KEPT)
        queries = [{"type": kind, "begin": round(begin.timestamp() * 1000)} for kind in FORCED_TYPES]
        found = await together(*(pages(client.privateGetAccountBills, query, "billId") for query in queries))
        of_contracts = [row for listed in found for row in listed if account.is_of_contract(row)]
        return ends_in(of_contracts, lambda row: end_of(row, instrument_of(row, instruments, "instId")))

    async def read_ledger(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        """Of seven days at most."""
        until = time_of(client.milliseconds())
        since = max(since, until - RECORDS_KEPT)
        query: dict[str, str | int] = {"begin": round(since.timestamp() * 1000), "limit": PAGE}

        async def ask(cursor: Cursor | None) -> Page:
            page = await _data(client.privateGetAccountBills, query if cursor is None else {**query, "after": cursor})
            return Page(page, None if len(page) < PAGE else text(page[-1], "billId"))

        return await read_bookings(
            ask, lambda row: ledger.entries(client, row, instruments), ledger.booked_at, since=since, until=until
        )

    async def read_key_facts(self, client: Any) -> KeyFacts:
        config, time = await together(
            _only_row(client.privateGetAccountConfig), _only_row(client.publicGetPublicTime)
        )  # fmt: skip
        return key_facts(config, ahead_s=clock_ahead_s(client, number(time, "ts")))


# --- asking ---


async def _data(method: Any, query: Query | None = None) -> list[Row]:
    return rows(data_of(await method(query or {})), "data")


async def _only_row(method: Any) -> Row:
    found = await _data(method)
    if len(found) != 1:
        raise malformed(f"data: expected one row, got {len(found)}")
    return found[0]


def _of_each_kind(method: Any) -> list[Coroutine[Any, Any, list[Row]]]:
    return [_data(method, {"instType": kind}) for kind in account.CONTRACTS]


async def pages(method: Any, query: Query, name: str) -> list[Row]:
    """All rows, page by page: each asks for what is older than the last row of the one before.

    A page that is not full is the last; one that goes on from the same row is malformed.
    """
    found: list[Row] = []
    asked: dict[str, str | int] = {**query, "limit": PAGE}
    for _ in range(MAX_PAGES):
        page = await _data(method, asked)
        found += page
        if len(page) < PAGE:
            return found
        last = text(page[-1], name)
        if last == asked.get("after"):
            raise malformed("a page follows itself")
        asked["after"] = last
    raise malformed(f"more than {MAX_PAGES} pages of {PAGE} rows")


def _word_for(config: Row, key: str, words: Mapping[str, str]) -> str:
    """Our word for what an account is; raises ReadError (unsupported) for what is not read."""
    told = text(config, key)
    if told not in words:
        raise ReadError(FailureKind.UNSUPPORTED, f"the account's {key} is {told:.40}, which is not read")
    return words[told]


# --- the market ---


async def _marks(client: Any) -> Mapping[str, Row]:
    """By raw symbol. Raises ReadError (implausible) where all of them have stood still."""
    found = await together(*_of_each_kind(client.publicGetPublicMarkPrice))
    marks = {text(row, "instId"): row for listed in found for row in listed}
    newest_ms = max((number(row, "ts") for row in marks.values()), default=0.0)
    if marks and newest_ms < client.milliseconds() - MAX_MARK_AGE_MS:
        raise ReadError(FailureKind.IMPLAUSIBLE, "mark prices stand still")
    return marks


def _mark(mark_and_terms: tuple[Row, Row | None]) -> Mark:
    """A dated contract pays no funding."""
    row, terms = mark_and_terms
    price = positive(row, "markPx")
    if terms is None:
        pays_none = row.get("instType") == "FUTURES" and XPERP not in text(row, "instId")
        return Mark(price=price, funding_rate=0.0 if pays_none else None)
    due_ms, following_ms = optional_positive(terms, "fundingTime"), optional_positive(terms, "nextFundingTime")
    known = due_ms is not None and following_ms is not None
    return Mark(
        price=price,
        funding_rate=optional_number(terms, "fundingRate"),
        next_funding_at=time_of(due_ms) if due_ms else None,
        funding_interval=interval_of(((following_ms or 0) - (due_ms or 0)) / MS_PER_HOUR) if known else None,
    )


def _kind_of(raw: str) -> str:
    return "SWAP" if raw.endswith("-SWAP") else "FUTURES"


def _family_of(raw: str) -> str:
    """`BTC-USDT` of BTC-USDT-SWAP and of BTC-USDT-261225."""
    return raw.rpartition("-")[0]


def _tier_queries(wanted: Sequence[str]) -> list[Query]:
    queries: list[Query] = []
    for kind in account.CONTRACTS:
        families = sorted({_family_of(raw) for raw in wanted if _kind_of(raw) == kind})
        queries += [
            {"instType": kind, "tdMode": "cross", "instFamily": ",".join(families[at : at + FAMILIES_PER_CALL])}
            for at in range(0, len(families), FAMILIES_PER_CALL)
        ]
    return queries[:TIER_CALLS]


def tiers_of(told: Sequence[Row], instrument: Instrument, mark: float) -> Tiers:
    """The rate of a tier holds for the whole position, and the fee of liquidation is owed beside it."""
    tiers: list[Tier] = []
    for row in sorted(told, key=lambda row: positive(row, "maxSz")):
        floor, cap = tiers[-1].cap if tiers else 0.0, instrument.notional(positive(row, "maxSz"), mark)
        if cap <= floor:
            raise malformed(f"{instrument.symbol}: a tier is listed twice")
        tiers.append(Tier(floor, cap, not_negative(row, "mmr") + LIQUIDATION_FEE, 0.0))
    return tuple(tiers)


VENUE = OkxVenue()
