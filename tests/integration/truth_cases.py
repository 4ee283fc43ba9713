"""Where each rule has to speak, and where not: what happens at the paper exchange, and the figure by its own books."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.config.profiles import PROFILES
from monitor.domain.account import Side
from monitor.domain.reading import PORTFOLIO, Severity
from monitor.rules.base import Rule
from tests import truths as true
from tests.builders import a_rule
from tests.paper import linear
from tests.truths import (
    AT_ODDS,
    IN_TURNS,
    Act,
    Signs,
    Truth,
    closes,
    deleverages,
    funding,
    marks,
    opens,
    pays_in,
    sways,
    takes_out,
    thin_book,
)
from tests.venues.test_binance_orders import an_algo_order

L, S = Side.LONG, Side.SHORT
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
BTC, ETH, SOL, COIN, USDC = "BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSD_PERP", "USDCUSDT"
LONG, SHORT, COIN_LONG = "BTC/USDT:USDT long", "BTC/USDT:USDT short", "BTC/USD:BTC long"
CROSS, ISOLATED = "cross:USDT", "isolated:ETH/USDT:USDT:long"
# Accounts and their venues.
HEDGER, SINGLE, BOOK = {"hedger": "binanceusdm"}, {"single": "binanceusdm"}, {"book": "binanceusdm"}
IN_COINS, FUND = {"single": "binancecoinm"}, {"fund": "binancecoinm"}
TWO, FUNDED = HEDGER | SINGLE, HEDGER | FUND
# Positions of theirs, for the books.
OF_LONG, OF_SHORT, OF_SINGLE, OF_COIN = ("hedger", BTC, L), ("hedger", BTC, S), ("single", BTC, S), ("single", COIN, L)
BETAS = {BTC: 1.0, ETH: 2.5, SOL: 2.5}
TRAILING, ANY, LEVELS = {"warning": "3%", "critical": "5%"}, {"warning": "any"}, {"levels": ["5%"]}
BASKET_KEYS = {"warning": "10%", "critical": "25%", "basket": ["BTC", "ETH", "SOL"]}


@dataclass(frozen=True)
class Figure:
    """What a rule says of one subject of these accounts, and what is true of it. The rule is the retail profile's where
    there are no `keys`; `stops` are the orders that rest."""

    kind: str
    subject: str
    at: Mapping[str, str]
    truth: Truth
    keys: Mapping[str, Any] = field(default_factory=dict)
    stops: Sequence[Mapping[str, Any]] = ()

    @property
    def rule(self) -> Rule:
        return a_rule(self.kind, **(self.keys or PROFILES["retail"][self.kind]))


@dataclass(frozen=True)
class Case:
    """`given` was so when the monitor came, `does` is done before it looks again. `tells`: how bad it is, None where it
    is not."""

    figure: Figure
    what: str
    tells: Severity | None
    given: Sequence[Act] = ()
    does: Sequence[Act] = ()

    def __str__(self) -> str:
        return f"{self.figure.kind}, {self.what}"


def a_book(equity: float, side: Side) -> tuple[Act, ...]:
    """The account `book`: about 30,000 dollars in each of three coins."""
    sizes = {BTC: (0.259, 116_000.5), ETH: (7.5, 4_000.25), SOL: (145.0, 207.0)}
    held = (opens("book", symbol, side, size, mark, 20) for symbol, (size, mark) in sizes.items())
    return (true.an_account("book", "USDT", equity), *held)


def a_fund(dollars: float) -> tuple[Act, ...]:
    """The account `fund`: a bitcoin, and that many dollars short in inverse contracts at their mark."""
    return true.an_account("fund", "BTC", 1.0), opens("fund", COIN, S, dollars / 100, 115_900.0, 10)


def in_usdc() -> tuple[Act, ...]:
    """Money of `hedger` in a coin that has a perpetual of its own."""
    settled_in_it = linear("BTCUSDC", base="BTC", quote="USDC", settle="USDC")
    return true.lists(linear(USDC), settled_in_it), marks(USDCUSDT=1.0), pays_in("hedger", 5_000.0, "USDC")


def solana_goes(signs: Signs) -> tuple[Act, ...]:
    """Of which `single` holds most; bitcoin and ether go in turns."""
    return opens("single", SOL, L, 500, 207.0, 5), sways(BTC, 0.02), sways(ETH, 0.03), sways(SOL, 0.04, signs)


def alts_short() -> tuple[Act, ...]:
    """By their betas of 1.5 and 2 as many dollars of ether and solana as both accounts are long of bitcoin."""
    sold = opens("single", ETH, S, 5.4, 4_000.25, 10), opens("single", SOL, S, 35, 207.0, 10)
    return (*sold, sways(BTC, 0.02), sways(ETH, 0.03), sways(SOL, 0.04))


def of(position: tuple[str, str, Side], figure: true.OfPosition) -> Truth:
    return true.of_position(*position, figure)


def stopped(covers: float, trigger: float, **order: Any) -> Figure:
    """The short of `single` with one stop: what it `covers` unless the position is taken before its trigger."""
    stop = an_algo_order(**{"side": "BUY", "quantity": "0.5", "triggerPrice": f"{trigger}", **order})
    return Figure("stop_missing", SHORT, SINGLE, true.uncovered(*OF_SINGLE, covers, trigger), ANY, [stop])


def swayed(by: Mapping[str, float], *, together: bool = True) -> Figure:
    return Figure("volatility_leverage", "hedger", HEDGER, true.sigma("hedger", by, together=together))


def fallen(paid_in: float = 0.0) -> Figure:
    return Figure("drawdown", "day", HEDGER, true.lost("hedger", paid_in))


# --- margin ---

RATIO = Figure("margin_ratio", CROSS, HEDGER, true.margin_ratio("hedger", "cross:USDT"))
RATIO_ALONE = Figure("margin_ratio", ISOLATED, HEDGER, true.margin_ratio("hedger", "isolated:ETHUSDT:long"))
LONG_DISTANCE = Figure("liquidation_distance", LONG, HEDGER, of(OF_LONG, true.distance))
SHORT_DISTANCE = Figure("liquidation_distance", SHORT, SINGLE, of(OF_SINGLE, true.distance))
COIN_DISTANCE = Figure("liquidation_distance", COIN_LONG, IN_COINS, of(OF_COIN, true.distance))
FALL = Figure("common_shock", CROSS, BOOK, true.liquidating_move("book", BETAS, -1))
RISE = Figure("common_shock", CROSS, BOOK, true.liquidating_move("book", BETAS, 1))
LONGS_FUNDING = Figure("funding_exposure", "USDT", HEDGER, true.funding_due("hedger"))
SHORT_FUNDING = Figure("funding_exposure", "USDT", SINGLE, true.funding_due("single"))

OF_MARGIN = (
    Case(RATIO, "a pool after a fall", CRITICAL, does=[marks(BTCUSDT=94_800.0)]),
    Case(RATIO, "a pool beside one that fell", None, does=[marks(ETHUSDT=3_320.0)]),
    Case(RATIO_ALONE, "an isolated pool that fell", WARNING, does=[marks(ETHUSDT=3_320.0)]),
    Case(LONG_DISTANCE, "a long after a fall", CRITICAL, does=[marks(BTCUSDT=98_000.0)]),
    Case(LONG_DISTANCE, "a long with room", None),
    Case(SHORT_DISTANCE, "a short after a rise", WARNING, does=[marks(BTCUSDT=142_000.0)]),
    Case(SHORT_DISTANCE, "a short after a fall", None, does=[marks(BTCUSDT=98_000.0)]),
    Case(COIN_DISTANCE, "a long in coins after a fall", WARNING, does=[marks(BTCUSD_PERP=100_000.0)]),
    Case(COIN_DISTANCE, "a long in coins with room", None),
    Case(FALL, "longs near a fall", CRITICAL, a_book(10_000.0, L)),
    Case(FALL, "longs far from one", None, a_book(40_000.0, L)),
    Case(RISE, "shorts near a rise", WARNING, a_book(20_000.0, S)),
    Case(RISE, "shorts far from one", None, a_book(40_000.0, S)),
    Case(LONGS_FUNDING, "dear longs", CRITICAL, does=[funding(BTC, 0.002)]),
    Case(LONGS_FUNDING, "longs that are paid", None, does=[funding(BTC, -0.002)]),
    Case(LONGS_FUNDING, "longs that another coin pays for", None),
    Case(SHORT_FUNDING, "a short that pays", WARNING, does=[funding(BTC, -0.0005)]),
    Case(SHORT_FUNDING, "a short that is paid", None, does=[funding(BTC, 0.002)]),
)

# --- how much is held, of what ---

LEVERAGE = Figure("leverage", "hedger", HEDGER, true.leverage_of("hedger"))
LONG_SIZE = Figure("position_size", LONG, HEDGER, true.trade_size(*OF_LONG))
SHORT_SIZE = Figure("position_size", SHORT, HEDGER, true.trade_size(*OF_SHORT))
LARGEST = Figure("concentration", "hedger", HEDGER, true.largest_share("hedger"))
LARGEST_OF_ALL = Figure("concentration", PORTFOLIO, TWO, true.largest_share(*TWO))
ONE_COIN = Figure("concentration", "single", SINGLE, true.nothing)
SAID_ALREADY = Figure("concentration", PORTFOLIO, TWO, true.nothing)
EXPOSURE = Figure("total_exposure", PORTFOLIO, FUNDED, true.exposure("hedger", "fund", COIN))
THREE_TOGETHER = Figure("correlated_exposure", PORTFOLIO, TWO, true.staked({BTC, ETH, SOL}, *TWO))
TWO_TOGETHER = Figure("correlated_exposure", PORTFOLIO, TWO, true.staked({BTC, ETH}, *TWO))
ONE_COIN_EACH = (closes("hedger", ETH, L), closes("single", BTC, S), opens("single", SOL, L, 700, 207.0, 10))

OF_SIZE = (
    Case(LEVERAGE, "eight times", CRITICAL),
    Case(LEVERAGE, "of more equity", WARNING, does=[pays_in("hedger", 6_000.0)]),
    Case(LEVERAGE, "of twice as much", None, does=[pays_in("hedger", 20_000.0)]),
    Case(LONG_SIZE, "a large trade", CRITICAL),
    Case(SHORT_SIZE, "a small one beside it", None),
    Case(LARGEST, "most on one coin", WARNING),
    Case(LARGEST, "spread over three", None, does=[opens("hedger", SOL, L, 600, 207.0, 10)]),
    Case(LARGEST_OF_ALL, "most of two accounts on one coin", WARNING),
    Case(LARGEST_OF_ALL, "two accounts, each on a coin of its own", None, does=ONE_COIN_EACH),
    Case(ONE_COIN, "all on one coin, as its owner knows", None),
    Case(SAID_ALREADY, "one of two says it of itself", None, does=[opens("single", SOL, L, 1_000, 207.0, 10)]),
    Case(EXPOSURE, "two accounts beyond their equity", WARNING, a_fund(700_000.0)),
    Case(EXPOSURE, "eight times in one of them, and less in both", None, a_fund(300_000.0)),
    Case(THREE_TOGETHER, "three coins of two accounts that go together", WARNING, solana_goes(IN_TURNS)),
    Case(TWO_TOGETHER, "the largest of them goes its own way", None, solana_goes(AT_ODDS)),
    Case(
        swayed({BTC: 0.03, ETH: 0.06}),
        "coins that go far, and together",
        CRITICAL,
        [sways(BTC, 0.03), sways(ETH, 0.06)],
    ),
    Case(
        swayed({BTC: 0.02, ETH: 0.06}, together=False),
        "coins that go each its own way",
        WARNING,
        [sways(BTC, 0.02), sways(ETH, 0.06, AT_ODDS)],
    ),
    Case(swayed({BTC: 0.012, ETH: 0.012}), "calm", None, [sways(BTC, 0.012), sways(ETH, 0.012)]),
)

# --- gains and losses ---

LONG_LOSS = Figure("loss", LONG, HEDGER, of(OF_LONG, true.loss))
SHORT_LOSS = Figure("loss", SHORT, SINGLE, of(OF_SINGLE, true.loss))
LONG_RETREAT = Figure("trailing_stop", LONG, HEDGER, true.retreat(BTC, L))
SHORT_RETREAT = Figure("trailing_stop", SHORT, HEDGER, true.retreat(BTC, S), TRAILING)
LONG_GAIN = Figure("take_profit", f"{LONG} +5%", HEDGER, true.best_gain(*OF_LONG), LEVELS)
SHORT_GAIN = Figure("take_profit", f"{SHORT} +5%", SINGLE, true.best_gain(*OF_SINGLE), LEVELS)

OF_GAIN = (
    Case(LONG_LOSS, "a long after a fall", CRITICAL, does=[marks(BTCUSDT=113_000.0)]),
    Case(LONG_LOSS, "a long after a rise", None, does=[marks(BTCUSDT=119_000.0)]),
    Case(SHORT_LOSS, "a short after a rise", WARNING, does=[marks(BTCUSDT=120_000.0)]),
    Case(SHORT_LOSS, "a short after a fall", None, does=[marks(BTCUSDT=113_000.0)]),
    Case(fallen(), "a fall", CRITICAL, does=[marks(BTCUSDT=115_000.0)]),
    Case(fallen(), "a small one", None, does=[marks(BTCUSDT=115_900.0)]),
    Case(
        fallen(2_000.0), "a fall beside a deposit", WARNING, does=[pays_in("hedger", 2_000.0), marks(BTCUSDT=115_600.0)]
    ),
    Case(fallen(-3_000.0), "money taken out", None, does=[takes_out("hedger", 3_000.0)]),
    Case(LONG_RETREAT, "a fall beyond three ordinary days", CRITICAL, [sways(BTC, 0.015)], [marks(BTCUSDT=110_000.0)]),
    Case(LONG_RETREAT, "a fall of an ordinary day", None, [sways(BTC, 0.04)], [marks(BTCUSDT=110_000.0)]),
    Case(SHORT_RETREAT, "a short in a rise", WARNING, does=[marks(BTCUSDT=120_500.0)]),
    Case(SHORT_RETREAT, "a short in a fall", None, does=[marks(BTCUSDT=110_000.0)]),
    Case(LONG_GAIN, "a long after a rise", WARNING, does=[marks(BTCUSDT=124_000.0)]),
    Case(LONG_GAIN, "a long after a fall", None, does=[marks(BTCUSDT=110_000.0)]),
    Case(SHORT_GAIN, "a short after a fall", WARNING, does=[marks(BTCUSDT=110_000.0)]),
    Case(SHORT_GAIN, "a short after a rise", None, does=[marks(BTCUSDT=124_000.0)]),
    Case(SHORT_GAIN, "one that came back", WARNING, [marks(BTCUSDT=110_000.0)], [marks(BTCUSDT=116_000.0)]),
)

# --- what the venue, its books and its coins do ---

HALF_STOPPED, STOPPED_LATE = stopped(0.2, 120_000.0, quantity="0.2"), stopped(0.5, 160_000.0)
STOPPED_WRONG, STOPPED = stopped(0.0, 120_000.0, side="SELL"), stopped(0.5, 150_000.0)
HEDGE_RANK = Figure("adl_rank", SHORT, HEDGER, of(OF_SHORT, true.rank))
RANK = Figure("adl_rank", SHORT, SINGLE, of(OF_SINGLE, true.rank))
CLIFF = Figure("tier_cliff", SHORT, SINGLE, true.room_below_edge(*OF_SINGLE))
LONG_EXIT = Figure("exit_liquidity", LONG, HEDGER, true.exit_cost(*OF_LONG))
SHORT_EXIT = Figure("exit_liquidity", SHORT, HEDGER, true.exit_cost(*OF_SHORT))
COIN_EXIT = Figure("exit_liquidity", COIN_LONG, IN_COINS, true.exit_cost(*OF_COIN))
PEG = Figure("collateral", "USDC", HEDGER, true.off_one(USDC))

OF_VENUE = (
    Case(HALF_STOPPED, "half a stop", WARNING),
    Case(STOPPED_LATE, "a stop that the position does not live to see", WARNING),
    Case(STOPPED_WRONG, "a stop that would sell more", WARNING),
    Case(STOPPED, "a stop for all of it", None),
    Case(HEDGE_RANK, "the fourth rank, of a hedge", CRITICAL, does=[marks(BTCUSDT=112_500.0)]),
    Case(HEDGE_RANK, "a low rank", None),
    Case(RANK, "the fourth rank, of a position alone", WARNING, does=[marks(BTCUSDT=108_000.0)]),
    Case(RANK, "the third", None, does=[marks(BTCUSDT=112_500.0)]),
    Case(CLIFF, "close below an edge", WARNING, does=[closes("single", BTC, S, 0.08)]),
    Case(CLIFF, "in the midst of a bracket", None),
    Case(LONG_EXIT, "a book that empties", WARNING, does=[thin_book(BTC, 0.5)]),
    Case(LONG_EXIT, "a deep one", None),
    Case(
        SHORT_EXIT,
        "asks far off, and little margin",
        CRITICAL,
        [thin_book(BTC, 0.25, near=0.03), takes_out("hedger", 15_000.0)],
    ),
    Case(SHORT_EXIT, "a book thin for more than is held", None, [thin_book(BTC, 0.5)]),
    Case(COIN_EXIT, "a thin book, in coins", WARNING, [thin_book(COIN, 3_000), takes_out("single", 0.3, "BTC")]),
    Case(COIN_EXIT, "a deep one, in coins", None),
    Case(PEG, "a coin off its dollar", CRITICAL, in_usdc(), [marks(USDCUSDT=0.93)]),
    Case(PEG, "a coin above it", WARNING, in_usdc(), [marks(USDCUSDT=1.008)]),
    Case(PEG, "a coin at its dollar", None, in_usdc(), [marks(USDCUSDT=0.9985)]),
)

# --- hedges over accounts ---

HEDGE = Figure("hedge", "BTC", FUNDED, true.missing(true.coins_of("BTC", "hedger", "fund")))
HEDGE_TO_WARN_OF = Figure("hedge", "BTC", FUNDED, HEDGE.truth, {"warning": "10%"})
BASKET = Figure(
    "hedge", "BTC+ETH+SOL", TWO, true.missing(true.by_beta({BTC: 1.0, ETH: 1.5, SOL: 2.0}, *TWO)), BASKET_KEYS
)
BETA_FALL = marks(BTCUSDT=113_680.0, ETHUSDT=3_880.0, SOLUSDT=198.7)
BOTH_CUT = (closes("hedger", BTC, L, 0.4), closes("fund", COIN, S, 460))

OF_HEDGES = (
    Case(
        HEDGE, "a leg at the other venue, deleveraged", CRITICAL, a_fund(90_000.0), [deleverages("fund", COIN, S, 400)]
    ),
    Case(HEDGE, "a smaller cut of it", WARNING, a_fund(90_000.0), [closes("fund", COIN, S, 200)]),
    Case(HEDGE, "a side that is gone", CRITICAL, a_fund(90_000.0), [closes("hedger", BTC, L)]),
    Case(HEDGE, "a fall", None, a_fund(90_000.0), [marks(BTCUSDT=106_000.0, BTCUSD_PERP=105_900.0)]),
    Case(HEDGE, "both sides cut", None, a_fund(90_000.0), BOTH_CUT),
    Case(
        HEDGE_TO_WARN_OF,
        "no more than a warning of a cut",
        WARNING,
        a_fund(90_000.0),
        [deleverages("fund", COIN, S, 400)],
    ),
    Case(HEDGE_TO_WARN_OF, "a side that is gone all the same", CRITICAL, a_fund(90_000.0), [closes("hedger", BTC, L)]),
    Case(BASKET, "a cut of one of two coins that hedge", CRITICAL, alts_short(), [closes("single", SOL, S, 20)]),
    Case(BASKET, "a fall of all by their betas", None, alts_short(), [BETA_FALL]),
)

CASES = OF_MARGIN + OF_SIZE + OF_GAIN + OF_VENUE + OF_HEDGES
