"""The ledger: every movement of cash and contracts goes through it and leaves an event."""

from collections import deque
from datetime import datetime

from monitor.paper.book import Account, Event, EventKind, Leg

EVENTS_KEPT = 100_000


class Ledger:
    """Accounts by name, the time, and the last 100,000 events. `version` changes with every figure of an account."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.version = 0
        self.accounts: dict[str, Account] = {}
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._sequence = 0

    def pay(self, owner: Account, asset: str, amount: float) -> None:
        """Cash into (or, below 0, out of) a wallet."""
        owner.wallets[asset] = owner.wallets.get(asset, 0.0) + amount
        self.version += 1

    def pay_leg(self, owner: Account, leg: Leg, amount: float) -> None:
        """Cash to or from what stands behind a leg: its own wallet, or its owner's."""
        if leg.isolated_wallet is None:
            self.pay(owner, leg.contract.settle, amount)
        else:
            leg.isolated_wallet += amount
            self.version += 1

    def log(
        self,
        owner: Account,
        kind: EventKind,
        asset: str,
        amount: float,
        leg: Leg | None = None,
        contracts: float | None = None,
        price: float | None = None,
    ) -> None:
        self._sequence += 1
        self.events.append(
            Event(
                sequence=self._sequence,
                time=self.now,
                account=owner.name,
                kind=kind,
                asset=asset,
                amount=amount,
                symbol=leg.contract.symbol if leg else None,
                side=leg.side if leg else None,
                contracts=contracts,
                price=price,
            )
        )

    def leave(self, owner: Account, leg: Leg, contracts: float, price: float, kind: EventKind) -> None:
        """Close contracts for their owner: the gain, and the share of isolated margin set free, reach the wallet."""
        cash = self._realise(leg, contracts, price, leg.contract.fee_rate)
        if leg.isolated_wallet is not None:
            released = leg.isolated_wallet * contracts / leg.contracts
            leg.isolated_wallet -= released
            self.pay(owner, leg.contract.settle, released)
        self.pay(owner, leg.contract.settle, cash)
        self._shrink(owner, leg, contracts, price, kind, cash)

    def liquidate(self, owner: Account, leg: Leg, contracts: float, price: float) -> None:
        """Close contracts by force: the loss stays with the pool; insurance pays what an emptied pool owes."""
        cash = self._realise(leg, contracts, price, leg.contract.liquidation_fee_rate)
        kind = EventKind.PARTIAL if contracts < leg.contracts else EventKind.FULL
        self.pay_leg(owner, leg, cash)
        self._shrink(owner, leg, contracts, price, kind, cash)
        if owner.in_pool(leg.pool):
            return
        asset = leg.contract.settle
        left = owner.wallets[asset] if leg.isolated_wallet is None else leg.isolated_wallet
        if left < 0:
            self.pay_leg(owner, leg, -left)
            self.log(owner, EventKind.INSURANCE, asset, -left, leg)
        if leg.isolated_wallet is not None:
            self.pay(owner, asset, leg.isolated_wallet)

    def _realise(self, leg: Leg, contracts: float, price: float, fee_rate: float) -> float:
        gain = leg.contract.gain(leg.side.sign * contracts, leg.entry_price, price)
        return gain - leg.contract.notional(contracts, price) * fee_rate

    def _shrink(self, owner: Account, leg: Leg, contracts: float, price: float, kind: EventKind, cash: float) -> None:
        leg.contracts -= contracts
        leg.updated_at = self.now
        if leg.contracts <= 0:
            del owner.legs[leg.contract.symbol, leg.side]
        self.version += 1
        self.log(owner, kind, leg.contract.settle, cash, leg, contracts, price)
