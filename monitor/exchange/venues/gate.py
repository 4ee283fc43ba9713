"""Gate perpetuals settled in USDT and in BTC, in classic and unified accounts, one-way and hedge.

By Gate's APIv4 documents and SDK models; nothing here was seen in a recorded reply of an account of ours.

Calls of a read: futures/{settle}/accounts and futures/{settle}/positions of each settle currency whose account is open
(one that was never funded answers USER_NOT_FOUND), and unified/accounts where one is not classic. ccxt reads the
positions of USDT alone, and a hundred of them. Limits: 200 calls in ten seconds of each endpoint, by user where signed
and by address where public (X-Gate-RateLimit-* tell what is left of one endpoint, and when it is full again); there
are no weights. So what an address may send in all is ours to say.
Envelope: a list of positions stands at the top; a refusal is an object with a label, and a status of 4xx or 5xx.
Pages: limit and offset, 100 rows; a page that is not full is the last.
The venue's ratio is margin balance / maintenance margin, and is told of unified accounts: turned over here.
"""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ccxt.async_support as ccxt

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tier, Tiers, continuous_amount
from monitor.exchange.client import Rules
from monitor.exchange.failures import BROKEN_PARSING, ReadError, Reply
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
    words,
)
from monitor.exchange.venues import gate_ledger, gate_prices
from monitor.exchange.venues import gate_orders as orders
from monitor.exchange.venues.contracts import ends_in
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.gate_account import CLASSIC, Raw, mode_of, modes_of, parse
from monitor.exchange.venues.gate_figures import COVERAGE, FIGURES
from monitor.exchange.venues.gate_prices import GatePrices
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    clock_ahead_s,
    is_bound,
    marks_of,
)

SETTLES = ("usdt", "btc")
# Five endpoints side by side, 200 calls in ten seconds each.
CALLS_PER_SECOND = 100
WEIGHT_PER_MINUTE = 6000
PAGE = 100
MAX_PAGES = 50
# How the account of a settle currency answers that nothing was ever transferred to it.
NOT_OPEN = "USER_NOT_FOUND"

# By ccxt's name: the path below /api/v4.
READS = {
    "publicSpotGetTime": "/spot/time",
    "publicFuturesGetSettleContracts": "/futures/{settle}/contracts",
    "publicFuturesGetSettleRiskLimitTiers": "/futures/{settle}/risk_limit_tiers",
    "privateFuturesGetSettleAccounts": "/futures/{settle}/accounts",
    "privateFuturesGetSettlePositions": "/futures/{settle}/positions",
    "privateFuturesGetSettlePriceOrders": "/futures/{settle}/price_orders",
    "privateFuturesGetSettleAutoorderV1TrailList": "/futures/{settle}/autoorder/v1/trail/list",
    "privateFuturesGetSettleLiquidates": "/futures/{settle}/liquidates",
    "privateFuturesGetSettleAutoDeleverages": "/futures/{settle}/auto_deleverages",
    "privateFuturesGetSettleAccountBook": "/futures/{settle}/account_book",
    "privateUnifiedGetAccounts": "/unified/accounts",
    "privateAccountGetDetail": "/account/detail",
    "privateAccountGetMainKeys": "/account/main_keys",
    **gate_prices.READS,
}
_PERMITTED = re.compile("|".join(f"/api/v4{path.replace('{settle}', '(usdt|btc)')}" for path in READS.values()))

KINDS_BY_LABEL: Mapping[str, FailureKind] = {
    "INVALID_KEY": FailureKind.AUTH,
    "INVALID_SIGNATURE": FailureKind.AUTH,
    "INVALID_CREDENTIALS": FailureKind.AUTH,
    "AUTHENTICATION_FAILED": FailureKind.AUTH,
    "MISSING_REQUIRED_HEADER": FailureKind.AUTH,
    "IP_FORBIDDEN": FailureKind.PERMISSION,
    "FORBIDDEN": FailureKind.PERMISSION,
    "ACCOUNT_LOCKED": FailureKind.PERMISSION,
    "SUB_ACCOUNT_LOCKED": FailureKind.PERMISSION,
    NOT_OPEN: FailureKind.PERMISSION,
    "REQUEST_EXPIRED": FailureKind.CLOCK,
    "TOO_MANY_REQUESTS": FailureKind.RATE_LIMIT,
    "TOO_FAST": FailureKind.RATE_LIMIT,
    "INTERNAL": FailureKind.OVERLOADED,
    "SERVER_ERROR": FailureKind.OVERLOADED,
    "TOO_BUSY": FailureKind.OVERLOADED,
}

KEY_STEPS = (
    "API Management > Create API Key, of the type APIv4: give 'Perpetual Futures', 'Account' and 'Unified Account' the "
    "permission 'Read Only' and nothing else any, and bind the key to this machine's address under 'IP permissions'"
)

Call = Callable[[Any], Coroutine[Any, Any, Any]]


def _said(reply: Mapping[str, Any]) -> tuple[object, object]:
    return reply.get("label"), reply.get("message") or reply.get("detail")


def _own_limit(reply: Reply) -> datetime | None:
    """Signed calls are counted by user."""
    is_limit = reply.code == "TOO_MANY_REQUESTS" and reply.status == 429
    return reply.reset_at("x-gate-ratelimit-reset-timestamp") if is_limit else None


RULES = Rules(
    calls=frozenset(READS),
    permits=lambda method, path: method == "GET" and _PERMITTED.fullmatch(path) is not None,
    kinds_by_code=KINDS_BY_LABEL,
    said=_said,
    own_limit=_own_limit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVenue(GatePrices):
    id: str = "gate"
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "contracts"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = KEY_STEPS
    rules: Rules = RULES

    async def read_instruments(self, client: Any) -> Instruments:
        """By ccxt's own parser, in slices: all rows at once would hold the event loop."""
        listed: dict[str, Instrument] = {}
        for settle, contracts in zip(_settles(client), await _contracts(client), strict=True):
            async for row in in_slices(contracts):
                if (instrument := self._instrument(client, row, settle)) is not None:
                    listed[text(row, "name")] = instrument
        if not listed:
            raise malformed("contracts lists no contract")
        return listed

    def _instrument(self, client: Any, row: Row, settle: str) -> Instrument | None:
        """None for what is neither linear nor inverse; a position in it fails loudly, as one not listed."""
        try:
            market = client.parse_contract_market(row, settle)
        except (*BROKEN_PARSING, ccxt.BaseError):
            return None
        if market is None or market["settle"] not in (market["quote"], market["base"]) or not market["contractSize"]:
            return None
        return Instrument(
            venue=self.id,
            symbol=market["symbol"],
            base=market["base"],
            quote=market["quote"],
            settle=market["settle"],
            contract_size=positive(market, "contractSize"),
            inverse=market["settle"] == market["base"],
        )

    async def read_settings(self, client: Any, /) -> AccountSettings:
        settles = _settles(client)
        told = await together(*(_open_account(client, settle) for settle in settles))
        accounts = {settle: row for settle, row in zip(settles, told, strict=True) if row is not None}
        if not accounts:
            raise ReadError(FailureKind.UNSUPPORTED, "no futures account is open: nothing was ever transferred to one")
        return AccountSettings(mode=mode_of(accounts))

    async def read_account(self, client: Any, settings: AccountSettings, /) -> Raw:
        modes = modes_of(settings.mode)
        unified = any(mode != CLASSIC for mode in modes.values())
        accounts, positions, totals = await together(
            together(*(_account(client, settle) for settle in modes)),
            together(*(_positions(client, settle) for settle in modes)),
            _unified(client) if unified else _nothing(),
        )
        return Raw(dict(zip(modes, accounts, strict=True)), dict(zip(modes, positions, strict=True)), totals)

    def parse_account(self, raw: Raw, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        return parse(raw, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        told = {text(row, "name"): row for contracts in await _contracts(client) for row in contracts}
        listed = {instruments[raw].symbol: row for raw, row in told.items() if raw in instruments}
        if not listed:
            raise malformed("contracts lists no contract")
        return marks_of(listed, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        by_settle = await together(*(_brackets(client, settle) for settle in _settles(client)))
        return {
            instruments[raw].symbol: _tiers(brackets)
            for listed in by_settle
            for raw, brackets in listed.items()
            if raw in instruments
        }

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        settles = tuple(modes_of(settings.mode))
        resting, trailing = await together(
            together(*(_price_orders(client, settle) for settle in settles)),
            together(*(_trailing(client, settle) for settle in settles)),
        )
        found: list[StopOrder] = []
        for settle, listed, replies in zip(settles, resting, trailing, strict=True):
            found += [order for row in listed for order in orders.price_order(row, settle, instruments)]
            found += [order for reply in replies for order in orders.trailing_orders(reply, settle, instruments)]
        return found

    async def read_ends(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        settles, start = tuple(modes_of(settings.mode)), {"from": int(since.timestamp())}
        taken, lowered = await together(
            together(*(_pages(client.privateFuturesGetSettleLiquidates, {"settle": s, **start}) for s in settles)),
            together(*(_pages(client.privateFuturesGetSettleAutoDeleverages, {"settle": s, **start}) for s in settles)),
        )
        ends: list[End] = []
        for read, by_settle in ((orders.liquidation, taken), (orders.deleveraging, lowered)):
            for settle, listed in zip(settles, by_settle, strict=True):
                ends += ends_in(listed, partial(read, settle=settle, instruments=instruments))
        return [end for end in ends if end.at >= since]

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        return await gate_ledger.read_ledger(client, instruments, modes_of(settings.mode), since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        """Keys are told to keys of the main account alone; of others only the address list is known."""
        detail, keys, server = await together(
            client.privateAccountGetDetail(), _main_keys(client), client.publicSpotGetTime()
        )
        own = orders.key_of(keys, client.apiKey) if keys is not None else None
        writes = orders.may_write(own) if own is not None else None
        account = mapping(detail, "account.detail")
        return KeyFacts(
            may_trade=None if writes is None else bool(writes - orders.MOVES_MONEY),
            may_withdraw=None if writes is None else bool(writes & orders.MOVES_MONEY),
            ip_restricted=is_bound(words(account, "ip_whitelist")) if "ip_whitelist" in account else None,
            clock_ahead_s=clock_ahead_s(client, number(mapping(server, "time"), "server_time")),
            notes=() if own is not None else ("Gate tells what a key may do to keys of the main account alone",),
        )


def _settles(client: Any) -> tuple[str, ...]:
    """The testnet has no contracts settled in coin."""
    return SETTLES[:1] if client.options.get("sandboxMode") else SETTLES


async def _nothing() -> None:
    return None


async def _account(client: Any, settle: str) -> Row:
    return mapping(await client.privateFuturesGetSettleAccounts({"settle": settle}), f"{settle} accounts")


async def _open_account(client: Any, settle: str) -> Row | None:
    try:
        return await _account(client, settle)
    except ReadError as failed:
        if failed.kind is FailureKind.PERMISSION and NOT_OPEN in failed.detail:
            return None
        raise


async def _unified(client: Any) -> Row:
    if client.options.get("sandboxMode"):
        raise ReadError(FailureKind.UNSUPPORTED, "ccxt knows no unified accounts of Gate's testnet")
    return mapping(await client.privateUnifiedGetAccounts(), "unified.accounts")


async def _main_keys(client: Any) -> object:
    """None where this key may not ask for them."""
    try:
        told: object = await client.privateAccountGetMainKeys()
    except ReadError as failed:
        if failed.kind is not FailureKind.PERMISSION:
            raise
        return None
    return told


async def _positions(client: Any, settle: str) -> list[Row]:
    return await _pages(client.privateFuturesGetSettlePositions, {"settle": settle, "holding": "true"})


async def _price_orders(client: Any, settle: str) -> list[Row]:
    return await _pages(client.privateFuturesGetSettlePriceOrders, {"settle": settle, "status": "open"})


async def _pages(call: Call, query: Mapping[str, Any]) -> list[Row]:
    """All rows; a page that is not full is the last, as is one of more rows than were asked for."""
    found: list[Row] = []
    for page in range(MAX_PAGES):
        listed = rows(await call({**query, "limit": PAGE, "offset": page * PAGE}), "a page")
        found += listed
        if len(listed) != PAGE:
            return found
    raise malformed(f"a list of more than {MAX_PAGES} pages")


async def _trailing(client: Any, settle: str) -> list[Row]:
    """Pages of trailing orders, which are counted from 1."""
    replies: list[Row] = []
    for page in range(1, MAX_PAGES + 1):
        query = {"settle": settle, "is_finished": "false", "page_num": page, "page_size": PAGE}
        reply = mapping(await client.privateFuturesGetSettleAutoorderV1TrailList(query), "trail.list")
        replies.append(reply)
        if len(rows(mapping(reply.get("data"), "trail.list.data").get("orders"), "orders")) != PAGE:
            return replies
    raise malformed(f"a list of more than {MAX_PAGES} pages")


async def _contracts(client: Any) -> list[list[Row]]:
    """By settle currency. Neither paged nor cut by Gate, as far as ccxt knows."""
    replies = await together(*(client.publicFuturesGetSettleContracts({"settle": s}) for s in _settles(client)))
    return [rows(reply, "contracts") for reply in replies]


async def _brackets(client: Any, settle: str) -> Mapping[str, list[Row]]:
    """By raw symbol; a page holds all brackets of a hundred contracts."""
    found: dict[str, list[Row]] = {}
    for page in range(MAX_PAGES):
        query = {"settle": settle, "limit": PAGE, "offset": page * PAGE}
        listed: dict[str, list[Row]] = {}
        for row in rows(await client.publicFuturesGetSettleRiskLimitTiers(query), "risk_limit_tiers"):
            listed.setdefault(text(row, "contract"), []).append(row)
        if listed.keys() & found.keys():
            raise malformed("brackets of a contract are listed twice")
        found |= listed
        if len(listed) < PAGE:
            return found
    raise malformed(f"a list of more than {MAX_PAGES} pages")


def _tiers(brackets: Sequence[Row]) -> Tiers:
    """A bracket ends at its risk_limit, in settle units. Maintenance is progressive: amounts make it continuous."""
    tiers: list[Tier] = []
    for row in sorted(brackets, key=lambda row: positive(row, "risk_limit")):
        floor = tiers[-1].cap if tiers else 0.0
        cap, rate = positive(row, "risk_limit"), not_negative(row, "maintenance_rate")
        if cap <= floor:
            raise malformed("a bracket is listed twice")
        tiers.append(Tier(floor, cap, rate, continuous_amount(tiers, floor, rate)))
    return tuple(tiers)


def _mark(row: Row) -> Mark:
    """Its times are in seconds."""
    return Mark.told(
        price=positive(row, "mark_price"),
        rate=optional_number(row, "funding_rate"),
        next_ms=(optional_positive(row, "funding_next_apply") or 0.0) * 1000,
        hours=(optional_positive(row, "funding_interval") or 0.0) / 3600,
    )


VENUE = GateVenue()
