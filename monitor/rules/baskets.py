"""Coins that hedge each other by beta: what their legs count for, and what restores a basket of them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from monitor.domain.hedges import HedgeTrack, Leg, Legs, nets, sides
from monitor.domain.study import NoStudy, Study
from monitor.risk.shock import BITCOIN
from monitor.risk.underlying import underlying_of
from monitor.risk.volatility import LEAST_COMMON_DAYS, beta
from monitor.risk.worth import UnknownWorthError, dollars_per, perpetuals_of
from monitor.rules.base import Portfolio
from monitor.rules.together import UnknownSumError, dollars_per_coin, studies_of

# What a basket's sides are counted in.
UNIT = "USD by beta"


def name_of(basket: Sequence[str]) -> str:
    """`BTC+ETH+SOL`."""
    return "+".join(basket)


def coins_in(subject: str) -> list[str]:
    """The coins that a hedge is of: one, or those of a basket."""
    return subject.split("+")


def is_crossed(basket: Collection[str], legs: Legs) -> bool:
    """Whether one of its coins is long and another is short, whatever they count for."""
    coins = [sum(leg.coins for leg in legs.get(coin, ())) for coin in basket]
    return min(coins) < 0 < max(coins)


def weighed(basket: Sequence[str], legs: Legs, track: HedgeTrack | None, accounts: Portfolio) -> tuple[Leg, ...]:
    """The legs of its coins, each with its beta and what one coin is worth now. Raises UnknownSumError.

    The betas of a hedge that stands are those with which it was recognised: measured anew each day they would be a
    drift that nobody traded.
    """
    held = [coin for coin in basket if legs.get(coin)]
    kept = {leg.coin: leg.beta for leg in track.legs} if track is not None and not track.let_go else {}
    studies, dollars = studies_of(accounts), prices(held, accounts)
    for coin in held:
        if coin not in dollars:
            raise UnknownSumError({"why": f"the worth of {coin} in dollars is not known"})
        if coin not in kept:
            kept[coin] = _measured(coin, studies, accounts)
    return tuple(
        Leg(
            account=leg.account,
            subject=leg.subject,
            coins=leg.coins,
            coin=coin,
            dollars=dollars[coin],
            beta=kept[coin],
        )
        for coin in held
        for leg in legs[coin]
    )


def prices(coins: Collection[str], accounts: Portfolio) -> dict[str, float]:
    """The dollars that one of each is worth: by positions, else by the marks that a venue tells."""
    found = dollars_per_coin(accounts, coins)
    for coin in coins:
        for context in accounts.seen.values():
            if coin not in found:
                with suppress(UnknownWorthError):
                    found[coin] = dollars_per(coin, context.snapshot, context.markets)
    return found


def figures(legs: Collection[Leg]) -> dict[str, Any]:
    """Of its reading, beside what is told of any hedge."""
    betas = {leg.coin: leg.beta for leg in legs}
    return {"base": UNIT, "betas": ", ".join(f"{coin} {beta:.2f}" for coin, beta in betas.items())}


def remedy(track: HedgeTrack, legs: Collection[Leg], accounts: Portfolio) -> dict[str, Any]:
    """What restores it exactly: a trade in one coin of the side that lacks, the one that is gone if any; or a cut of
    the other side, by that share of each of its coins."""
    long, short = sides(legs)
    lacks_short = short < track.ratio * long
    sign = -1 if lacks_short else 1
    lacking, other, wanted = (short, long, track.ratio) if lacks_short else (long, short, 1 / track.ratio)
    cut = other - lacking / wanted
    found: dict[str, Any] = {
        "action": "sell" if lacks_short else "buy",
        "restored_side": "short" if lacks_short else "long",
        "cut_side": "long" if lacks_short else "short",
        "cut_other_share": cut / other,
    }
    coin, counts = _to_trade(track, legs, sign, accounts)
    # What that coin holds of the other side, which the trade takes from first: not where that is all there is.
    held = max(-sign * nets(legs).get(coin, 0.0), 0.0) if coin is not None else 0.0
    if coin is not None and (lacking or held < other):
        restore = cut if cut <= held else held + wanted * (other - held) - lacking
        found |= {"restore_coin": coin, "restore_size": restore / counts}
    return found


def _to_trade(track: HedgeTrack, legs: Collection[Leg], sign: int, accounts: Portfolio) -> tuple[str | None, float]:
    """The coin to trade, and what one of it counts for: of that side the largest that is gone, else that is there."""
    held = {(leg.account, leg.subject) for leg in legs}
    gone = [leg for leg in track.legs if (leg.account, leg.subject) not in held]
    betas = {leg.coin: leg.beta for leg in (*track.legs, *legs) if leg.coin is not None}
    rates = {coin: dollars * betas[coin] for coin, dollars in prices(betas, accounts).items()}
    for among in (gone, (*legs, *track.legs)):
        coins = {
            leg.coin: abs(leg.coins) * rates.get(leg.coin, 0.0) for leg in among if leg.coin and leg.coins * sign > 0
        }
        coin = max(coins, key=coins.__getitem__, default=None)
        if coin is not None and coins[coin] > 0:
            return coin, rates[coin]
    return None, 0.0


def _measured(coin: str, studies: Mapping[str, Study], accounts: Portfolio) -> float:
    """Its beta to bitcoin. Raises UnknownSumError."""
    if coin == BITCOIN:
        return 1.0
    for wanted in (coin, BITCOIN):
        if wanted not in studies:
            missing = _unstudied(wanted, accounts)
            raise UnknownSumError({**missing.inputs, "why": f"the beta of {coin} is not measured: {missing.why}"})
    measured = beta(studies[coin], studies[BITCOIN])
    if measured is None:
        why = f"less than {LEAST_COMMON_DAYS} days of it and {BITCOIN} are known"
        raise UnknownSumError({"why": f"the beta of {coin} is not measured: {why}"})
    return measured


def _unstudied(coin: str, accounts: Portfolio) -> NoStudy:
    """Why, as far as one of its contracts tells; what is on its way is waited for."""
    found = NoStudy(f"no candles of {coin} are read")
    for context in accounts.seen.values():
        listed = [context.markets[symbol].instrument for symbol in perpetuals_of(coin) if symbol in context.markets]
        for instrument in (*(position.instrument for position in context.snapshot.positions), *listed):
            study = context.study_of(instrument)
            if isinstance(study, NoStudy) and underlying_of(instrument).name == coin and not found.is_pending:
                found = study
    return found
