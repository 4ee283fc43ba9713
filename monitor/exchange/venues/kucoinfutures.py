"""KuCoin Futures: classic accounts (one-way and hedge, cross and isolated, linear and inverse) and unified accounts.

Calls and their weights (KuCoin's documents; pools of 2,000 per 30 s and user, unified 200 per 3 s): classic, a cycle of
positions (2) and account-overview (5) for each coin of USDT, USDC, XBT and those held; unified, position/open-list (3)
a page and account/overview (5). Public, 2,000 per 30 s and address: contracts/active (3) tells contracts, marks,
funding rate, interval and next payment. account/mode (30) and getPositionMode (2) every ten minutes. What counts per
address is the gateway's 500 requests per 10 s (429, code 1015), so that a call is what the budget counts; the headers
gw-ratelimit-* tell of a user's pool what is left and when it is full again, and end a refusal of that user alone.
Envelope: {"code": "200000", "data": ...}; the list is `data`, that of orders and fills `data.items`.
Pools: classic, one of each coin over what is margined across, one of each isolated position; unified, one in dollars.
The venue's own ratio (riskRatio) has our direction, 1 liquidates; it counts the fee of closing and open orders, which
`posMaint` and `mm` do not, so that a pool's maintenance is taken as ratio x equity.
Scopes widened: ccxt reads the balance of USDT alone, and of a unified account's positions the first 50 (it asks for 200
by a name that the venue does not know).
Not seen in a recorded reply: hedge mode, inverse positions, isolated positions of unified accounts, liquidations among
the fills.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tiers
from monitor.exchange.client import Rules
from monitor.exchange.failures import BROKEN_PARSING, ReadError, Reply
from monitor.exchange.together import together
from monitor.exchange.values import (
    Row,
    flag,
    malformed,
    mapping,
    number,
    optional_number,
    optional_positive,
    positive,
    rows,
    text,
    time_of,
    word,
)
from monitor.exchange.venues import kucoinfutures_prices
from monitor.exchange.venues.contracts import a_contract, ends_in
from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, exact, unknown
from monitor.exchange.venues.kucoinfutures_account import data_of, parse_classic, parse_unified, settle_coins
from monitor.exchange.venues.kucoinfutures_ledger import classic_ledger, unified_ledger
from monitor.exchange.venues.kucoinfutures_orders import classic_end, classic_stop, unified_stop
from monitor.exchange.venues.kucoinfutures_prices import KucoinFuturesPrices
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

READS: Mapping[str, str] = {
    "futuresPublicGetTimestamp": "/api/v1/timestamp",
    "futuresPublicGetContractsActive": "/api/v1/contracts/active",
    **kucoinfutures_prices.READS,
    "futuresPrivateGetPositions": "/api/v1/positions",
    "futuresPrivateGetAccountOverview": "/api/v1/account-overview",
    "futuresPrivateGetPositionGetPositionMode": "/api/v2/position/getPositionMode",
    "futuresPrivateGetStopOrders": "/api/v1/stopOrders",
    "futuresPrivateGetFills": "/api/v1/fills",
    "futuresPrivateGetTransactionHistory": "/api/v1/transaction-history",
    "privateGetUserApiKey": "/api/v1/user/api-key",
    "utaPrivateGetAccountMode": "/api/ua/v1/account/mode",
    "utaPrivateGetAccountLedger": "/api/ua/v1/account/ledger",
    "utaPrivateGetAccountModePositionOpenList": "/api/ua/v1/unified/position/open-list",
    "utaPrivateGetAccountModeAccountOverview": "/api/ua/v1/unified/account/overview",
    "utaPrivateGetAccountModeOrderOpenList": "/api/ua/v1/unified/order/open-list",
}
CALLS_PER_MINUTE = 3000
CALLS_PER_SECOND = 40
# Coins that are always asked for: what is there is known before anything is held, and tells a lost position.
COINS = ("USDT", "USDC", "XBT")
POSITIONS_A_PAGE, ORDERS_A_PAGE = 200, 100
MAX_PAGES = 50
# Fills are told of a day after the start that is asked for, and of the last week.
FILLS_WINDOW, FILLS_KEPT = timedelta(hours=24), timedelta(days=7)
CLASSIC, CLASSIC_HEDGED, UNIFIED = "classic account, one-way mode", "classic account, hedge mode", "unified account"
MILLISECONDS_AN_HOUR = 3_600_000

KINDS_BY_CODE: Mapping[str, FailureKind] = {
    **dict.fromkeys(("400001", "400003", "400004", "400005", "400008", "400009", "400011"), FailureKind.AUTH),
    **dict.fromkeys(("400002", "400012"), FailureKind.CLOCK),
    **dict.fromkeys(("400006", "400007", "400010", "411100", "400202"), FailureKind.PERMISSION),
    **dict.fromkeys(("400301", "400302", "400303", "400500"), FailureKind.REGION),
    **dict.fromkeys(("429000", "200002", "1015"), FailureKind.RATE_LIMIT),
    **dict.fromkeys(("500000", "503000", "100002"), FailureKind.OVERLOADED),
    "404000": FailureKind.UNSUPPORTED,
    # "Invalid Unified Account user": the account has gone back to the classic mode.
    "112010": FailureKind.IMPLAUSIBLE,
}
KEY_STEPS = (
    "API Management > Create API > API-Based Trading; leave 'General' alone ticked, restrict it to this machine's "
    "address, and keep the passphrase"
)
MAY_TRADE = frozenset(("Spot", "Margin", "Futures", "Unified", "Earn", "Trade", "InnerTransfer", "FlexTransfers"))
MAY_WITHDRAW = frozenset(("Transfer", "Withdrawal", "Withdraw"))

FIGURES: Figures = {
    Figure.EQUITY: exact(
        "account-overview accountEquity - frozenFunds - isolated margin and profit; unified adjustedEquity",
        VerifiedBy.RECORDED,
    ),
    Figure.POOL_MAINTENANCE: exact("riskRatio x equity: with open orders and the fee of closing", VerifiedBy.RECORDED),
    Figure.POOL_INITIAL: exact("sum of positions posMargin; unified im", VerifiedBy.RECORDED),
    Figure.AVAILABLE: exact("account-overview availableBalance; unified availableMargin", VerifiedBy.RECORDED),
    Figure.VENUE_RATIO: exact("riskRatio, 1 liquidates; none of an isolated position", VerifiedBy.RECORDED),
    Figure.MARK_PRICE: exact("positions markPrice", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positions markValue, unified positionValue, held against contracts", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("positions avgEntryPrice, unified entryPrice", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact(
        "positions liquidationPrice; our own estimate where it is 0, or not sent of a unified account",
        VerifiedBy.RECORDED,
    ),
    Figure.LEVERAGE: exact("positions leverage; isolated posCost / posInit", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("positions marginMode", VerifiedBy.RECORDED),
    Figure.MAINTENANCE: exact("positions posMaint, unified maintenanceMargin", VerifiedBy.RECORDED),
    Figure.INITIAL: exact("positions posMargin, isolated posInit, unified initialMargin", VerifiedBy.RECORDED),
    Figure.PNL: exact("positions unrealisedPnl, unified unrealizedPnL", VerifiedBy.RECORDED),
    Figure.ADL_RANK: exact("positions delevPercentage in fifths", VerifiedBy.RECORDED),
    Figure.FUNDING_RATE: exact("contracts/active fundingFeeRate", VerifiedBy.RECORDED),
    Figure.FUNDING_INTERVAL: exact("contracts/active fundingRateGranularity", VerifiedBy.CCXT),
    Figure.NEXT_FUNDING: exact("contracts/active nextFundingRateDateTime", VerifiedBy.RECORDED),
    Figure.BRACKETS: unknown("cross rates rise with size without brackets, isolated maintenance is fixed at entry"),
    Figure.COLLATERAL: unknown("not read"),
    Figure.STOP_ORDERS: exact("stopOrders; unified order/open-list CONDITION", VerifiedBy.DOCUMENTS),
    Figure.KEY_PERMISSIONS: exact("user/api-key permission, ipWhitelist", VerifiedBy.RECORDED),
    Figure.ENDS: exact("fills tradeType; unknown of unified accounts", VerifiedBy.DOCUMENTS),
}


def _own_limit(reply: Reply) -> datetime | None:
    """An account's pool is empty; 1015, the gateway's, is of the address."""
    return reply.reset_at("gw-ratelimit-reset") if reply.code in ("429000", "200002") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KucoinFuturesVenue(KucoinFuturesPrices):
    id: str = "kucoinfutures"
    weight_per_minute: int = CALLS_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "contracts/active"
    key_steps: str = KEY_STEPS
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    coverage: tuple[str, ...] = (
        "classic accounts, one-way and hedge, cross and isolated, and unified accounts: the venue's own figures",
        "margin bound by open orders on isolated contracts counts as cross equity; the margin ratio is the venue's own",
        "in unified accounts a stablecoin is repriced as a dollar and a coin without the venue's haircut",
        "bookings are read of nine days at most, by the documents; those of classic accounts do not tell funding and "
        "fees from what was realised",
        "liquidations of unified accounts cannot be told from closes: the venue's records do not say",
    )
    rules: Rules = field(default=Rules.of_reads(READS, kinds_by_code=KINDS_BY_CODE, own_limit=_own_limit))

    # --- public ---

    async def read_instruments(self, client: Any) -> Instruments:
        listed: dict[str, Instrument] = {}
        for row in await _contracts(client):
            instrument = self._instrument(client, row)
            if instrument is not None:
                listed[text(row, "symbol")] = instrument
        if not listed:
            raise malformed("contracts/active lists no contract")
        return listed

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """By ccxt's names. None for a row that is no contract; a position in it fails loudly, as one not listed."""
        try:
            base, quote, settle = (
                client.safe_currency_code(text(row, f"{name}Currency")) for name in ("base", "quote", "settle")
            )
            dated = "" if row.get("nextFundingRateTime") is not None else f"-{client.yymmdd(row['expireDate'], '')}"
            size, is_inverse = _contract_size(row), flag(row, "isInverse")
            return a_contract(self.id, (base, quote, settle), size, inverse=is_inverse, dated=dated)
        except (ReadError, *BROKEN_PARSING):
            return None

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        listed = {
            instrument.symbol: row
            for row in await _contracts(client)
            if (instrument := instruments.get(text(row, "symbol"))) is not None
        }
        return marks_of(listed, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, _client: Any, _instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        """There are none by which maintenance moves: see `figures`."""
        return {}

    # --- private ---

    async def read_settings(self, client: Any, /) -> AccountSettings:
        """Asked of the venue each time: ccxt keeps its first answer for good."""
        told = mapping(data_of(await client.utaPrivateGetAccountMode(), "account/mode"), "account/mode")
        match told.get("selfAccountMode"):
            case "UNIFIED":
                return AccountSettings(mode=UNIFIED)
            case "CLASSIC":
                return AccountSettings(mode=await _position_mode(client))
            case other:
                raise ReadError(FailureKind.UNSUPPORTED, f"the account is in mode {other!r:.40}, which is not known")

    async def read_account(self, client: Any, settings: AccountSettings, /) -> Any:
        """Classic: (positions, overviews by coin); unified: (rows of all pages, overview)."""
        if settings.mode == UNIFIED:
            return await together(
                _unified_positions(client), client.utaPrivateGetAccountModeAccountOverview({"accountMode": "unified"})
            )
        positions, *overviews = await together(
            client.futuresPrivateGetPositions(), *(_overview(client, coin) for coin in COINS)
        )
        others = sorted(settle_coins(positions) - set(COINS))
        overviews += await together(*(_overview(client, coin) for coin in others))
        return positions, dict(zip((*COINS, *others), overviews, strict=True))

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        parse = parse_unified if settings.mode == UNIFIED else parse_classic
        return parse(raw[0], raw[1], instruments, settings)

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        if settings.mode == UNIFIED:
            asked = {"accountMode": "unified", "tradeType": "FUTURES", "orderFilter": "CONDITION"}
            pages = _pages(client.utaPrivateGetAccountModeOrderOpenList, asked, "pageNumber")
            stops = [unified_stop(row, instruments) async for row in pages]
        else:
            stops = [
                classic_stop(row, instruments)
                async for row in _pages(client.futuresPrivateGetStopOrders, {}, "currentPage")
            ]
        return [stop for stop in stops if stop is not None]

    async def read_ends(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        if settings.mode == UNIFIED:
            raise ReadError(FailureKind.UNSUPPORTED, "a unified account's records do not tell liquidations")
        now = time_of(client.milliseconds())
        start, ends = max(since, now - FILLS_KEPT), list[End]()
        while start <= now:
            asked = {"startAt": _milliseconds(start), "endAt": _milliseconds(start + FILLS_WINDOW)}
            fills = [row async for row in _pages(client.futuresPrivateGetFills, asked, "currentPage")]
            ends += ends_in(fills, lambda row: classic_end(row, instruments))
            start += FILLS_WINDOW
        return [end for end in ends if end.at >= since]

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        read = unified_ledger if settings.mode == UNIFIED else classic_ledger
        return await read(client, instruments, since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        reply, server = await together(client.privateGetUserApiKey(), client.futuresPublicGetTimestamp())
        told = mapping(data_of(reply, "user/api-key"), "user/api-key")
        allowed = {word.strip() for word in text(told, "permission").split(",")}
        server_ms = number({"data": data_of(server, "timestamp")}, "data")
        expires_ms = optional_positive(told, "expiredAt")
        strange = sorted(allowed - MAY_TRADE - MAY_WITHDRAW - {"General"})
        return KeyFacts(
            may_trade=bool(allowed & MAY_TRADE),
            may_withdraw=bool(allowed & MAY_WITHDRAW),
            ip_restricted=bool(word(told, "ipWhitelist")),
            clock_ahead_s=clock_ahead_s(client, server_ms),
            expires_at=time_of(expires_ms) if expires_ms else None,
            notes=(f"what {', '.join(strange):.100} allows is not known",) if strange else (),
        )


def _contract_size(row: Row) -> float:
    """An inverse contract's multiplier is told as -1."""
    size = abs(number(row, "multiplier"))
    return positive({"multiplier": size}, "multiplier")


async def _contracts(client: Any) -> list[Row]:
    return rows(data_of(await client.futuresPublicGetContractsActive(), "contracts/active"), "contracts/active")


def _mark(row: Row) -> Mark:
    """A dated contract pays no funding."""
    is_dated = row.get("nextFundingRateTime") is None
    return Mark.told(
        price=positive(row, "markPrice"),
        rate=0.0 if is_dated else optional_number(row, "fundingFeeRate"),
        next_ms=optional_positive(row, "nextFundingRateDateTime"),
        hours=(optional_positive(row, "fundingRateGranularity") or 0.0) / MILLISECONDS_AN_HOUR,
    )


async def _position_mode(client: Any) -> str:
    reply = await client.futuresPrivateGetPositionGetPositionMode()
    told = mapping(data_of(reply, "getPositionMode"), "getPositionMode")
    match told.get("positionMode"):
        case 0 | "0":
            return CLASSIC
        case 1 | "1":
            return CLASSIC_HEDGED
        case other:
            raise ReadError(FailureKind.UNSUPPORTED, f"the position mode {other!r:.40} is not known")


async def _overview(client: Any, coin: str) -> Any:
    return await client.futuresPrivateGetAccountOverview({"currency": coin})


async def _unified_positions(client: Any) -> list[Row]:
    """All pages; the venue tells no number of them, so that a full one is followed by another."""
    listed: list[Row] = []
    for page in range(1, MAX_PAGES + 1):
        asked = {"accountMode": "unified", "pageNumber": page, "pageSize": POSITIONS_A_PAGE}
        reply = await client.utaPrivateGetAccountModePositionOpenList(asked)
        found = rows(data_of(reply, "position/open-list"), "position/open-list")
        listed += found
        if len(found) < POSITIONS_A_PAGE:
            return listed
    raise malformed(f"position/open-list has more than {MAX_PAGES} pages")


async def _pages(call: Any, asked: Mapping[str, Any], page_name: str) -> AsyncIterator[Row]:
    """The items of every page of a list of orders or fills."""
    for page in range(1, MAX_PAGES + 1):
        reply = await call({**asked, page_name: page, "pageSize": ORDERS_A_PAGE})
        told = mapping(data_of(reply, "orders"), "orders")
        for row in rows(told.get("items"), "orders.items"):
            yield row
        if number(told, "totalPage") <= page:
            return
    raise malformed(f"a list of orders has more than {MAX_PAGES} pages")


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


VENUE = KucoinFuturesVenue()
