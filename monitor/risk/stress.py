"""What a shock of the market, recorded or made up, does to an account's margin pools."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitor.domain.account import AccountSnapshot, MarginBalance, Observation, PollFailure
from monitor.domain.market import Markets
from monitor.risk.backing import backing_of
from monitor.risk.shock import BITCOIN, BtcMoves, PoolPath, Rates, btc_moves, btc_rates
from monitor.risk.worth import STABLECOINS, UnknownWorthError, dollars_per, stands_still

UNKNOWN_MARGIN = "its equity, or the maintenance margin of a position in it, is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """`moves` are relative, `collateral` is what dollar tokens are worth in dollars, both by coin in capitals.

    `others` is the move of every coin not named. Where it is None they move with BTC as `common_shock` has them, and
    where BTC does not move either, not at all.
    """

    name: str
    moves: Mapping[str, float] = field(default_factory=dict)
    others: float | None = None
    collateral: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def rates(self, coin: str) -> Rates:
        """The moves of a coin's marks in the whole shock; of several the worse one counts."""
        name = coin.upper()
        if name in self.moves:
            return (self.moves[name],)
        if name in self.collateral:
            return (self.collateral[name] - 1,)
        if stands_still(name):
            return (0.0,)
        if self.others is not None:
            return (self.others,)
        return tuple(rate * self.moves.get(BITCOIN, 0.0) for rate in btc_rates()(coin))


# Falls as recorded, the deepest where sources differ.
HISTORIC = (
    Shock(
        name="2020-03-12",
        moves={BITCOIN: -0.50, "ETH": -0.50},
        others=-0.50,
        note="of other coins no figure is recorded here: taken as BTC's",
    ),
    Shock(name="2021-05-19", moves={BITCOIN: -0.30, "ETH": -0.40}, others=-0.41),
    Shock(
        name="2022-11",
        moves={BITCOIN: -0.26, "FTT": -0.75},
        others=-0.26,
        note="of ETH and other coins no figure is recorded here: taken as BTC's",
    ),
    Shock(
        name="2025-10-10",
        moves={BITCOIN: -0.16, "ETH": -0.16, "SOL": -0.31},
        others=-0.47,
        note="other coins by their average; many fell by 70 to 90%",
    ),
    Shock(
        name="stablecoin 0.65",
        collateral=dict.fromkeys(STABLECOINS - {"USD"}, 0.65),
        note="as USDe on one venue on 2025-10-10; a pool owes in its own coin, so its margin ratio stays",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One pool after a shock. `share` is how much of the shock it takes to liquidate the pool, `btc_move` BTC's then.

    `dollars` is the equity after it. What is unknown is None, and `why` says so.
    """

    after: MarginBalance
    dollars: float | None
    is_liquidated: bool | None
    share: float | None = None
    btc_move: float | None = None
    why: str = ""


def outcome(snapshot: AccountSnapshot, balance: MarginBalance, markets: Markets, shock: Shock) -> Outcome:
    """The pool once the whole shock has passed; liquidated where any part of it on the way does that."""
    path = PoolPath.of(snapshot, balance, markets, shock.rates)
    positions = snapshot.positions_in(balance.pool)
    if path is None:
        return _unknown(balance, UNKNOWN_MARGIN)
    if shock.collateral and path.holds_coins_still:
        return _unknown(balance, "how much of it is in dollar tokens is not told")
    after = path.at(1.0)
    share = path.first(1.0) if positions else None
    btc_move = shock.moves.get(BITCOIN)
    return Outcome(
        after=after,
        dollars=_dollars(after, snapshot, markets, shock),
        is_liquidated=share is not None,
        share=share,
        btc_move=None if share is None or btc_move is None else share * btc_move,
    )


def _unknown(balance: MarginBalance, why: str) -> Outcome:
    after = replace(balance, equity=None, maintenance_margin=None, available=None, venue_margin_ratio=None)
    return Outcome(after=after, dollars=None, is_liquidated=None, why=why)


def _dollars(after: MarginBalance, snapshot: AccountSnapshot, markets: Markets, shock: Shock) -> float | None:
    if after.equity is None:
        return None
    try:
        rate = dollars_per(after.currency, snapshot, markets)
    except UnknownWorthError:
        return 0.0 if after.equity == 0 else None
    return after.equity * rate * (1 + min(shock.rates(after.currency)))


@dataclass(frozen=True, slots=True)
class StressedPool:
    """`moves` are those of BTC that liquidate the pool, other coins moving by beta; None where unknown.

    `holds_coins_still` where the venue does not tell which coins are behind it.
    """

    balance: MarginBalance
    moves: BtcMoves | None
    holds_coins_still: bool
    outcomes: Mapping[str, Outcome]

    @property
    def is_empty(self) -> bool:
        return self.balance.equity == 0 and not self.balance.maintenance_margin


@dataclass(frozen=True, slots=True)
class StressedAccount:
    """`pools` of an account that could not be read are empty."""

    observation: Observation
    pools: tuple[StressedPool, ...]


def stressed(
    snapshot: AccountSnapshot, markets: Markets, shocks: Sequence[Shock], betas: Mapping[str, float] | None = None
) -> StressedAccount:
    """Each shock applied to each pool of the account, also to one of which the venue tells no margin.

    `betas` are for the move of BTC that liquidates it, as of a common shock.
    """
    untold = {position.pool: position.instrument.settle for position in snapshot.positions}
    for balance in snapshot.margins:
        untold.pop(balance.pool, None)
    unknown = [MarginBalance(pool=p, currency=c, equity=None, maintenance_margin=None) for p, c in untold.items()]
    pools = []
    for balance in (*snapshot.margins, *unknown):
        path = PoolPath.of(snapshot, balance, markets, btc_rates(betas))
        positions = snapshot.positions_in(balance.pool)
        pools.append(
            StressedPool(
                balance,
                btc_moves(path) if path and positions else None,
                backing_of(snapshot, balance) is None,
                {shock.name: outcome(snapshot, balance, markets, shock) for shock in shocks},
            )
        )
    return StressedAccount(snapshot, tuple(pools))


@dataclass(frozen=True, slots=True)
class First:
    account: str
    pool: str
    outcome: Outcome


def first_of(shock: Shock, accounts: Iterable[StressedAccount]) -> tuple[First, ...]:
    """The pools that this shock liquidates, in the order in which it does."""
    gone = [
        First(account.observation.account, pool.balance.pool, pool.outcomes[shock.name])
        for account in accounts
        for pool in account.pools
        if pool.outcomes[shock.name].is_liquidated
    ]
    return tuple(sorted(gone, key=lambda first: first.outcome.share or 0.0))


def unread(accounts: Iterable[StressedAccount]) -> list[str]:
    """Accounts that could not be read: any of them may be liquidated first."""
    return [account.observation.account for account in accounts if isinstance(account.observation, PollFailure)]


def dollars_of(account: StressedAccount, shock: Shock) -> float | None:
    """The equity of all pools after it; None where that of any is unknown."""
    dollars = [pool.outcomes[shock.name].dollars for pool in account.pools]
    return None if None in dollars else sum(worth for worth in dollars if worth is not None)


def unheld(shock: Shock, accounts: Iterable[StressedAccount]) -> list[str]:
    """Coins named in a shock beside BTC that no position or pool is in: perhaps misspelt."""
    held = {BITCOIN}
    for account in accounts:
        if isinstance(account.observation, AccountSnapshot):
            held |= {position.instrument.base.upper() for position in account.observation.positions}
            held |= {balance.currency.upper() for balance in account.observation.margins}
            held |= {one.coin.upper() for one in account.observation.collateral}
    return sorted({*shock.moves, *shock.collateral} - held)
