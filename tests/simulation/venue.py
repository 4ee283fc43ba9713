"""The paper venue as accounts' sources: the production's AccountSource over doubles of its client, venue and market.

While nothing is wrong a read is taken straight from the engine's books, which is what the speed of the simulation comes
from. What goes wrong goes through production code as far as it reaches: refusals through `failed_reply`, spoilt bodies
through the Binance reader, everything through retries, pauses and plausibility.
"""

import json
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

from monitor.clock import Clock
from monitor.domain.account import End, FailureKind, MarginBalance, MarginMode, Observation, Position, PriceOrigin
from monitor.domain.market import MarketState
from monitor.exchange.failures import ReadError, failed_reply
from monitor.exchange.failures import Reply as Refusal
from monitor.exchange.market_data import MarketData
from monitor.exchange.registry import AccountAccess
from monitor.exchange.source import AccountSource
from monitor.exchange.values import malformed
from monitor.exchange.venues import binanceusdm
from monitor.exchange.venues.binance import KINDS_BY_CODE
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments, KeyFacts, Venue
from monitor.paper.book import Account, Leg
from monitor.paper.dialect import ApiError, Call
from monitor.paper.dialects.binance import BINANCE
from monitor.paper.faults import Fault, FaultKind, Reply, spoil
from monitor.paper.formats import milliseconds
from tests.simulation.plan import Window
from tests.simulation.world import World

ACCOUNT_PATH, RISK_PATH = "/fapi/v3/account", "/fapi/v3/positionRisk"
# By `amount` of the fault: which of the two replies it spoils.
SPOILS = ((ACCOUNT_PATH, RISK_PATH), (ACCOUNT_PATH,), (RISK_PATH,))
TOO_OLD = ApiError(400, -1021, "Timestamp is outside of the recvWindow.")
RETRY_AFTER = (FaultKind.RATE_LIMITED, FaultKind.BANNED)
LONGER_THAN_ANY_DEADLINE_S = 3_600.0

# Hears of every observation as it is handed to the pipeline, and before each read.
OnRead = Callable[[str, Observation | None], None]
# Hears of the ends that a reply of the venue tells.
OnEnds = Callable[[str, Sequence[End]], None]


class PaperExchanges:
    """Stands for `Exchanges`."""

    def __init__(self, world: World, clock: Clock, time: Callable[[], float], on_read: OnRead, on_ends: OnEnds) -> None:
        self._world, self._clock, self._time, self._on_read, self._on_ends = world, clock, time, on_read, on_ends
        self._market = PaperMarket(world, time)

    def open_account(self, access: AccountAccess) -> AccountSource:
        return ToldSource(
            access.name,
            cast(Venue, PaperVenue(access.name, self._world, self._clock, self._time, self._on_ends)),
            PaperClient(),
            cast(MarketData, self._market),
            self._clock,
            deadline_s=access.read_deadline_s,
            marks_max_age_s=access.poll_interval_s / 2,
            on_read=self._on_read,
        )

    async def close_account(self, source: AccountSource) -> None:
        await source.close()

    async def close(self) -> None:
        """Nothing is shared that would have to be closed."""


class ToldSource(AccountSource):
    def __init__(self, *arguments: Any, on_read: OnRead, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._on_read = on_read

    async def observe(self) -> Observation:
        self._on_read(self.name, None)
        observation = await super().observe()
        self._on_read(self.name, observation)
        return observation


class PaperClient:
    """What AccountSource asks of a ccxt client; `release` sets the rest."""

    def __init__(self) -> None:
        self.skew_known = False

    async def resync(self) -> None:
        self.skew_known = True


class PaperMarket:
    """Public data as last received; it stands still while the whole venue misbehaves."""

    def __init__(self, world: World, time: Callable[[], float]) -> None:
        self._world, self._time = world, time
        self._received = world.states()

    def markets(self) -> dict[str, MarketState]:
        return self._received

    def hold(self, *_: object) -> frozenset[str]:
        """All instruments are told at once."""
        return frozenset()

    def caveats(self, *_: object) -> tuple[str, ...]:
        """Its rules need nothing that is not told."""
        return ()

    def forget(self, _account: str) -> None:
        """All instruments are told at once."""

    async def instruments(self) -> Instruments:
        return self._world.instruments

    async def refresh(self, _client: object, _max_age_s: float) -> None:
        if self._world.plan.faults.at(self._time()) is None:
            self._world.advance(self._time())
            self._received = self._world.states()

    async def settle(self, refreshing: Any) -> None:
        await refreshing


class PaperVenue:
    """One account's calls: what `binanceusdm.VENUE` is to the real one."""

    id = "binanceusdm"
    coverage = ()
    key_steps = ""

    def __init__(self, account: str, world: World, clock: Clock, time: Callable[[], float], on_ends: OnEnds) -> None:
        self._account, self._world, self._clock, self._time, self._on_ends = account, world, clock, time, on_ends
        self._dice = random.Random(f"{world.plan.seed}:{account}:{time()}:ends")
        self._frozen: tuple[Window, AccountReading] | None = None

    async def read_key_facts(self, _client: object) -> KeyFacts:
        return KeyFacts(may_trade=False, may_withdraw=False, ip_restricted=True, clock_ahead_s=None)

    async def read_settings(self, _client: object) -> AccountSettings:
        return AccountSettings()

    async def read_account(self, client: PaperClient, _settings: AccountSettings) -> AccountReading | list[Any]:
        window = self._world.plan.faults.at(self._time(), self._account)
        if window is None:
            client.skew_known = False
            return self._book()
        match window.kind:
            case FaultKind.HANG:
                await self._clock.sleep(LONGER_THAN_ANY_DEADLINE_S)
            case FaultKind.LATENCY:
                await self._clock.sleep(window.amount)
            case FaultKind.CLOCK_SKEW:
                if not client.skew_known:
                    raise _refused(BINANCE.error(TOO_OLD), self._clock)
            case FaultKind.STALE:
                if self._frozen is None or self._frozen[0] is not window:
                    self._frozen = (window, self._book())
                return self._frozen[1]
            case FaultKind():
                return self._spoilt(window)
        return self._book()

    async def read_ends(self, _client: object, _instruments: object, _settings: object, since: datetime) -> list[End]:
        if not self._world.plan.has_records:
            raise ReadError(FailureKind.UNSUPPORTED, "this venue has no such records")
        window = self._world.plan.faults.at(self._time(), self._account)
        if window is not None:
            await self._through(window)
        self._world.advance(self._time())
        is_stale = window is not None and window.kind is FaultKind.STALE
        time = window.start if window is not None and is_stale else self._time()
        told = self._world.records.shown(self._account, since, time, self._dice)
        self._on_ends(self._account, told)
        return told

    async def _through(self, window: Window) -> None:
        """What a bad day leaves of a request for records. Raises ReadError."""
        match window.kind:
            case FaultKind.HANG:
                await self._clock.sleep(LONGER_THAN_ANY_DEADLINE_S)
            case FaultKind.LATENCY:
                await self._clock.sleep(window.amount)
            case FaultKind.STALE | FaultKind.CLOCK_SKEW:
                return
            case _:
                raise ReadError(FailureKind.OVERLOADED, "the venue has a bad day")

    def parse_account(self, raw: Any, instruments: Instruments, settings: AccountSettings) -> AccountReading:
        return raw if isinstance(raw, AccountReading) else binanceusdm.parse(raw, instruments, settings)

    def _spoilt(self, window: Window) -> list[Any]:
        assert isinstance(window.kind, FaultKind)
        now_ms = milliseconds(self._clock.now())
        fault = Fault(
            kind=window.kind,
            status=round(window.amount) if window.kind is FaultKind.SERVER_ERROR else 503,
            retry_after_s=round(window.amount) if window.kind in RETRY_AFTER and window.amount >= 1 else None,
        )
        refused = BINANCE.refusal(fault, now_ms)
        if refused is not None:
            raise _refused(refused, self._clock)
        self._world.advance(self._time())
        call = Call(self._world.engine, now_ms, {}, self._world.engine.account(self._account), BINANCE.profile)
        spoils = SPOILS[round(window.amount)]
        return [
            _body(path, BINANCE.endpoints[f"GET {path}"].render(call), fault if path in spoils else None)
            for path in (ACCOUNT_PATH, RISK_PATH)
        ]

    def _book(self) -> AccountReading:
        self._world.advance(self._time())
        return book(self._world, self._world.engine.account(self._account))


def _refused(reply: Reply, clock: Clock) -> ReadError:
    said = json.loads(reply.body) if reply.content_type == "application/json" else {}
    headers = {name.lower(): value for name, value in reply.headers}
    code = str(said["code"]) if "code" in said else None
    refused = Refusal(status=reply.status, headers=headers, code=code, message=said.get("msg"), received_at=clock.now())
    return failed_reply(refused, None, KINDS_BY_CODE)


def _body(path: str, payload: Any, fault: Fault | None) -> Any:
    """What the strict client makes of it."""
    spoilt = spoil(fault, payload, partial(BINANCE.without_positions, path)) if fault is not None else None
    if spoilt is None:
        return payload
    try:
        reply = json.loads(spoilt.body)
    except ValueError:
        raise malformed("the reply is not JSON") from None
    if not isinstance(reply, dict | list):
        raise ReadError(FailureKind.MALFORMED, "the reply is not JSON")
    return reply


def book(world: World, account: Account) -> AccountReading:
    """The engine's book as a good read tells it."""
    marks = {leg.contract.symbol: world.marks[leg.contract.symbol][-1] for leg in account.legs.values()}
    pools: dict[str, list[Leg]] = {"cross:USDT": []}
    for leg in account.legs.values():
        pools.setdefault(leg.pool, []).append(leg)
    margins: list[MarginBalance] = []
    positions: list[Position] = []
    for pool, legs in pools.items():
        equity, maintenance = account.pool_wallet(pool), 0.0
        owed = []
        for leg in legs:
            mark = marks[leg.contract.symbol]
            equity += leg.gain(mark)
            owed.append(leg.maintenance(mark))
            maintenance += owed[-1]
        margins.append(MarginBalance(pool=pool, currency="USDT", equity=equity, maintenance_margin=maintenance))
        for leg, own in zip(legs, owed, strict=True):
            price = liquidation_price(leg, marks[leg.contract.symbol], equity, maintenance - own)
            positions.append(_position(world, leg, marks[leg.contract.symbol], own, price))
    in_use = sum(margin.maintenance_margin or 0.0 for margin in margins)
    return AccountReading(margins=tuple(margins), positions=tuple(positions), margin_in_use=in_use)


def _position(world: World, leg: Leg, mark: float, maintenance: float, price: float | None) -> Position:
    instrument = world.instruments[leg.contract.symbol]
    is_cross = leg.isolated_wallet is None
    return Position(
        instrument=instrument,
        side=leg.side,
        pool="cross:USDT" if is_cross else f"isolated:{instrument.symbol}:{leg.side}",
        contracts=leg.contracts,
        size=leg.contracts,
        notional=leg.notional(mark),
        mark_price=mark,
        entry_price=leg.entry_price,
        liquidation_price=price,
        liquidation_price_origin=PriceOrigin.NONE if price is None else PriceOrigin.VENUE,
        leverage=leg.leverage,
        margin_mode=MarginMode.CROSS if is_cross else MarginMode.ISOLATED,
        maintenance_margin=maintenance,
        unrealized_pnl=leg.gain(mark),
    )


def liquidation_price(leg: Leg, mark: float, equity: float, other_maintenance: float) -> float | None:
    """Where equity meets maintenance when this leg's mark alone moves: P' = (E - S*P - MM_other + amount) /
    (|S|*rate - S), with the bracket that P' falls in. One leg a symbol and pool, linear."""
    size = leg.side.sign * leg.contracts
    for bracket in leg.contract.brackets:
        found = (equity - size * mark - other_maintenance + bracket.amount) / (leg.contracts * bracket.rate - size)
        if found > 0 and bracket.floor <= leg.contracts * found < bracket.cap:
            return found
    return None
