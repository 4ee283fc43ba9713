"""What an account holds at Hyperliquid, what stands behind it in each mode, and how exactly each figure is told.

Standard: each dex is a pool of its own, told by its clearinghouseState. Unified: all dexes of one collateral token
draw on the spot balance of that token; its total holds unrealised gains (by arithmetic on recorded replies: what is
left after maintenance = total - isolated margin - maintenance), and less the isolated margin it is what the
documents' Unified Account Ratio divides maintenance by. Portfolio: all together, told by a ratio alone, which
liquidates above 0.95; the documents say what stands above its line, and so what must stand below.
Each isolated position is a pool of its own everywhere: `marginUsed` is its margin with its gain.
`liquidationPx` is null where no price above 0 liquidates a position, and true where it lies far away: both met by
arithmetic on recorded replies (a short at 138 with 22,881; a long that its account outweighs). A null is held against
our own solve all the same, but under portfolio margin, where there is none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from monitor.domain.account import Estimate, FailureKind, MarginBalance, MarginMode, Position, PriceOrigin, Side
from monitor.exchange.failures import OldListError, ReadError, UnknownSymbolError
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
)
from monitor.exchange.venues.contracts import instrument_of
from monitor.exchange.venues.figures import Figure, Figures, VerifiedBy, estimated, exact, unknown
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

STANDARD, UNIFIED, PORTFOLIO = "standard", "unified account", "portfolio margin"
# An account that never chose says "default", which is standard.
MODES: Mapping[str, str] = {
    "default": STANDARD,
    "disabled": STANDARD,
    "unifiedAccount": UNIFIED,
    "portfolioMargin": PORTFOLIO,
}
# What the summary and the list of positions may differ by.
ROUNDING = 1e-6
LIQUIDATED_ABOVE = 0.95
# Owed under portfolio margin beside everything else.
LEAST_OWED = 20.0
ISOLATED_INITIAL = Estimate("initial_margin", "positionValue / leverage, as of cross positions")
PORTFOLIO_OWED = Estimate("maintenance_margin", "20 + cross maintenance of all dexes + what is borrowed most")
PORTFOLIO_EQUITY = Estimate("equity", "0.95 x maintenance / portfolioMarginRatio")
# The name of the pool of what is margined across, by dex and collateral token.
PoolOf = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Leg:
    position: Position
    margin_used: float

    @property
    def is_isolated(self) -> bool:
        return self.position.margin_mode is MarginMode.ISOLATED


@dataclass(frozen=True, slots=True)
class Book:
    """One dex of the account. `settle` is None where the dex lists no contract."""

    dex: str
    settle: str | None
    state: Row
    legs: Sequence[Leg]

    @property
    def cross(self) -> Row:
        return mapping(self.state.get("crossMarginSummary"), "crossMarginSummary")

    @property
    def maintenance(self) -> float:
        """Of all cross positions."""
        return not_negative(self.state, "crossMaintenanceMarginUsed")

    @property
    def isolated_margin(self) -> float:
        return sum(leg.margin_used for leg in self.legs if leg.is_isolated)


def dex_of(coin: str) -> str:
    """Of `xyz:TSLA` it is xyz; the main dex has no name."""
    return coin.rpartition(":")[0]


def parse(
    states: Mapping[str, object], spot: Row, instruments: Instruments, settings: AccountSettings
) -> AccountReading:
    """`states` by dex. Raises ReadError (malformed, implausible, unsupported)."""
    balances = _balances(spot)
    pooled = "tokenToAvailableAfterMaintenance" in spot
    if pooled is (settings.mode == STANDARD):
        raise ReadError(FailureKind.IMPLAUSIBLE, f"balances are not told as those of a {settings.mode} account")
    settles = {dex_of(coin): instrument.settle for coin, instrument in instruments.items()}
    if unread := settles.keys() - states.keys():
        # Positions there would be missing as if they were closed.
        names = ", ".join(sorted(unread))
        raise OldListError(FailureKind.IMPLAUSIBLE, f"contracts of {names:.60} are listed, but not among the dexes")
    pool_of = _POOLS[settings.mode]
    books = [
        _book(dex, settles.get(dex), mapping(state, "clearinghouseState"), instruments, pool_of)
        for dex, state in states.items()
    ]
    legs = [leg for book in books for leg in book.legs]
    _refuse_twins([leg.position.subject for leg in legs])
    shared = {STANDARD: _standard, UNIFIED: _unified, PORTFOLIO: _portfolio}[settings.mode](books, balances, spot)
    summaries = [mapping(book.state.get("marginSummary"), "marginSummary") for book in books]
    return AccountReading(
        margins=(*shared, *(_isolated(leg) for leg in legs if leg.is_isolated)),
        positions=tuple(leg.position for leg in legs),
        margin_in_use=sum(not_negative(summary, "totalMarginUsed") for summary in summaries),
        caveats=settings.caveats,
    )


def _balances(spot: Row) -> Mapping[str, Row]:
    """By token; every figure must be sound, used or not."""
    told = rows(spot.get("balances"), "balances")
    found = {text(row, "coin").upper(): row for row in told}
    if len(found) < len(told):
        raise malformed("spotClearinghouseState lists a token twice")
    for row in told:
        number(row, "total"), number(row, "hold")
    return found


def _refuse_twins(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ReadError(FailureKind.UNSUPPORTED, "two contracts of one name are held, which cannot be told apart")


def _book(dex: str, settle: str | None, state: Row, instruments: Instruments, pool_of: PoolOf) -> Book:
    legs = [
        leg
        for entry in rows(state.get("assetPositions"), "assetPositions")
        if (leg := _leg(dex, entry, instruments, pool_of)) is not None
    ]
    told = not_negative(mapping(state.get("marginSummary"), "marginSummary"), "totalNtlPos")
    listed = sum(leg.position.notional for leg in legs)
    if abs(told - listed) > ROUNDING * (1 + told):
        where = f"dex {dex}" if dex else "the main dex"
        raise ReadError(
            FailureKind.IMPLAUSIBLE, f"{where}: positions listed are worth {listed:g}, the account says {told:g}"
        )
    return Book(dex, settle, state, legs)


def _leg(dex: str, entry: Row, instruments: Instruments, pool_of: PoolOf) -> Leg | None:
    """None for a position that was closed and is still listed."""
    row = mapping(entry.get("position"), "position")
    size, coin = number(row, "szi"), text(row, "coin")
    if size == 0:
        return None
    contracts = positive({"szi": abs(size)}, "szi")
    if text(entry, "type") != "oneWay":
        raise ReadError(FailureKind.UNSUPPORTED, f"{coin:.40}: type {entry['type']:.20} is not read")
    if dex_of(coin) != dex:
        raise UnknownSymbolError(coin)
    instrument = instrument_of(row, instruments, "coin")
    leverage = mapping(row.get("leverage"), "leverage")
    if text(leverage, "type") not in ("cross", "isolated"):
        raise malformed(f"{coin:.40}: leverage of type {leverage['type']:.20}")
    mode, times = MarginMode(leverage["type"]), positive(leverage, "value")
    side = Side.LONG if size > 0 else Side.SHORT
    notional, used = positive(row, "positionValue"), not_negative(row, "marginUsed")
    isolated = mode is MarginMode.ISOLATED
    price, origin = _liquidation_price(row, coin, PriceOrigin.NONE if pool_of is _of_all else PriceOrigin.UNKNOWN)
    position = Position(
        instrument=instrument,
        side=side,
        pool=instrument.isolated_pool(side) if isolated else pool_of(dex, instrument.settle),
        contracts=contracts,
        size=contracts,
        notional=notional,
        mark_price=notional / contracts,
        entry_price=optional_positive(row, "entryPx"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=times,
        margin_mode=mode,
        initial_margin=notional / times if isolated else used,
        unrealized_pnl=number(row, "unrealizedPnl"),
        estimates=(ISOLATED_INITIAL,) if isolated else (),
    )
    return Leg(position, used)


def _liquidation_price(row: Row, coin: str, null: PriceOrigin) -> tuple[float | None, PriceOrigin]:
    if "liquidationPx" not in row:
        raise malformed(f"{coin}: liquidationPx is missing")
    if row["liquidationPx"] is None:
        return None, null
    price = number(row, "liquidationPx")
    return (price, PriceOrigin.VENUE) if price > 0 else (None, PriceOrigin.UNKNOWN)


# --- pools ---


def _of_dex(dex: str, settle: str) -> str:
    return f"cross:{dex}:{settle}" if dex else f"cross:{settle}"


def _of_token(_dex: str, settle: str) -> str:
    return f"cross:{settle}"


def _of_all(_dex: str, _settle: str) -> str:
    return "cross:USD"


_POOLS: Mapping[str, PoolOf] = {STANDARD: _of_dex, UNIFIED: _of_token, PORTFOLIO: _of_all}


def _standard(books: Sequence[Book], _balances: Mapping[str, Row], _spot: Row) -> list[MarginBalance]:
    """A pool per dex that holds anything."""
    return [
        MarginBalance(
            pool=_of_dex(book.dex, book.settle),
            currency=book.settle,
            equity=number(book.cross, "accountValue"),
            maintenance_margin=book.maintenance,
            available=number(book.state, "withdrawable"),
            initial_margin=not_negative(book.cross, "totalMarginUsed"),
        )
        for book in books
        if book.settle is not None and (book.legs or number(book.cross, "accountValue") != 0)
    ]


def _unified(books: Sequence[Book], balances: Mapping[str, Row], _spot: Row) -> list[MarginBalance]:
    """A pool per collateral token."""
    pools = []
    for settle in dict.fromkeys(book.settle for book in books if book.settle is not None):
        own = [book for book in books if book.settle == settle]
        money = balances.get(settle)
        if money is None:
            if any(book.legs for book in own):
                raise ReadError(FailureKind.IMPLAUSIBLE, f"of {settle:.20}, which backs positions, none is told")
            continue
        total = number(money, "total")
        if total != 0 or any(book.legs for book in own):
            pools.append(
                MarginBalance(
                    pool=_of_token("", settle),
                    currency=settle,
                    equity=total - sum(book.isolated_margin for book in own),
                    maintenance_margin=sum(book.maintenance for book in own),
                    available=total - number(money, "hold"),
                    initial_margin=sum(not_negative(book.cross, "totalMarginUsed") for book in own),
                )
            )
    return pools


def _portfolio(books: Sequence[Book], balances: Mapping[str, Row], spot: Row) -> list[MarginBalance]:
    """One pool, all in US dollars: what can be borrowed and margined in are dollar tokens."""
    if spot.get("portfolioMarginEnabled") is not True:
        raise ReadError(FailureKind.IMPLAUSIBLE, "balances are not told as those of a portfolio margin account")
    ratio = not_negative(spot, "portfolioMarginRatio")
    borrowed = max((optional_number(row, "borrowed") or 0.0 for row in balances.values()), default=0.0)
    owed = LEAST_OWED + sum(book.maintenance for book in books) + borrowed
    tokens = {book.settle for book in books if book.settle is not None} & balances.keys()
    return [
        MarginBalance(
            pool="cross:USD",
            currency="USD",
            equity=LIQUIDATED_ABOVE * owed / ratio if ratio else sum(number(balances[it], "total") for it in tokens),
            maintenance_margin=owed if ratio else 0.0,
            initial_margin=sum(not_negative(book.cross, "totalMarginUsed") for book in books),
            venue_margin_ratio=ratio / LIQUIDATED_ABOVE,
            estimates=(PORTFOLIO_OWED, PORTFOLIO_EQUITY),
        )
    ]


def _isolated(leg: Leg) -> MarginBalance:
    position = leg.position
    return MarginBalance(
        pool=position.pool,
        currency=position.instrument.settle,
        equity=leg.margin_used,
        maintenance_margin=None,
        initial_margin=position.initial_margin,
        estimates=(ISOLATED_INITIAL,),
    )


COVERAGE = (
    "the main dex and all HIP-3 dexes, cross and isolated, in standard, unified and portfolio mode",
    "maintenance of a position, and of an isolated one's pool, is estimated by the tiers at the mark",
    "initial margin of an isolated position is not told: it is worked out by its leverage, and marked",
    "portfolio margin is told by a ratio alone: its equity and maintenance are worked out of it, and marked",
    "dex abstraction, which Hyperliquid discontinued, is refused, not misread; so is the address of an API wallet",
    "bookings are read by the documents and public SDKs; those between the spot side and the perpetuals count as "
    "transfers in standard mode, and as none where both are one pool",
    "stop orders are read of dexes in which a position is held; vaults and spot balances are not judged",
    "order books are told to between 2 and 20 % from the best price, in steps that grow on the way",
)
FIGURES: Figures = {
    Figure.EQUITY: exact(
        "crossMarginSummary accountValue; unified: spot total - isolated marginUsed; isolated: marginUsed",
        VerifiedBy.RECORDED,
    ),
    Figure.POOL_MAINTENANCE: exact(
        "crossMaintenanceMarginUsed; isolated: estimated by tiers at the mark", VerifiedBy.RECORDED
    ),
    Figure.POOL_INITIAL: exact("crossMarginSummary totalMarginUsed", VerifiedBy.RECORDED),
    Figure.AVAILABLE: exact("withdrawable; unified: spot total - hold", VerifiedBy.RECORDED),
    Figure.VENUE_RATIO: unknown("told of portfolio margin alone: portfolioMarginRatio / 0.95"),
    Figure.MARK_PRICE: exact("positionValue / szi", VerifiedBy.RECORDED),
    Figure.NOTIONAL: exact("positionValue, whose sum is held against totalNtlPos", VerifiedBy.RECORDED),
    Figure.ENTRY_PRICE: exact("entryPx", VerifiedBy.RECORDED),
    Figure.LIQUIDATION_PRICE: exact("liquidationPx; null is none, as our own solve finds", VerifiedBy.RECORDED),
    Figure.LEVERAGE: exact("leverage value", VerifiedBy.RECORDED),
    Figure.MARGIN_MODE: exact("leverage type", VerifiedBy.RECORDED),
    Figure.MAINTENANCE: estimated("marginTables x notional at the mark"),
    Figure.INITIAL: estimated("marginUsed of cross positions; isolated: positionValue / leverage", VerifiedBy.RECORDED),
    Figure.PNL: exact("unrealizedPnl", VerifiedBy.RECORDED),
    Figure.ADL_RANK: unknown("Hyperliquid tells none"),
    Figure.FUNDING_RATE: exact("metaAndAssetCtxs funding, of one hour", VerifiedBy.DOCUMENTS),
    Figure.FUNDING_INTERVAL: exact("one hour, by the documents", VerifiedBy.DOCUMENTS),
    Figure.NEXT_FUNDING: exact("the next full hour, by the documents", VerifiedBy.DOCUMENTS),
    Figure.BRACKETS: exact("allPerpMetas marginTables, amounts by the documents' formula", VerifiedBy.DOCUMENTS),
    Figure.COLLATERAL: unknown("all is margined in USDC, of which Hyperliquid tells no price"),
    Figure.STOP_ORDERS: exact("frontendOpenOrders with a trigger", VerifiedBy.CCXT),
    Figure.KEY_PERMISSIONS: exact("there is no key: read by address", VerifiedBy.DOCUMENTS),
    Figure.ENDS: exact("userFillsByTime liquidation, and dir Auto-Deleveraging", VerifiedBy.DOCUMENTS),
}
