"""Kraken Futures: the multi-collateral wallet ("flex") and the single-collateral wallets of inverse contracts.

Sources: Kraken's API documents (May to October 2026), its support pages on margin, an accounts reply recorded of the
demo in April 2026, ccxt 4.5.90's `sign` and `handle_errors`.
Calls of a cycle: accounts and openpositions (2 each of 500 in 10 s for an address) and tickers (free), for the marks,
which no position tells. None has pages, and ccxt's defaults hide nothing. Two endpoints are not in ccxt and signed by
it all the same: trading/instruments, the margin levels of the account, and api-keys/v3/check, the rights of the key.
Envelope: {"result": "success", ...}, refusals {"result": "error", "error": word} with HTTP 200; the lists are
`openPositions`, `openOrders`, `fills`, `instruments`, `tickers`. A signature holds no time.
Pools: the multi-collateral wallet in dollars (collateral after haircuts + profit against maintenance), each inverse
contract's coin, each isolated position. Kraken tells no ratio, and no liquidation price here.
Funding is told absolute, in quote currency a contract (an inverse one: in coin), and paid at every full hour; ccxt
divides it by the mark even of inverse contracts, where it must multiply.
Margin levels begin at a size in dollars, or in contracts; whether a level's rate holds for the whole position or for
the part within it is not documented: the dearer of the two is taken. The documents say that margins are reckoned at
entry, their worked example of a liquidation reckons at the mark, as our estimates do.
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
from monitor.exchange.guard import Further
from monitor.exchange.together import in_slices, together
from monitor.exchange.values import (
    LARGEST,
    Row,
    malformed,
    not_negative,
    optional_number,
    positive,
    rows,
    text,
)
from monitor.exchange.venues import krakenfutures_ledger, krakenfutures_prices
from monitor.exchange.venues.contracts import a_contract
from monitor.exchange.venues.figures import Figures
from monitor.exchange.venues.krakenfutures_account import listed, named, parse, server_time, tickers_by_symbol, time_at
from monitor.exchange.venues.krakenfutures_figures import COVERAGE, FIGURES
from monitor.exchange.venues.krakenfutures_prices import KrakenFuturesPrices
from monitor.exchange.venues.krakenfutures_records import ends, key_facts, stops
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

_API = "/derivatives/api/v3"
_LOG = "/api/history/v3/account-log"
READS: Mapping[str, str] = {
    "publicGetInstruments": f"{_API}/instruments",
    "publicGetTickers": f"{_API}/tickers",
    **krakenfutures_prices.READS,
    "privateGetAccounts": f"{_API}/accounts",
    "privateGetOpenpositions": f"{_API}/openpositions",
    "privateGetOpenorders": f"{_API}/openorders",
    "privateGetFills": f"{_API}/fills",
    "privateGetTradingInstruments": f"{_API}/trading/instruments",
    "historyGetAccountLog": _LOG,
    "authGetApiKeysV3Check": "/api/auth/v1/api-keys/v3/check",
}
FURTHER = (
    Further("privateGetTradingInstruments", "private", "/derivatives/api/", "trading/instruments"),
    Further("authGetApiKeysV3Check", "auth", "/api/auth/", "api-keys/v3/check"),
)
_CHECK = {"auth": {"GET": {"api-keys/v3/check": "private"}}}
_V1 = {"auth": {"GET": {"api-keys/v3/check": "v1"}}}
# A call costs 2 of 3,000 a minute; those that cost nothing are counted as well.
CALLS_PER_MINUTE = 1500
CALLS_PER_SECOND = 25
FUNDING_INTERVAL = timedelta(hours=1)
MODE = "multi-collateral and single-collateral wallets"
INVERSE, LINEAR = "futures_inverse", "flexible_futures"

KINDS_BY_CODE: Mapping[str, FailureKind] = {
    # No nonce is sent: one that is refused means another key's owner sends some.
    **dict.fromkeys(("authenticationError", "nonceBelowThreshold", "nonceDuplicate"), FailureKind.AUTH),
    **dict.fromkeys(("accountInactive", "invalidAccount"), FailureKind.PERMISSION),
    **dict.fromkeys(("unavailable", "Unavailable", "Server Error", "unknownError"), FailureKind.OVERLOADED),
    "marketUnavailable": FailureKind.MAINTENANCE,
    "apiLimitExceeded": FailureKind.RATE_LIMIT,
}


def _said(reply: Mapping[str, Any]) -> tuple[object, object]:
    """`error`, or the first of `errors`."""
    errors = reply.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return reply.get("error", first.get("code")), first.get("message")


@dataclass(frozen=True, slots=True, kw_only=True)
class KrakenFuturesVenue(KrakenFuturesPrices):
    id: str = "krakenfutures"
    weight_per_minute: int = CALLS_PER_MINUTE
    calls_per_second: int = CALLS_PER_SECOND
    marks_origin: str = "tickers"
    coverage: tuple[str, ...] = COVERAGE
    figures: Figures = field(default_factory=lambda: FIGURES, repr=False)
    key_steps: str = (
        "futures.kraken.com > Settings > API Keys > Create Key: General API 'Read Only', Withdrawal API 'No Access'; "
        "name this machine's address as the only one. A key of Kraken's spot exchange is refused"
    )
    rules: Rules = field(
        default=Rules.of_reads(
            READS,
            kinds_by_code=KINDS_BY_CODE,
            options={"access": _CHECK, "versions": _V1},
            said=_said,
            apart=frozenset({_LOG}),
            further=FURTHER,
        ),
        repr=False,
    )

    async def read_instruments(self, client: Any) -> Instruments:
        found: dict[str, Instrument] = {}
        async for row in in_slices(listed(await client.publicGetInstruments(), "instruments")):
            instrument = self._instrument(client, row)
            if instrument is not None:
                found[text(row, "symbol").upper()] = instrument
        if not found:
            raise malformed("instruments lists no contract")
        return found

    def _instrument(self, client: Any, row: Row) -> Instrument | None:
        """By ccxt's names. None for an index, an option, or what is no dollar contract: a position in it fails loudly,
        as one not listed."""
        if row.get("type") not in (INVERSE, LINEAR):
            return None
        try:
            pair, inverse = text(row, "symbol").upper().split("_")[1], row["type"] == INVERSE
            if not pair.endswith("USD"):
                return None
            base = client.safe_currency_code(pair.removesuffix("USD"))
            dated = "" if row.get("lastTradingTime") is None else f"-{time_at(row, 'lastTradingTime'):%y%m%d}"
            coins = (base, "USD", base if inverse else "USD")
            return a_contract(self.id, coins, positive(row, "contractSize"), inverse=inverse, dated=dated)
        except (ReadError, IndexError):
            return None

    async def read_settings(self, _client: Any, /) -> AccountSettings:
        """There is one mode; which wallets there are, each read tells."""
        return AccountSettings(mode=MODE)

    async def read_account(self, client: Any, _settings: AccountSettings, /) -> Sequence[Any]:
        """(accounts, openpositions, tickers)."""
        return await together(client.privateGetAccounts(), client.privateGetOpenpositions(), client.publicGetTickers())

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        return parse(raw, instruments, settings)

    async def read_marks(self, client: Any, instruments: Instruments, _held: Held, /) -> Mapping[str, Mark | None]:
        reply = await client.publicGetTickers()
        next_at = server_time(reply).replace(minute=0, second=0, microsecond=0) + FUNDING_INTERVAL
        found = {
            instrument.symbol: (instrument, row)
            for raw, row in tickers_by_symbol(reply).items()
            if (instrument := instruments.get(raw)) is not None
        }
        if not found:
            raise malformed("tickers list no contract")
        return marks_of(found, lambda told: _mark(*told, next_at))

    async def read_funding_intervals(self, _client: Any, _instruments: Instruments, /) -> Mapping[str, timedelta]:
        """They come with the marks."""
        return {}

    async def read_tiers(self, client: Any, instruments: Instruments, held: Held, /) -> Mapping[str, Tiers]:
        """Of those held: levels in contracts move with the mark of an inverse one."""
        if not held:
            return {}
        reply, tickers = await together(client.privateGetTradingInstruments(), client.publicGetTickers())
        marks = tickers_by_symbol(tickers)
        found: dict[str, Tiers] = {}
        for row in map(named, listed(reply, "instruments")):
            instrument = instruments.get(row["symbol"])
            if instrument is None or instrument.symbol not in held:
                continue
            tiers = _tiers(row, instrument, marks.get(row["symbol"]))
            if tiers is not None:
                found[instrument.symbol] = tiers
        return found

    async def read_orders(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, /
    ) -> Sequence[StopOrder]:
        return stops(await client.privateGetOpenorders(), instruments)

    async def read_ends(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Sequence[End]:
        return await ends(client, instruments, since)

    async def read_ledger(
        self, client: Any, instruments: Instruments, _settings: AccountSettings, since: datetime, /
    ) -> Ledger:
        return await krakenfutures_ledger.read_ledger(client, instruments, since)

    async def read_key_facts(self, client: Any) -> KeyFacts:
        key, tickers = await together(client.authGetApiKeysV3Check(), client.publicGetTickers())
        return key_facts(key, ahead_s=clock_ahead_s(client, server_time(tickers).timestamp() * 1000))


# --- the market ---


def _mark(instrument: Instrument, row: Row, next_at: datetime) -> Mark:
    """A dated contract pays no funding."""
    price = positive(row, "markPrice")
    if "-" in instrument.symbol:
        return Mark(price=price, funding_rate=0.0)
    absolute = optional_number(row, "fundingRate")
    return Mark(
        price=price,
        funding_rate=None if absolute is None else absolute * price if instrument.inverse else absolute / price,
        next_funding_at=next_at,
        funding_interval=FUNDING_INTERVAL,
    )


def _tiers(row: Row, instrument: Instrument, ticker: Row | None) -> Tiers | None:
    """None where the levels are not sound, or move with a mark that is not known."""
    try:
        levels = sorted(
            (_floor(level, instrument, ticker), not_negative(level, "maintenanceMargin"))
            for level in rows(row.get("marginLevels"), "marginLevels")
        )
    except ReadError:
        return None
    floors = [floor for floor, _ in levels]
    if not floors or floors[0] != 0 or len(set(floors)) < len(floors):
        return None
    return tuple(Tier(floor, cap, rate, 0.0) for (floor, rate), cap in zip(levels, [*floors[1:], LARGEST], strict=True))


def _floor(level: Row, instrument: Instrument, ticker: Row | None) -> float:
    """Where a level begins, in settle units: told in dollars of linear contracts, in contracts of inverse ones."""
    if not instrument.inverse:
        return not_negative(level, "numNonContractUnits")
    return instrument.notional(not_negative(level, "contracts"), positive(ticker or {}, "markPrice"))


VENUE = KrakenFuturesVenue()
