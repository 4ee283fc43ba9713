"""Hyperliquid, read by address: its own perpetuals and those of HIP-3 dexes, in standard, unified and portfolio mode.

Sources: Hyperliquid's documents (rate limits, account abstraction modes, portfolio margin, margin tiers), replies
recorded in ccxt's static tests and in public SDKs, ccxt 4.5.90. There is no key: everything is asked by POST /info.
Calls of a cycle: clearinghouseState of the main dex and of each other one (weight 2 each; ccxt reads the main dex
alone) and spotClearinghouseState (2). No pages. Public: metaAndAssetCtxs (20) of each dex in which something is held
(mark, funding rate; the rate is of one hour and paid at each full one); hourly allPerpMetas and spotMeta (20 each).
An address has 1200 a minute, and no header tells what is used.
Envelope: none; the list stands in `assetPositions`, and what the listed positions are worth must be what the account's
summary says (`marginSummary.totalNtlPos`, met by every recorded reply). A state older than two minutes is refused.
Mode: userAbstraction (20) and userRole (60) every ten minutes; ccxt takes an error of the first for standard mode. The
address of an API wallet reads as a flat account: it is refused, as one that the venue does not know is. That pooled
modes alone tell `tokenToAvailableAfterMaintenance` gives a change of mode away at the next read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.domain.account import End, FailureKind, Instrument, StopOrder
from monitor.domain.ledger import Ledger
from monitor.domain.market import Tier, Tiers, continuous_amount
from monitor.exchange.client import Rules
from monitor.exchange.failures import ReadError
from monitor.exchange.together import together
from monitor.exchange.values import (
    LARGEST,
    Row,
    malformed,
    mapping,
    not_negative,
    number,
    optional_number,
    positive,
    rows,
    text,
)
from monitor.exchange.venues import hyperliquid_ledger, hyperliquid_prices
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.hyperliquid_account import COVERAGE, FIGURES, MODES, STANDARD, dex_of, parse
from monitor.exchange.venues.hyperliquid_prices import HyperliquidPrices
from monitor.exchange.venues.hyperliquid_records import ends, key_facts, stops
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    marks_of,
)

WEIGHT_PER_MINUTE = 1200
CALLS_PER_SECOND = 40
# By what is asked; fills and bookings weigh one more per 20 of them, of which a reply has 2,000 and 500 at most.
LIGHT, USUAL, FILLS, BOOKINGS = 2, 20, 120, 45
WEIGHTS: Mapping[str, int] = {
    **dict.fromkeys(("clearinghouseState", "spotClearinghouseState", "exchangeStatus"), LIGHT),
    "userRole": 60,
    "userFillsByTime": FILLS,
    **hyperliquid_prices.WEIGHTS,
    **dict.fromkeys(("userFunding", "userNonFundingLedgerUpdates"), BOOKINGS),
}
MAX_DEXES = 100
MAX_STATE_AGE_S = 120.0
FUNDING_INTERVAL = timedelta(hours=1)
# Tables up to this number have one tier, and the number is its leverage.
LAST_PLAIN_TABLE = 49
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
RULES = Rules(
    calls=frozenset({"publicPostInfo"}),
    permits=lambda method, path: (method, path) == ("POST", "/info"),
    weights={"/info": USUAL, **{f"/info {kind}": weight for kind, weight in WEIGHTS.items()}},
    bare_words=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperliquidVenue(HyperliquidPrices):
    id: str = "hyperliquid"
    rules: Rules = field(default=RULES, repr=False)
    weight_per_minute: int = WEIGHT_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "metaAndAssetCtxs"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = "name the account's wallet_address alone: Hyperliquid tells what it holds without any key"

    async def read_instruments(self, client: Any) -> Instruments:
        metas, spot = await together(_metas(client), client.publicPostInfo({"type": "spotMeta"}))
        listed = rows(mapping(spot, "spotMeta").get("tokens"), "tokens")
        tokens = {number(row, "index"): text(row, "name") for row in listed}
        found: dict[str, Instrument] = {}
        for meta in metas:
            settle = tokens.get(number(meta, "collateralToken"))
            for row in rows(meta.get("universe"), "universe"):
                instrument = self._instrument(client, text(row, "name"), settle)
                if instrument is not None:
                    found[text(row, "name")] = instrument
        if not found:
            raise malformed("allPerpMetas lists no contract")
        return found

    def _instrument(self, client: Any, coin: str, settle: str | None) -> Instrument | None:
        """None where the collateral's name is not told: a position in it fails loudly, as one not listed."""
        if settle is None:
            return None
        code, base = client.safe_currency_code(coin), client.safe_currency_code(coin.rpartition(":")[2])
        settle = settle.upper()
        return Instrument(
            venue=self.id,
            symbol=f"{code.replace(':', '-')}/{settle}:{settle}",
            base=base,
            quote=settle,
            settle=settle,
            contract_size=1.0,
            inverse=False,
        )

    async def read_settings(self, client: Any, /) -> AccountSettings:
        address = _address(client)
        role, word, dexes = await together(
            client.publicPostInfo({"type": "userRole", "user": address}),
            client.publicPostInfo({"type": "userAbstraction", "user": address}),
            client.publicPostInfo({"type": "perpDexs"}),
        )
        _refuse_other_addresses(text(mapping(role, "userRole"), "role"))
        if not isinstance(word, str):
            raise malformed("userAbstraction: expected a word")
        mode = MODES.get(word)
        if mode is None:
            raise ReadError(FailureKind.UNSUPPORTED, f"the account is in mode {word}, which is not read")
        return AccountSettings(mode=mode, parts=_names(dexes))

    async def read_account(self, client: Any, settings: AccountSettings, /) -> Any:
        """({dex: clearinghouseState}, spotClearinghouseState)."""
        spot = client.publicPostInfo({"type": "spotClearinghouseState", "user": _address(client)})
        return await together(_states(client, settings), spot)

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        states, spot = raw
        return parse(states, mapping(spot, "spotClearinghouseState"), instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Mark | None]:
        """Told dex by dex: of those in which something is held."""
        dexes = sorted({dex_of(coin) for coin, instrument in instruments.items() if instrument.symbol in held})
        replies = await together(*(client.publicPostInfo(_of_dex("metaAndAssetCtxs", dex)) for dex in dexes))
        hour = datetime.fromtimestamp(client.seconds() // 3600 * 3600, UTC)
        found: dict[str, Row] = {}
        for reply in replies:
            for coin, context in _contexts(reply):
                if coin in instruments:
                    found[instruments[coin].symbol] = context
        return marks_of(found, lambda context: _mark(context, hour + FUNDING_INTERVAL))

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Tiers]:
        found: dict[str, Tiers] = {}
        for meta in await _metas(client):
            tables = _tables(meta.get("marginTables"))
            for row in rows(meta.get("universe"), "universe"):
                instrument, table = instruments.get(text(row, "name")), int(not_negative(row, "marginTableId"))
                plain = ((0.0, float(table)),) if 0 < table <= LAST_PLAIN_TABLE else None
                if instrument is not None and (steps := tables.get(table) or plain) is not None:
                    found[instrument.symbol] = tiers_of(steps)
        return found

    async def read_orders(
        self, client: Any, instruments: Instruments, settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        """Of the main dex and of those in which a position is held: each one asked weighs as much as ten reads."""
        states = await _states(client, settings)
        dexes = [dex for dex, state in states.items() if not dex or mapping(state, "state").get("assetPositions")]
        question = {"user": _address(client)}
        replies = await together(
            *(client.publicPostInfo(_of_dex("frontendOpenOrders", dex) | question) for dex in dexes)
        )
        return [stop for reply in replies for stop in stops(rows(reply, "frontendOpenOrders"), instruments)]

    async def read_ends(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        return await ends(client, _address(client), instruments, since)

    async def read_ledger(
        self, client: Any, instruments: Instruments, settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        pooled = settings.mode != STANDARD
        return await hyperliquid_ledger.read_ledger(client, _address(client), instruments, since, pooled=pooled)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        return await key_facts(client, _address(client))


def _address(client: Any) -> str:
    address = str(client.walletAddress or "")
    if not _ADDRESS.fullmatch(address):
        raise ReadError(FailureKind.AUTH, "wallet_address is not an address: 0x and 40 hexadecimal digits")
    return address.lower()


def _refuse_other_addresses(role: str) -> None:
    """Their state is that of an account which holds nothing."""
    if role == "agent":
        raise ReadError(FailureKind.UNSUPPORTED, "wallet_address is an API wallet's; name the account it trades for")
    if role == "missing":
        raise ReadError(FailureKind.UNSUPPORTED, "Hyperliquid knows no account at this wallet_address")
    if role not in ("user", "subAccount", "vault"):
        raise ReadError(FailureKind.UNSUPPORTED, f"wallet_address is of a {role:.40}, which is not read")


def _names(dexes: Any) -> tuple[str, ...]:
    """Of perpDexs: the first place is the main dex's, which has no name, and is null. So is that of a dex that is no
    more: one whose contracts are listed is missed when an account is parsed."""
    if not isinstance(dexes, list) or not dexes or dexes[0] is not None:
        raise malformed("perpDexs: expected a list that begins with the main dex")
    names = tuple(text(dex, "name") for dex in rows([dex for dex in dexes if dex is not None], "perpDexs"))
    if len(names) > MAX_DEXES:
        raise ReadError(FailureKind.UNSUPPORTED, f"{len(names)} dexes are more than can be read")
    return names


def _of_dex(kind: str, dex: str) -> dict[str, str]:
    return {"type": kind, "dex": dex} if dex else {"type": kind}


async def _states(client: Any, settings: AccountSettings) -> Mapping[str, Any]:
    """By dex; raises ReadError (overloaded) where one is old: what it shows may be over."""
    dexes, question = ("", *settings.parts), {"user": _address(client)}
    states = await together(
        *(client.publicPostInfo(_of_dex("clearinghouseState", dex) | question) for dex in dexes)
    )  # fmt: skip
    for state in states:
        age_s = (client.milliseconds() - number(mapping(state, "clearinghouseState"), "time")) / 1000
        if abs(age_s) > MAX_STATE_AGE_S:
            raise ReadError(
                FailureKind.OVERLOADED, f"the state told is {age_s:.0f} s old, or this machine's clock is off by that"
            )
    return dict(zip(dexes, states, strict=True))


async def _metas(client: Any) -> list[Row]:
    """One per dex, the main one first; a dex that is no more leaves an empty place."""
    reply = await client.publicPostInfo({"type": "allPerpMetas"})
    if not isinstance(reply, list):
        raise malformed("allPerpMetas: expected a list")
    return rows([meta for meta in reply if meta is not None], "allPerpMetas")


def _contexts(reply: Any) -> list[tuple[str, Row]]:
    """Coin and context, of metaAndAssetCtxs; a list of another length than its universe would lend marks to others."""
    if not isinstance(reply, list) or len(reply) != 2:
        raise malformed("metaAndAssetCtxs: expected meta and contexts")
    universe = rows(mapping(reply[0], "meta").get("universe"), "universe")
    contexts = rows(reply[1], "contexts")
    if len(universe) != len(contexts):
        raise malformed(f"metaAndAssetCtxs: {len(contexts)} contexts of {len(universe)} contracts")
    return [(text(row, "name"), context) for row, context in zip(universe, contexts, strict=True)]


def _mark(context: Row, next_at: datetime) -> Mark:
    return Mark(
        price=positive(context, "markPx"),
        funding_rate=optional_number(context, "funding"),
        next_funding_at=next_at,
        funding_interval=FUNDING_INTERVAL,
    )


Steps = Sequence[tuple[float, float]]


def _tables(told: Any) -> dict[int, Steps]:
    """Margin tables by number: (lower bound, leverage), lowest first."""
    pairs: list[Any] = told if isinstance(told, list) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int) for pair in pairs):
        raise malformed("marginTables: expected pairs of number and table")
    return {
        number_: sorted(
            (not_negative(tier, "lowerBound"), positive(tier, "maxLeverage"))
            for tier in rows(mapping(table, "marginTable").get("marginTiers"), "marginTiers")
        )
        for number_, table in pairs
    }


def tiers_of(steps: Steps) -> Tiers:
    """Maintenance is half of the initial margin at the tier's leverage; the amounts make it continuous."""
    floors = [floor for floor, _ in steps]
    if not floors or floors[0] != 0 or floors != sorted(set(floors)):
        raise malformed("marginTiers: they do not rise from 0")
    tiers: list[Tier] = []
    for (floor, leverage), cap in zip(steps, (*(floor for floor, _ in steps[1:]), LARGEST), strict=True):
        rate = 0.5 / leverage
        tiers.append(Tier(floor, cap, rate, continuous_amount(tiers, floor, rate)))
    return tuple(tiers)


VENUE = HyperliquidVenue()
