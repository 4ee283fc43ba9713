"""BingX perpetual futures margined in stablecoins (swap v2 and v3), one-way and hedge mode, cross and isolated.

Two signed calls a cycle: `user/balance` (v3) holds the money of each asset, `user/positions` (v2) all positions (no
pages). Each endpoint allows a user 5 calls a second and an address 300 in ten seconds; all account endpoints together
an address 2,000 in ten seconds, market data 500 in ten seconds and 1,000 a minute (BingX's documents, "Rate limit", and
its announcement of October 2025). X-RateLimit-Requests-Remain is of one user and endpoint, and not taken over.

Envelope: code 0 and the answer in `data`; refusals come with HTTP 200 and another code. BingX tells no maintenance; it
is estimated by the tiers of `maintMarginRatio`. How the account is set up, its orders and its liquidations are told to
keys that may trade alone; a key that can only read is read without them, and says so.
Sources: BingX's API documentation (swapV2) and its rules of forced liquidation.
"""

from collections.abc import Mapping, Sequence
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
    Row,
    malformed,
    mapping,
    not_negative,
    optional_number,
    optional_positive,
    positive,
    text,
)
from monitor.exchange.venues import bingx_ledger, bingx_prices
from monitor.exchange.venues.bingx_account import COVERAGE, FIGURES, MAX_TIERS, parse
from monitor.exchange.venues.bingx_orders import data_of, ends, key_facts, listed, stops
from monitor.exchange.venues.bingx_prices import BingxPrices
from monitor.exchange.venues.contracts import a_contract
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.venue import (
    AccountReading,
    AccountSettings,
    Held,
    Instruments,
    KeyFacts,
    Mark,
    marks_of,
)

# As if all calls were of one endpoint; market data is too small a part of them to reach its own limit.
CALLS_PER_MINUTE = 1800
CALLS_PER_SECOND = 27
# Of one user, per endpoint; beyond it BingX shuts the endpoint for minutes.
TIERS_PER_SECOND = 4

_SWAP = "/openApi/swap"
# What may be called, by ccxt's name.
READS: Mapping[str, str] = {
    "swapV2PublicGetServerTime": f"{_SWAP}/v2/server/time",
    "swapV2PublicGetQuoteContracts": f"{_SWAP}/v2/quote/contracts",
    "swapV2PublicGetQuotePremiumIndex": f"{_SWAP}/v2/quote/premiumIndex",
    **bingx_prices.READS,
    "swapV1PrivateGetPositionSideDual": f"{_SWAP}/v1/positionSide/dual",
    "swapV1PrivateGetTradeAssetMode": f"{_SWAP}/v1/trade/assetMode",
    "swapV1PrivateGetMaintMarginRatio": f"{_SWAP}/v1/maintMarginRatio",
    "swapV3PrivateGetUserBalance": f"{_SWAP}/v3/user/balance",
    "swapV2PrivateGetUserPositions": f"{_SWAP}/v2/user/positions",
    "swapV2PrivateGetUserIncome": f"{_SWAP}/v2/user/income",
    "swapV2PrivateGetTradeOpenOrders": f"{_SWAP}/v2/trade/openOrders",
    "swapV2PrivateGetTradeForceOrders": f"{_SWAP}/v2/trade/forceOrders",
    "accountV1PrivateGetAccountApiPermissions": "/openApi/v1/account/apiPermissions",
}

# BingX's common error codes. 100421 is the clock by its documents, and a symbol by ccxt's table.
KINDS_BY_CODE: Mapping[str, FailureKind] = {
    **dict.fromkeys(("100001", "100412", "100413"), FailureKind.AUTH),
    **dict.fromkeys(("100004", "100414", "100419", "80020"), FailureKind.PERMISSION),
    **dict.fromkeys(("80012", "100500", "101500", "109500"), FailureKind.OVERLOADED),
    "100410": FailureKind.RATE_LIMIT,
    "100421": FailureKind.CLOCK,
}
RULES = Rules.of_reads(
    READS,
    kinds_by_code=KINDS_BY_CODE,
    options={"defaultType": "swap"},
    # As ccxt names it before it signs.
    paces={"/openApi/user/income": bingx_ledger.CALLS_PER_SECOND},
)
KEY_STEPS = (
    "API Management > Create API; leave only 'Read' on, and under 'IP whitelist' name this machine's address. A key "
    "that can only read is not told the account's mode, its stop orders and its liquidations"
)
MODE_UNTOLD = (
    "whether this account is in multi-assets mode is told to keys that may trade alone; if so, figures are wrong"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BingxVenue(BingxPrices):
    id: str = "bingx"
    rules: Rules = field(default=RULES, repr=False)
    weight_per_minute: int = CALLS_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "premiumIndex"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = KEY_STEPS

    async def read_instruments(self, client: Any) -> Instruments:
        reply = listed(await client.swapV2PublicGetQuoteContracts(), "contracts")
        found = {row["symbol"]: it for row in reply if (it := self._instrument(client, row)) is not None}
        if not found:
            raise malformed("contracts lists no contract")
        return found

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """None for what is no contract between known currencies; a position in it fails loudly, as one not listed."""
        try:
            base, _, quote = text(row, "symbol").partition("-")
            settle = client.safe_currency_code(text(row, "currency"))
        except ReadError:
            return None
        base, quote = client.safe_currency_code(base), client.safe_currency_code(quote)
        if not base or not quote or settle != quote:
            return None
        # Positions are counted in base units, whatever `size` says: that is the smallest order.
        return a_contract(self.id, (base, quote, settle), 1.0, inverse=False)

    async def read_settings(self, client: Any, /) -> AccountSettings:
        """Both position modes are read alike; multi-assets mode raises ReadError (unsupported)."""
        position, assets = await together(
            _where_allowed(client.swapV1PrivateGetPositionSideDual, "positionSide/dual", "dualSidePosition"),
            _where_allowed(client.swapV1PrivateGetTradeAssetMode, "assetMode", "assetMode"),
        )
        if assets not in (None, "singleAssetMode"):
            raise ReadError(FailureKind.UNSUPPORTED, f"the account's asset mode is {assets:.40}, which is not read yet")
        if position not in (None, "true", "false"):
            raise ReadError(FailureKind.UNSUPPORTED, f"position mode {position:.40} is not known")
        mode = {"true": "hedge mode", "false": "one-way mode"}.get(position or "", "mode untold")
        return AccountSettings(mode=mode, caveats=(MODE_UNTOLD,) if assets is None else ())

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> Any:
        """(balance, positions)."""
        return await together(client.swapV3PrivateGetUserBalance(), client.swapV2PrivateGetUserPositions())

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        balance, positions = raw
        return parse(listed(balance, "balance"), listed(positions, "positions"), instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        reply = listed(await client.swapV2PublicGetQuotePremiumIndex(), "premiumIndex")
        found = {it.symbol: row for row in reply if (it := instruments.get(text(row, "symbol"))) is not None}
        if not found:
            raise malformed("premiumIndex lists no contract")
        return marks_of(found, _mark)

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        """Told contract by contract, and paced: of the first MAX_TIERS of what is held."""
        contracts = listed(await client.swapV2PublicGetQuoteContracts(), "contracts")
        fees = {text(row, "symbol"): optional_number(row, "takerFeeRate") for row in contracts}
        raws = sorted(raw for raw, it in instruments.items() if it.symbol in held)[:MAX_TIERS]
        found: dict[str, Tiers] = {}
        for start in range(0, len(raws), TIERS_PER_SECOND):
            if start:
                await client.shared.clock.sleep(1.0)
            few = raws[start : start + TIERS_PER_SECOND]
            replies = await together(*(client.swapV1PrivateGetMaintMarginRatio({"symbol": raw}) for raw in few))
            for raw, reply in zip(few, replies, strict=True):
                fee = fees.get(raw)
                if fee is not None:
                    found[instruments[raw].symbol] = _tiers(listed(reply, "maintMarginRatio"), fee)
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
        return await bingx_ledger.read_ledger(client, instruments, since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        return await key_facts(client)


async def _where_allowed(call: Any, where: str, name: str) -> str | None:
    """A setting that keys without the right to trade are refused: None for them."""
    try:
        return text(mapping(data_of(await call(), where), where), name)
    except ReadError as failed:
        if failed.kind is FailureKind.PERMISSION:
            return None
        raise


def _mark(row: Row) -> Mark:
    return Mark.told(
        price=positive(row, "markPrice"),
        rate=optional_number(row, "lastFundingRate"),
        next_ms=optional_positive(row, "nextFundingTime"),
        hours=optional_positive(row, "fundingIntervalHours"),
    )


def _tiers(reply: Sequence[Row], fee: float) -> Tiers:
    """Maintenance = value x rate - amount; the fee of closing is owed beside it where BingX liquidates."""
    tiers = sorted(
        (
            Tier(
                not_negative(row, "minPositionVal"),
                positive(row, "maxPositionVal"),
                not_negative(row, "maintMarginRatio") + fee,
                not_negative(row, "maintAmount"),
            )
            for row in reply
        ),
        key=lambda tier: tier.floor,
    )
    if not tiers or len({tier.floor for tier in tiers}) < len(tiers):
        raise malformed("maintMarginRatio lists no tiers, or one twice")
    return tuple(tiers)


VENUE = BingxVenue()
