"""What `perpwatch stress` found, as tables and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.cli.once import GONE
from monitor.cli.tables import figures_table, print_figures
from monitor.daemon import counted
from monitor.domain.account import AccountSnapshot, PollFailure
from monitor.notify.text import amount, percent, signed
from monitor.risk.shock import ALT_BETA, BITCOIN, BtcMoves
from monitor.risk.stress import (
    HISTORIC,
    Outcome,
    Shock,
    StressedAccount,
    StressedPool,
    dollars_of,
    first_of,
    unheld,
    unread,
)

HELD_STILL = "the worth of its coins is held still: which they are is not told"


def as_object(shocks: Sequence[Shock], accounts: Sequence[StressedAccount]) -> dict[str, Any]:
    """What is unknown is null; moves are fractions."""
    return {
        "shocks": [_shock(shock, accounts) for shock in shocks],
        "accounts": [_account(account, shocks) for account in accounts],
    }


def _shock(shock: Shock, accounts: Sequence[StressedAccount]) -> dict[str, Any]:
    first = next(iter(first_of(shock, accounts)), None)
    return {
        "name": shock.name,
        "moves": dict(shock.moves),
        "others": shock.others,
        "collateral": dict(sorted(shock.collateral.items())),
        "note": shock.note,
        "unknown_pools": [
            {"account": account.observation.account, "pool": pool.balance.pool}
            for account in accounts
            for pool in account.pools
            if pool.outcomes[shock.name].is_liquidated is None
        ],
        "unread_accounts": unread(accounts),
        "first_liquidated": first
        and {
            "account": first.account,
            "pool": first.pool,
            "share_of_shock": first.outcome.share,
            "btc_move": first.outcome.btc_move,
        },
    }


def _account(account: StressedAccount, shocks: Sequence[Shock]) -> dict[str, Any]:
    observation = account.observation
    common = {"account": observation.account, "observed_at": observation.observed_at.isoformat()}
    if isinstance(observation, PollFailure):
        failure = {"kind": str(observation.kind), "detail": observation.detail}
        return common | {"failure": failure, "dollars": None, "pools": None}
    return common | {
        "failure": None,
        "dollars": {shock.name: dollars_of(account, shock) for shock in shocks},
        "pools": [_pool(pool) for pool in account.pools],
        "caveats": list(observation.caveats),
    }


def _pool(pool: StressedPool) -> dict[str, Any]:
    balance = pool.balance
    return {
        "pool": balance.pool,
        "currency": balance.currency,
        "equity": balance.equity,
        "maintenance_margin": balance.maintenance_margin,
        "margin_ratio": balance.margin_ratio,
        "btc_fall": pool.moves.fall if pool.moves else None,
        "btc_rise": pool.moves.rise if pool.moves else None,
        "holds_coins_still": pool.holds_coins_still,
        "shocks": {name: _outcome(outcome) for name, outcome in pool.outcomes.items()},
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "equity": outcome.after.equity,
        "dollars": outcome.dollars,
        "maintenance_margin": outcome.after.maintenance_margin,
        "margin_ratio": outcome.after.margin_ratio,
        "liquidated": outcome.is_liquidated,
        "share_of_shock": outcome.share,
        "btc_move": outcome.btc_move,
        "why": outcome.why or None,
    }


# --- as tables ---


def print_tables(shocks: Sequence[Shock], accounts: Sequence[StressedAccount]) -> None:
    console = Console(highlight=False)
    for account in accounts:
        observation = account.observation
        if isinstance(observation, PollFailure):
            console.print(f"[bold red]{observation.account}: not read[/] ({observation.kind}): ", end="")
            console.print(observation.detail, markup=False, soft_wrap=True)
        else:
            _print_account(console, observation, account, shocks)
    console.print("[bold]Who is liquidated first[/]")
    print_figures(_first_table(shocks, accounts))
    for shock in shocks:
        console.print(f"  {_described(shock, accounts)}", style="dim", markup=False, soft_wrap=True)


def _print_account(
    console: Console, snapshot: AccountSnapshot, account: StressedAccount, shocks: Sequence[Shock]
) -> None:
    console.print(f"[bold]{snapshot.account}[/] on {snapshot.venue}, {snapshot.observed_at:%Y-%m-%d %H:%M:%S} UTC")
    for pool in account.pools:
        if not pool.is_empty:
            # On a line of its own: in the table a long name would make each row too wide.
            console.print(f"  {pool.balance.pool}", markup=False, soft_wrap=True)
            print_figures(_pool_table(pool))
            for line in _notes(pool):
                console.print(f"    {line}", style="dim", markup=False, soft_wrap=True)
    if len(account.pools) > 1:
        worth = ", ".join(f"{shock.name}: {_dollars(dollars_of(account, shock))}" for shock in shocks)
        console.print(f"  equity of all pools after {worth}", markup=False, soft_wrap=True)
    for caveat in snapshot.caveats:
        console.print(f"  note: {caveat}", style="dim", markup=False, soft_wrap=True)
    console.print()


def _pool_table(pool: StressedPool) -> Table:
    balance = pool.balance
    table = figures_table("after", "equity", "in dollars", "margin ratio", "liquidated")
    ratio = GONE if balance.under_water else percent(balance.margin_ratio)
    table.add_row("now", _sum(balance.equity, balance.currency), "", ratio, _reach(pool.moves))
    for name, outcome in pool.outcomes.items():
        after = outcome.after
        table.add_row(
            name,
            _sum(after.equity, balance.currency),
            _dollars(outcome.dollars),
            GONE if after.under_water else percent(after.margin_ratio),
            _fate(outcome),
            style="red" if outcome.is_liquidated else "magenta" if outcome.is_liquidated is None else None,
        )
    return table


def _reach(moves: BtcMoves | None) -> str:
    """At which move of BTC, all other coins moving by their betas."""
    if moves is None:
        return ""
    reached = [signed(move) for move in (moves.fall, moves.rise) if move is not None]
    return f"BTC {' or '.join(reached)} would" if reached else "no move of BTC would"


def _fate(outcome: Outcome) -> str:
    if outcome.is_liquidated is None:
        return "unknown"
    return _when(outcome) if outcome.is_liquidated else "no"


def _when(outcome: Outcome) -> str:
    if outcome.btc_move is not None:
        return f"at BTC {signed(outcome.btc_move)}"
    return f"at {percent(outcome.share, 0)} of it"


def _dollars(worth: float | None) -> str:
    return _sum(worth, "USD")


def _sum(worth: float | None, currency: str) -> str:
    return amount(worth) if worth is None else f"{amount(worth)} {currency}"


def _notes(pool: StressedPool) -> Iterator[str]:
    if pool.holds_coins_still:
        yield HELD_STILL
    whys: dict[str, list[str]] = {}
    for name, outcome in pool.outcomes.items():
        if outcome.why:
            whys.setdefault(outcome.why, []).append(name)
    for why, names in whys.items():
        yield f"unknown after {', '.join(names)}: {why}"


def _first_table(shocks: Sequence[Shock], accounts: Sequence[StressedAccount]) -> Table:
    table = figures_table("shock", "first", "when", "pools gone", "not known")
    for shock in shocks:
        gone = first_of(shock, accounts)
        pools = [pool.outcomes[shock.name] for account in accounts for pool in account.pools]
        unknown = _not_known(shock, accounts)
        # What could not be judged may be the first: nobody is said of what is known in full alone.
        nobody = "unknown" if unknown else "nobody"
        first = (f"{gone[0].account}, {gone[0].pool}", _when(gone[0].outcome)) if gone else (nobody, "")
        table.add_row(shock.name, *first, f"{len(gone)} of {len(pools)}", unknown)
    return table


def _not_known(shock: Shock, accounts: Sequence[StressedAccount]) -> str:
    """`1 pool, 2 accounts`: those whose fate in the shock is not known; empty where it is of all."""
    outcomes = [pool.outcomes[shock.name] for account in accounts for pool in account.pools]
    pools = sum(outcome.is_liquidated is None for outcome in outcomes)
    counts = ((pools, "pool"), (len(unread(accounts)), "account"))
    return ", ".join(counted(count, noun) for count, noun in counts if count)


def _described(shock: Shock, accounts: Sequence[StressedAccount]) -> str:
    parts = [f"{coin} {signed(move)}" for coin, move in shock.moves.items()]
    if shock.others is not None:
        parts.append(f"other coins {signed(shock.others)}")
    elif BITCOIN in shock.moves:
        parts.append(f"other coins losing {ALT_BETA:g} times what BTC moves, or gaining as much as it")
    elif shock.moves:
        parts.append("other coins stand still")
    prices = set(shock.collateral.values())
    if len(shock.collateral) > 3 and len(prices) == 1:
        parts.append(f"every dollar token at {prices.pop():g}")
    else:
        parts += [f"{coin} at {price:g}" for coin, price in shock.collateral.items()]
    missing = unheld(shock, accounts) if shock not in HISTORIC and not unread(accounts) else []
    notes = [shock.note, f"no position or pool in {', '.join(missing)}" if missing else ""]
    return f"{shock.name}: {'; '.join([', '.join(parts), *filter(None, notes)])}"
