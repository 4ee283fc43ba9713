"""One Deribit account, parsed: its positions and its margin pools. Pure.

Recorded replies show what the documents leave open: under cross collateral each currency tells the margins of the whole
pool, converted; currencies that are no collateral stay segregated beside it; `size` is in the quote currency, of linear
contracts as well, and signed; `floating_profit_loss` counts from the last daily settlement, `total_profit_loss` from
the entry; the margins of a position are those of standard margin, under portfolio margin too.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.domain.account import FailureKind, Instrument, MarginBalance, MarginMode, Position, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.values import (
    Row,
    boolean,
    malformed,
    mapping,
    not_negative,
    number,
    optional_positive,
    positive,
    rows,
    text,
)
from monitor.exchange.venues.coins import Rates, dollar_rates, rate_of
from monitor.exchange.venues.completeness import caveats_of, check_held_once
from monitor.exchange.venues.contracts import instrument_of, known_price
from monitor.exchange.venues.venue import AccountReading, AccountSettings, Instruments

# In the order in which they are told; the first two have one pool of all collateral.
MODELS = {
    "cross_sm": "cross standard margin",
    "cross_pm": "cross portfolio margin",
    "segregated_sm": "segregated standard margin",
    "segregated_pm": "segregated portfolio margin",
}
CROSS = ("cross_sm", "cross_pm")
UNIFIED_POOL = "cross:USD"
# Isolated positions lie in subaccounts that Deribit manages and hides: each has its money here.
SLOTS, WITH_ISOLATED = "isolated_account_summaries", ", with isolated positions"
SIDES = {"buy": Side.LONG, "sell": Side.SHORT}
FUTURE = "future"
# The account's own sum of deltas may exceed that of the positions listed by this factor: marks move between two calls.
MAX_DELTA_GAP = 1.1
ROUNDING = 1e-6
# Both sizes of a position are told at the mark.
MAX_SIZE_GAP = 0.01


class Leg(NamedTuple):
    """A position, the index it moves with, and of an isolated one the subaccount it lies in."""

    position: Position
    index_name: str
    slot: str | None


def mode_of(told: Row) -> str:
    """The margin models of the account's currencies, in words; raises ReadError (unsupported) for one not known."""
    models = {_model(row) for row in _coins(told.get("summaries")).values()}
    words = ", ".join(words for model, words in MODELS.items() if model in models)
    return words + (WITH_ISOLATED if SLOTS in told else "")


def currencies_of(told: Row) -> tuple[str, ...]:
    """Those of the account itself, not of its isolated positions."""
    return tuple(_coins(told.get("summaries")))


def parse(told: Row, listed: Sequence[Row], instruments: Instruments, settings: AccountSettings) -> AccountReading:
    """Raises ReadError (malformed, implausible, unsupported)."""
    if (mode := mode_of(told)) != settings.mode:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"the account is now in {mode:.100}, it was in {settings.mode:.100}")
    coins, slots = _coins(told.get("summaries")), _slots(told)
    cross = {name: row for name, row in coins.items() if _model(row) in CROSS}
    rates = dollar_rates(cross, value="total_margin_balance_usd", equity="margin_balance")
    held = [row for row in listed if number(row, "size") != 0]
    others = [row for row in held if text(row, "kind") != FUTURE]
    legs = [_leg(row, instruments, coins, rates) for row in held if row["kind"] == FUTURE]
    check_held_once(leg.position for leg in legs)
    deltas = [_deltas(row) for row in coins.values()]
    if not others:
        _check_complete(deltas, legs)
    _check_slots(slots, legs)
    in_use = sum(abs(delta) for of_coin in deltas for delta in of_coin.values())
    in_use += sum(not_negative(row, "maintenance_margin") for of_slot in slots.values() for row in of_slot.values())
    return AccountReading(
        margins=(
            *_unified_pool(cross, rates),
            *_segregated_pools(coins, legs),
            *(_slot_pool(leg, slots) for leg in legs if leg.slot is not None),
        ),
        positions=tuple(leg.position for leg in legs),
        margin_in_use=None if others else in_use,
        caveats=(*settings.caveats, *caveats_of(others, "kind")),
    )


def _coins(listed: object) -> dict[str, Row]:
    found = rows(listed, "summaries")
    coins = {text(row, "currency"): row for row in found}
    if not coins or len(coins) < len(found):
        raise malformed("summaries: none, or a currency twice")
    return coins


def _slots(told: Row) -> dict[str, dict[str, Row]]:
    """The money of isolated positions, by subaccount and currency."""
    if SLOTS not in told:
        return {}
    return {str(slot.get("id")): _coins(slot.get("summaries")) for slot in rows(told[SLOTS], SLOTS)}


def _model(row: Row) -> str:
    model = text(row, "margin_model")
    if model not in MODELS:
        raise ReadError(FailureKind.UNSUPPORTED, f"the margin model {model:.40} is not known")
    return model


# --- positions ---


def _leg(row: Row, instruments: Instruments, coins: Mapping[str, Row], rates: Rates) -> Leg:
    instrument, side, mark_price = instrument_of(row, instruments, "instrument_name"), _side(row), _mark(row)
    is_isolated = boolean(row, "isolated") if "isolated" in row else False
    settle = coins.get(instrument.settle)
    if settle is None:
        raise malformed(f"summaries: {instrument.settle:.20}, in which a position is margined, is not listed")
    pool, rate = f"cross:{instrument.settle}", 1.0
    if is_isolated:
        pool = instrument.isolated_pool(side)
    elif _model(settle) in CROSS:
        pool, rate = UNIFIED_POOL, rate_of(instrument.settle, instrument, mark_price, rates)
    contracts = abs(number(row, "size" if instrument.inverse else "size_currency")) / instrument.contract_size
    price, origin = known_price(row, "estimated_liquidation_price", mark_price)
    position = Position(
        instrument=instrument,
        side=side,
        pool=pool,
        contracts=contracts,
        size=instrument.size(contracts, mark_price),
        notional=instrument.notional(contracts, mark_price),
        mark_price=mark_price,
        entry_price=optional_positive(row, "average_price"),
        liquidation_price=price,
        liquidation_price_origin=origin,
        leverage=optional_positive(row, "leverage"),
        margin_mode=MarginMode.ISOLATED if is_isolated else MarginMode.CROSS,
        initial_margin=not_negative(row, "initial_margin"),
        maintenance_margin=not_negative(row, "maintenance_margin"),
        unrealized_pnl=number(row, "total_profit_loss"),
        pool_rate=rate,
    )
    return Leg(position, _index_of(text(row, "instrument_name")), str(row.get("user_id")) if is_isolated else None)


def _side(row: Row) -> Side:
    """Named, and the sign of both sizes."""
    named = text(row, "direction")
    if named not in SIDES:
        raise malformed(f"direction: {named:.20} is not a side")
    side = SIDES[named]
    if min(side.sign * number(row, "size"), side.sign * number(row, "size_currency")) <= 0:
        raise malformed(f"size: {row['size']} and {row['size_currency']} are not those of a {side}")
    return side


def _mark(row: Row) -> float:
    """Raises ReadError (implausible) where the sizes in both currencies are not the same at it."""
    mark_price, quote, base = positive(row, "mark_price"), number(row, "size"), number(row, "size_currency")
    if abs(quote - base * mark_price) > MAX_SIZE_GAP * abs(quote) + ROUNDING:
        raise ReadError(FailureKind.IMPLAUSIBLE, f"size: {base:g} at {mark_price:g} is told to be {quote:g}")
    return mark_price


def _index_of(name: str) -> str:
    """`btc_usd` of BTC-PERPETUAL and BTC-26DEC26, `btc_usdc` of BTC_USDC-PERPETUAL."""
    pair = name.partition("-")[0].lower()
    return pair if "_" in pair else f"{pair}_usd"


# --- whole lists ---


def _deltas(row: Row) -> Mapping[str, float]:
    """What of the positions margined across in a currency moves with each index, in units of its base."""
    told = mapping(row.get("delta_total_map"), "delta_total_map")
    return {index: number(told, index) for index in told}


def _check_complete(deltas: Sequence[Mapping[str, float]], legs: Sequence[Leg]) -> None:
    """Raises ReadError (implausible) where the account's own sums of deltas are more than the positions listed."""
    listed: dict[str, float] = {}
    for leg in legs:
        if leg.slot is None:
            listed[leg.index_name] = listed.get(leg.index_name, 0.0) + leg.position.size
    for index, delta in (item for of_coin in deltas for item in of_coin.items()):
        if abs(delta) > listed.get(index, 0.0) * MAX_DELTA_GAP + ROUNDING:
            raise ReadError(
                FailureKind.IMPLAUSIBLE, f"{delta:g} of {index:.20} are held, more than the positions listed"
            )


def _check_slots(slots: Mapping[str, Mapping[str, Row]], legs: Sequence[Leg]) -> None:
    """Both lists are made as far as Deribit can: each isolated position has its money, and the other way round."""
    held = {leg.slot for leg in legs if leg.slot is not None}
    bound = {
        name for name, coins in slots.items() if any(not_negative(row, "maintenance_margin") for row in coins.values())
    }
    if not bound <= held <= slots.keys():
        raise ReadError(FailureKind.IMPLAUSIBLE, "isolated positions and their margins are not listed both")


# --- pools ---


def _pool(name: str, currency: str, row: Row) -> MarginBalance:
    return MarginBalance(
        pool=name,
        currency=currency,
        equity=number(row, "margin_balance"),
        maintenance_margin=not_negative(row, "maintenance_margin"),
        initial_margin=not_negative(row, "initial_margin"),
        available=number(row, "available_funds"),
    )


def _unified_pool(cross: Mapping[str, Row], rates: Rates) -> list[MarginBalance]:
    """In US dollars; what is available is told in each currency, and taken where most digits tell it."""
    if not cross:
        return []
    finest = max(cross, key=lambda name: abs(number(cross[name], "margin_balance")))
    row = cross[finest]
    return [
        MarginBalance(
            pool=UNIFIED_POOL,
            currency="USD",
            equity=number(row, "total_margin_balance_usd"),
            maintenance_margin=not_negative(row, "total_maintenance_margin_usd"),
            initial_margin=not_negative(row, "total_initial_margin_usd"),
            available=number(row, "available_funds") * rates[finest] if finest in rates else None,
        )
    ]


def _segregated_pools(coins: Mapping[str, Row], legs: Sequence[Leg]) -> list[MarginBalance]:
    """One a currency, but where nothing lies in it."""
    pools = [_pool(f"cross:{name}", name, row) for name, row in coins.items() if _model(row) not in CROSS]
    used = {leg.position.pool for leg in legs}
    return [p for p in pools if p.equity or p.maintenance_margin or p.initial_margin or p.pool in used]


def _slot_pool(leg: Leg, slots: Mapping[str, Mapping[str, Row]]) -> MarginBalance:
    settle = leg.position.instrument.settle
    row = slots[leg.slot or ""].get(settle)
    if row is None:
        raise malformed(f"{SLOTS}: {settle:.20}, in which a position is margined, is not listed")
    return _pool(leg.position.pool, settle, row)


def base_units(instrument: Instrument, amount: float, price: float) -> float:
    """Of an order: inverse contracts are ordered in dollars, linear ones in units of the base."""
    return amount / price if instrument.inverse else amount
