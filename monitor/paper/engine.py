"""An exchange that margins, charges funding and liquidates: synchronous, deterministic, without I/O.

Time and prices are handed in. Opening is not checked against the available balance or the brackets' leverage, so
that any state of an account can be set up. Liquidation is judged when a mark moves, when time passes and when cash
leaves, never on opening.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.domain.account import MarginMode, Side
from monitor.domain.study import Frame
from monitor.paper.bisection import liquidation_price
from monitor.paper.book import (
    Account,
    Event,
    EventKind,
    Leg,
    PoolTruth,
    PositionTruth,
    liquidatable,
    pool_margin,
)
from monitor.paper.contract import Contract
from monitor.paper.ledger import Ledger
from monitor.paper.tape import Bar, Level, Tape

# A partial liquidation leaves this share of the bracket's floor, so that a small rise does not undo the step.
UNDER_THE_STEP = 0.99
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EngineError(ValueError):
    """An operation the exchange refuses."""


@dataclass(slots=True)
class Market:
    """What moves about one contract: its funding terms now, and when they are next charged."""

    contract: Contract
    funding_rate: float
    funding_interval: timedelta
    next_funding_at: datetime


class Engine:
    """The exchange. `events` keeps the last 100,000 of them; `Event.sequence` counts from 1."""

    def __init__(self, start: datetime) -> None:
        self._ledger = Ledger(start)
        self._markets: dict[str, Market] = {}
        self._marks: dict[str, float] = {}
        self._tapes: dict[str, Tape] = {}
        self._liquidation_prices: dict[tuple[str, str, str], float | None] = {}
        self._prices_version = 0

    # --- what there is ---

    @property
    def now(self) -> datetime:
        return self._ledger.now

    @property
    def events(self) -> deque[Event]:
        return self._ledger.events

    @property
    def contracts(self) -> tuple[Contract, ...]:
        return tuple(market.contract for market in self._markets.values())

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The books themselves: read them, change them through the engine."""
        return tuple(self._ledger.accounts.values())

    def account(self, name: str) -> Account:
        try:
            return self._ledger.accounts[name]
        except KeyError:
            raise EngineError(f"no account {name!r}") from None

    def account_of_key(self, api_key: str) -> Account | None:
        return next((account for account in self._ledger.accounts.values() if account.api_key == api_key), None)

    def market(self, symbol: str) -> Market:
        try:
            return self._markets[symbol]
        except KeyError:
            raise EngineError(f"no contract {symbol!r}") from None

    def mark(self, symbol: str) -> float | None:
        """The mark, None while none was set."""
        return self._marks.get(symbol)

    def bars(self, symbol: str, frame: Frame, count: int, now_ms: int) -> list[Bar]:
        """The last `count` candles (fewer of a young contract), ascending, the last one of now."""
        return self._tape(symbol).last_bars(frame, count, self._marks[symbol], now_ms)

    def resting(self, symbol: str, side: str, count: int) -> list[Level]:
        """The best `count` levels of one side of an order book, "bids" or "asks"."""
        return self._tape(symbol).side(side, self.market(symbol).contract, self._marks[symbol], count)

    # --- setting up ---

    def add_contract(self, contract: Contract) -> None:
        self._markets[contract.symbol] = Market(
            contract,
            contract.funding_rate,
            contract.funding_interval,
            _next_multiple(self.now, contract.funding_interval),
        )

    def add_account(self, name: str, *, api_key: str, secret: str, hedge_mode: bool = False) -> None:
        if name in self._ledger.accounts or self.account_of_key(api_key) is not None:
            raise EngineError(f"account {name!r} or its key exists already")
        self._ledger.accounts[name] = Account(name, api_key, secret, hedge_mode)

    def set_funding(self, symbol: str, rate: float, interval: timedelta | None = None) -> None:
        """From now on; a new interval is counted from midnight UTC."""
        market = self.market(symbol)
        market.funding_rate = rate
        if interval is not None:
            market.funding_interval = interval
            market.next_funding_at = _next_multiple(self.now, interval)

    def set_tape(self, symbol: str, **changes: Any) -> None:
        """What is told of its past and its order book, by the names of Tape's fields."""
        self._tapes[symbol] = replace(self._tape(symbol), **changes)

    # --- what an account's owner does ---

    def deposit(self, account: str, asset: str, amount: float) -> None:
        if amount <= 0:
            raise EngineError("a deposit is above 0")
        owner = self.account(account)
        self._ledger.pay(owner, asset, amount)
        self._ledger.log(owner, EventKind.DEPOSIT, asset, amount)

    def withdraw(self, account: str, asset: str, amount: float) -> None:
        owner = self.account(account)
        if not 0 < amount <= owner.wallets.get(asset, 0.0):
            raise EngineError("a withdrawal is above 0 and within the wallet")
        self._ledger.pay(owner, asset, -amount)
        self._ledger.log(owner, EventKind.WITHDRAW, asset, -amount)
        self._liquidate_where_due(owner)

    def open(
        self,
        account: str,
        symbol: str,
        side: Side,
        contracts: float,
        price: float,
        leverage: float,
        *,
        isolated: bool = False,
        isolated_margin: float | None = None,
    ) -> None:
        """Open or add to a position at that price; the first price seen is also the first mark.

        Isolated margin defaults to the notional at that price / leverage and is taken out of the wallet.
        """
        side = Side(side)
        owner, contract = self.account(account), self.market(symbol).contract
        if contracts <= 0 or price <= 0 or leverage <= 0:
            raise EngineError("contracts, price and leverage are above 0")
        for other in (leg for (held, _), leg in owner.legs.items() if held == symbol):
            if other.side is not side and not owner.hedge_mode:
                raise EngineError(f"{symbol} is held the other way round; close it first")
            if isolated is (other.isolated_wallet is None):
                raise EngineError(f"{symbol} has another margin mode")
            other.leverage = leverage
        leg = owner.legs.get((symbol, side))
        if leg is None:
            wallet = 0.0 if isolated else None
            leg = Leg(contract, side, contracts, price, leverage, wallet, self.now)
            owner.legs[symbol, side] = leg
        else:
            leg.entry_price = contract.average(leg.contracts, leg.entry_price, contracts, price)
            leg.contracts += contracts
            leg.updated_at = self.now
        notional = contract.notional(contracts, price)
        if leg.isolated_wallet is not None:
            margin = notional / leverage if isolated_margin is None else isolated_margin
            leg.isolated_wallet += margin
            self._ledger.pay(owner, contract.settle, -margin)
        self._marks.setdefault(symbol, price)
        fee = notional * contract.fee_rate
        self._ledger.pay(owner, contract.settle, -fee)
        self._ledger.log(owner, EventKind.OPEN, contract.settle, -fee, leg, contracts, price)

    def close(
        self,
        account: str,
        symbol: str,
        side: Side,
        contracts: float | None = None,
        price: float | None = None,
    ) -> None:
        """Close all or some of a position, at the mark unless a price is given."""
        self._leave(account, symbol, side, contracts, price, EventKind.CLOSE)

    def adl(self, account: str, symbol: str, side: Side, contracts: float | None = None) -> None:
        """Deleverage a position at the mark, as a venue does to winners when its insurance fund cannot pay."""
        self._leave(account, symbol, side, contracts, None, EventKind.ADL)

    def move_isolated_margin(self, account: str, symbol: str, side: Side, amount: float) -> None:
        """Add margin to an isolated position out of the wallet (or take it out, where below 0)."""
        owner, leg = self.account(account), self._leg(account, symbol, side)
        if leg.isolated_wallet is None:
            raise EngineError(f"{symbol} {side} is margined across")
        leg.isolated_wallet += amount
        self._ledger.pay(owner, leg.contract.settle, -amount)
        self._liquidate_where_due(owner)

    # --- what the market does ---

    def set_mark(self, symbol: str, price: float, at: datetime | None = None) -> None:
        self.set_marks({symbol: price}, at)

    def set_marks(self, prices: Mapping[str, float], at: datetime | None = None) -> None:
        """Move marks together, then judge liquidation once. Time moves to `at` first, never back."""
        if not all(0 < price < float("inf") for price in prices.values()):
            raise EngineError("a mark is finite and above 0")
        for symbol in prices:
            self.market(symbol)
        if at is not None:
            self.advance(at)
        self._marks.update(prices)
        self._ledger.version += 1
        self._liquidate_all()

    def advance(self, to: datetime) -> None:
        """Let time pass: every funding payment that falls due is made at the marks as they stand."""
        while due := [m for m in self._markets.values() if m.next_funding_at <= to]:
            market = min(due, key=lambda m: m.next_funding_at)
            self._ledger.now = max(self.now, market.next_funding_at)
            self._charge_funding(market)
            market.next_funding_at += market.funding_interval
            self._liquidate_all()
        self._ledger.now = max(self.now, to)

    # --- what is true ---

    def position(self, account: str, symbol: str, side: Side, *, with_liquidation_price: bool = True) -> PositionTruth:
        leg = self._leg(account, symbol, side)
        mark = self._marks[symbol]
        notional = leg.notional(mark)
        return PositionTruth(
            account=account,
            symbol=symbol,
            side=leg.side,
            pool=leg.pool,
            contracts=leg.contracts,
            entry_price=leg.entry_price,
            mark_price=mark,
            notional=notional,
            maintenance_margin=leg.contract.maintenance(notional),
            initial_margin=notional / leg.leverage,
            unrealized_pnl=leg.gain(mark),
            liquidation_price=self._liquidation_price(account, leg) if with_liquidation_price else None,
            leverage=leg.leverage,
            margin_mode=MarginMode.CROSS if leg.isolated_wallet is None else MarginMode.ISOLATED,
            isolated_wallet=leg.isolated_wallet,
            adl_quantile=leg.adl_quantile(mark),
            updated_at=leg.updated_at,
        )

    def positions(self, account: str, *, with_liquidation_prices: bool = True) -> tuple[PositionTruth, ...]:
        return tuple(
            self.position(account, symbol, side, with_liquidation_price=with_liquidation_prices)
            for symbol, side in self.account(account).legs
        )

    def pool(self, account: str, pool: str) -> PoolTruth:
        owner = self.account(account)
        legs = owner.in_pool(pool)
        wallet = owner.pool_wallet(pool)
        equity, maintenance = pool_margin(wallet, legs, self._marks)
        return PoolTruth(
            account=account,
            pool=pool,
            asset=legs[0].contract.settle if legs else pool.partition(":")[2],
            wallet=wallet,
            unrealized_pnl=equity - wallet,
            equity=equity,
            initial_margin=sum(leg.notional(self._marks[leg.contract.symbol]) / leg.leverage for leg in legs),
            maintenance_margin=maintenance,
        )

    def pools(self, account: str) -> tuple[PoolTruth, ...]:
        """A cross pool for every asset the account ever held, and a pool for every isolated position."""
        owner = self.account(account)
        keys = {f"cross:{asset}": None for asset in owner.wallets}
        keys |= {leg.pool: None for leg in owner.legs.values()}
        return tuple(self.pool(account, key) for key in keys)

    # --- the machinery ---

    def _tape(self, symbol: str) -> Tape:
        return self._tapes.get(self.market(symbol).contract.symbol, Tape())

    def _leg(self, account: str, symbol: str, side: Side) -> Leg:
        try:
            return self.account(account).legs[symbol, Side(side)]
        except KeyError:
            raise EngineError(f"{account} holds no {symbol} {side}") from None

    def _liquidation_price(self, account: str, leg: Leg) -> float | None:
        if self._prices_version != self._ledger.version:
            self._liquidation_prices.clear()
            self._prices_version = self._ledger.version
        key = (account, leg.pool, leg.contract.symbol)
        if key not in self._liquidation_prices:
            owner = self.account(account)
            self._liquidation_prices[key] = liquidation_price(
                owner.pool_wallet(leg.pool), owner.in_pool(leg.pool), self._marks, leg.contract.symbol
            )
        return self._liquidation_prices[key]

    def _leave(
        self, account: str, symbol: str, side: Side, contracts: float | None, price: float | None, kind: EventKind
    ) -> None:
        owner, leg = self.account(account), self._leg(account, symbol, side)
        contracts = leg.contracts if contracts is None else contracts
        if not 0 < contracts <= leg.contracts:
            raise EngineError(f"{contracts} of {leg.contracts} contracts cannot be closed")
        self._ledger.leave(owner, leg, contracts, price or self._marks[symbol], kind)
        self._liquidate_where_due(owner)

    def _charge_funding(self, market: Market) -> None:
        symbol = market.contract.symbol
        for owner in self._ledger.accounts.values():
            for side in Side:
                leg = owner.legs.get((symbol, side))
                if leg is not None:
                    mark = self._marks[symbol]
                    cash = -side.sign * market.funding_rate * leg.notional(mark)
                    self._ledger.pay_leg(owner, leg, cash)
                    kind, asset = EventKind.FUNDING, market.contract.settle
                    self._ledger.log(owner, kind, asset, cash, leg, leg.contracts, mark)

    def _liquidate_all(self) -> None:
        for owner in self._ledger.accounts.values():
            self._liquidate_where_due(owner)

    def _liquidate_where_due(self, owner: Account) -> None:
        for pool in {leg.pool: None for leg in owner.legs.values()}:
            for leg in self._due(owner, pool):
                self._liquidate_step(owner, leg)

    def _due(self, owner: Account, pool: str) -> Iterator[Leg]:
        """The leg that lost most of its worth, until the pool is safe: each step ends a bracket or a leg."""
        while legs := owner.in_pool(pool):
            if not liquidatable(*pool_margin(owner.pool_wallet(pool), legs, self._marks)):
                return
            yield min(legs, key=self._return)

    def _return(self, leg: Leg) -> float:
        mark = self._marks[leg.contract.symbol]
        return leg.gain(mark) / leg.notional(mark)

    def _liquidate_step(self, owner: Account, leg: Leg) -> None:
        """Cut a leg to below the bracket it is in; one in the lowest bracket is closed whole."""
        contract, mark = leg.contract, self._marks[leg.contract.symbol]
        floor = contract.bracket(leg.notional(mark)).floor
        kept = contract.contracts(floor * UNDER_THE_STEP, mark)
        self._ledger.liquidate(owner, leg, leg.contracts - kept, mark)


def _next_multiple(now: datetime, interval: timedelta) -> datetime:
    """The first multiple of the interval since the epoch after `now`: 00:00, 08:00, 16:00 UTC for eight hours."""
    return EPOCH + ((now - EPOCH) // interval + 1) * interval
