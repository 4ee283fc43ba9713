"""Bitget: classic accounts (single- and multi-assets mode) and unified ones, one-way and hedge, cross and isolated.

By Bitget's documents of both APIs (v2 is the classic one, v3 the unified one), by replies in ccxt's comments, and by
what other projects measured; nothing here was seen in a recorded reply of an account of ours.

Calls of a read: classic, mix/position/all-position (5 a second and user) of the three product types and
mix/account/accounts (10) of the two that have perpetuals; unified, account/assets and position/current-position (20
each) of the three categories; and adlRank, whose failure fails no read. Public, 20 a second and address: instruments
and tickers of each category, current-fund-rate of two product types at once (of each coin-settled contract held by
itself) and position-tier of each contract held. Calls have no weights: an address has 6,000 a minute, and recovers in
five where it made more ("6000/IP/Min"); x-mbx-used-remain-limit tells what is left of one call's second, no more.
Envelope: {"code": "00000", "data": ...}; the list is `data`, unified `data.list`, which is null where nothing is held.
No pages but those of orders and fills: position lists are whole.
Mode: account/settings tells a unified account's; a classic one refuses that call (40084), as a unified one refuses the
classic calls (40085). ccxt takes any failure of that call for "classic", for good, and then shows no positions.
Scopes widened: ccxt reads one product type of three.
Pools: classic, one of each coin over what is margined across (all of it under multi-assets mode); unified, one in
dollars; one of each isolated position. The venue's ratios have our direction: 1 liquidates.
Coin-settled perpetuals are those of the unified accounts alone (BTCUSD_CM, contracts of one dollar); the classic ones,
counted in coin, were retired in September 2026, and a position among them is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tier, Tiers, continuous_amount
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
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
)
from monitor.exchange.venues import bitget_orders as orders
from monitor.exchange.venues import bitget_prices
from monitor.exchange.venues.bitget_classic import mode_words as classic_mode
from monitor.exchange.venues.bitget_classic import parse_classic
from monitor.exchange.venues.bitget_figures import COVERAGE, FIGURES
from monitor.exchange.venues.bitget_ledger import classic_ledger, unified_ledger
from monitor.exchange.venues.bitget_prices import BitgetPrices, product_of
from monitor.exchange.venues.bitget_rows import data_of
from monitor.exchange.venues.bitget_unified import is_unified, parse_unified
from monitor.exchange.venues.bitget_unified import mode_words as unified_mode
from monitor.exchange.venues.contracts import a_contract
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

USDT, USDC, COIN = PRODUCTS = ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")
# Those in which a classic account still has perpetuals.
CLASSIC_PRODUCTS = (USDT, USDC)
CALLS_PER_MINUTE = 6000
CALLS_PER_SECOND = 90
# Brackets are told one by one, to an address twenty times a second.
TIERS_AT_ONCE = 3
SETTLES = {USDT: "USDT", USDC: "USDC"}
COIN_SUFFIX = "_CM"

# By ccxt's name: the path.
READS: Mapping[str, str] = {
    "publicCommonGetV2PublicTime": "/api/v2/public/time",
    "publicUtaGetV3MarketInstruments": "/api/v3/market/instruments",
    "publicUtaGetV3MarketTickers": "/api/v3/market/tickers",
    "publicUtaGetV3MarketCurrentFundRate": "/api/v3/market/current-fund-rate",
    "publicUtaGetV3MarketPositionTier": "/api/v3/market/position-tier",
    "publicMixGetV2MixMarketCurrentFundRate": "/api/v2/mix/market/current-fund-rate",
    "privateMixGetV2MixAccountAccounts": "/api/v2/mix/account/accounts",
    "privateMixGetV2MixPositionAllPosition": "/api/v2/mix/position/all-position",
    "privateMixGetV2MixPositionAdlRank": "/api/v2/mix/position/adlRank",
    "privateMixGetV2MixOrderOrdersPlanPending": "/api/v2/mix/order/orders-plan-pending",
    "privateMixGetV2MixOrderFillHistory": "/api/v2/mix/order/fill-history",
    "privateMixGetV2MixAccountBill": "/api/v2/mix/account/bill",
    "privateSpotGetV2SpotAccountInfo": "/api/v2/spot/account/info",
    "privateUtaGetV3AccountSettings": "/api/v3/account/settings",
    "privateUtaGetV3AccountAssets": "/api/v3/account/assets",
    "privateUtaGetV3AccountInfo": "/api/v3/account/info",
    "privateUtaGetV3AccountFinancialRecords": "/api/v3/account/financial-records",
    "privateUtaGetV3PositionCurrentPosition": "/api/v3/position/current-position",
    "privateUtaGetV3PositionAdlRank": "/api/v3/position/adlRank",
    "privateUtaGetV3TradeUnfilledStrategyOrders": "/api/v3/trade/unfilled-strategy-orders",
    "privateUtaGetV3TradeHistoryOrders": "/api/v3/trade/history-orders",
    **bitget_prices.READS,
}
PATHS = frozenset(READS.values())

KINDS_BY_CODE: Mapping[str, FailureKind] = {
    **dict.fromkeys(
        ("40001", "40002", "40003", "40006", "40009", "40011", "40012", "40036", "40037"), FailureKind.AUTH
    ),
    **dict.fromkeys(("40004", "40005", "40008"), FailureKind.CLOCK),
    **dict.fromkeys(("40014", "40016", "40018", "40031", "40301"), FailureKind.PERMISSION),
    # 40010 is "request timed out" today; ccxt takes it for a bad signature.
    **dict.fromkeys(("40010", "40015", "40604", "40725", "45001"), FailureKind.OVERLOADED),
    **dict.fromkeys(("40200", "40308"), FailureKind.MAINTENANCE),
    **dict.fromkeys(("30014", "30026", "50009"), FailureKind.RATE_LIMIT),
    "40024": FailureKind.REGION,
    # The account is a classic one, and the call a unified account's.
    "40084": FailureKind.UNSUPPORTED,
    # The other way round: it has become a unified one meanwhile.
    "40085": FailureKind.IMPLAUSIBLE,
}
KEY_STEPS = (
    "API Management > Create API key > System-generated; permission 'Read-only' with 'Futures orders' and 'Futures "
    "holdings' (classic account) or 'UTA management' and 'UTA trading' (unified account), nothing else; bind it to "
    "this machine's address, and keep the passphrase"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BitgetVenue(BitgetPrices):
    id: str = "bitget"
    weight_per_minute: int = CALLS_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "tickers"
    key_steps: str = KEY_STEPS
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    rules: Rules = field(
        default=Rules(
            calls=frozenset(READS),
            permits=lambda method, path: method == "GET" and path in PATHS,
            kinds_by_code=KINDS_BY_CODE,
        )
    )

    # --- public ---

    async def read_instruments(self, client: Any) -> Instruments:
        listed = {
            text(row, "symbol"): instrument
            for product, told in zip(PRODUCTS, await _instruments(client, PRODUCTS), strict=True)
            for row in told
            if (instrument := self._instrument(client, row, product)) is not None
        }
        if not listed:
            raise malformed("instruments lists no contract")
        return listed

    def _instrument(self, client: Any, row: Row, product: str) -> Instrument | None:
        """None for a dated contract, and for what is no contract; a position in it fails loudly, as one not listed."""
        if row.get("type") != "perpetual" or (product == COIN and not text(row, "symbol").endswith(COIN_SUFFIX)):
            return None
        base, quote = (client.safe_currency_code(text(row, f"{name}Coin")) for name in ("base", "quote"))
        settle = SETTLES.get(product, base)
        return a_contract(self.id, (base, quote, settle), 1.0, inverse=product == COIN)

    async def read_marks(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Mark | None]:
        raw_names = {instrument.symbol: raw for raw, instrument in instruments.items()}
        coins = [raw_names[symbol] for symbol, i in held.items() if i.inverse and symbol in raw_names]
        replies = await together(
            *(client.publicUtaGetV3MarketTickers({"category": product}) for product in PRODUCTS),
            *(client.publicMixGetV2MixMarketCurrentFundRate({"productType": p}) for p in CLASSIC_PRODUCTS),
            *(client.publicUtaGetV3MarketCurrentFundRate({"symbol": raw}) for raw in coins),
        )
        tickers, terms = replies[: len(PRODUCTS)], replies[len(PRODUCTS) :]
        funding = {text(row, "symbol"): row for reply in terms for row in _listed(reply, "current-fund-rate")}
        listed = {
            instrument.symbol: (row, funding.get(raw, {}))
            for reply in tickers
            for row in _listed(reply, "tickers")
            if (instrument := instruments.get(raw := text(row, "symbol"))) is not None
        }
        if not listed:
            raise malformed("tickers lists no contract")
        return marks_of(listed, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        """Of those held that are settled in a stablecoin: in what the others' are measured is not documented."""
        wanted = [(raw, i) for raw, i in instruments.items() if i.symbol in held and not i.inverse]
        products = [product for product, settle in SETTLES.items() if any(i.settle == settle for _, i in wanted)]
        fees = {
            text(row, "symbol"): not_negative(row, "takerFeeRate")
            for told in await _instruments(client, products)
            for row in told
        }
        tiers: dict[str, Tiers] = {}
        for start in range(0, len(wanted), TIERS_AT_ONCE):
            some = wanted[start : start + TIERS_AT_ONCE]
            replies = await together(*(client.publicUtaGetV3MarketPositionTier(_asks_for(raw, i)) for raw, i in some))
            for (raw, instrument), reply in zip(some, replies, strict=True):
                tiers[instrument.symbol] = _tiers(_listed(reply, "position-tier"), fees[raw])
        return tiers

    # --- private ---

    async def read_settings(self, client: Any, /) -> AccountSettings:
        """Asked of the venue each time. A key without the unified accounts' permissions may be a classic account's."""
        try:
            told = await client.privateUtaGetV3AccountSettings()
        except ReadError as refused:
            if refused.kind not in (FailureKind.UNSUPPORTED, FailureKind.PERMISSION):
                raise
            return await self._classic_settings(client, refused)
        return AccountSettings(mode=unified_mode(data_of(told, "account/settings")))

    async def _classic_settings(self, client: Any, refused: ReadError) -> AccountSettings:
        try:
            told = await client.privateMixGetV2MixAccountAccounts({"productType": USDT})
        except ReadError as failed:
            # It is no classic account either.
            raise refused if failed.kind is FailureKind.IMPLAUSIBLE else failed from None
        return AccountSettings(mode=classic_mode(_listed(told, "accounts")))

    async def read_account(self, client: Any, settings: AccountSettings, /) -> Any:
        """(positions, accounts, ADL ranks), each by product type: of unified accounts the account is one reply."""
        if is_unified(settings):
            *positions, assets, ranks = await together(
                *(client.privateUtaGetV3PositionCurrentPosition({"category": p}) for p in PRODUCTS),
                client.privateUtaGetV3AccountAssets(),
                _if_told(client, client.privateUtaGetV3PositionAdlRank, {}),
            )
            return positions, assets, [ranks]
        rank = client.privateMixGetV2MixPositionAdlRank
        replies = await together(
            *(client.privateMixGetV2MixPositionAllPosition({"productType": p}) for p in PRODUCTS),
            *(client.privateMixGetV2MixAccountAccounts({"productType": p}) for p in CLASSIC_PRODUCTS),
            *(_if_told(client, rank, {"productType": p}) for p in CLASSIC_PRODUCTS),
        )
        first, last = len(PRODUCTS), len(PRODUCTS) + len(CLASSIC_PRODUCTS)
        return replies[:first], replies[first:last], replies[last:]

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        parse = parse_unified if is_unified(settings) else parse_classic
        positions, account, ranks = raw
        return parse(positions, account, ranks, instruments)

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        stops = orders.unified_stops if is_unified(settings) else orders.classic_stops
        return await stops(client, instruments, CLASSIC_PRODUCTS)

    async def read_ends(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        if is_unified(settings):
            return await orders.unified_ends(client, instruments, PRODUCTS, since)
        return await orders.classic_ends(client, instruments, CLASSIC_PRODUCTS, since)

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        if is_unified(settings):
            return await unified_ledger(client, instruments, since)
        return await classic_ledger(client, instruments, CLASSIC_PRODUCTS, since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        info, server = await together(_key_info(client), client.publicCommonGetV2PublicTime())
        clock = mapping(data_of(server, "public/time"), "public/time")
        return orders.key_facts(info, clock_ahead_s(client, number(clock, "serverTime")))


def _listed(reply: object, where: str) -> list[Row]:
    return rows(data_of(reply, where), where)


async def _instruments(client: Any, products: Sequence[str]) -> list[list[Row]]:
    replies = await together(*(client.publicUtaGetV3MarketInstruments({"category": product}) for product in products))
    return [_listed(reply, "instruments") for reply in replies]


def _asks_for(raw: str, instrument: Instrument) -> dict[str, str]:
    return {"category": product_of(instrument), "symbol": raw}


def _mark(told: tuple[Row, Row]) -> Mark:
    row, terms = told
    return Mark.told(
        price=positive(row, "markPrice"),
        rate=optional_number(row, "fundingRate"),
        next_ms=optional_positive(terms, "nextUpdate"),
        hours=optional_positive(terms, "fundingRateInterval"),
    )


def _tiers(listed: Sequence[Row], fee: float) -> Tiers:
    """Each slice of a position owes by its own bracket, and everywhere the fee of closing it."""
    brackets = sorted(listed, key=lambda row: not_negative(row, "minTierValue"))
    parsed: list[Tier] = []
    for row in brackets:
        floor, rate = not_negative(row, "minTierValue"), not_negative(row, "mmr") + fee
        if parsed and floor != parsed[-1].cap:
            raise malformed(f"position-tier: a bracket begins at {floor:g}, the one before ends at {parsed[-1].cap:g}")
        parsed.append(Tier(floor, positive(row, "maxTierValue"), rate, continuous_amount(parsed, floor, rate)))
    if not parsed:
        raise malformed("position-tier lists no bracket")
    return tuple(parsed)


async def _if_told(client: Any, call: Any, params: Mapping[str, str]) -> Any:
    """The reply, or None where it is refused or late: a rank is worth no read."""
    try:
        async with client.shared.clock.deadline(client.shared.patience_s / 2):
            return await call(params)
    except (ReadError, TimeoutError):
        return None


async def _key_info(client: Any) -> Row:
    """What the key may do, in the words of the account's own API."""
    try:
        told = await client.privateUtaGetV3AccountInfo()
    except ReadError as refused:
        if refused.kind is not FailureKind.UNSUPPORTED:
            raise
        told = await client.privateSpotGetV2SpotAccountInfo()
    return mapping(data_of(told, "account/info"), "account/info")


VENUE = BitgetVenue()
