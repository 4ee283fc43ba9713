"""The monitor's own alerts: blind, unassessed, what a key may do."""

from monitor.notify.text import amount, duration
from monitor.notify.words.case import Case, joined


def blind_headline(case: Case) -> str:
    value = case.facts.value
    kind = case.words("failure_kind", 30)
    age = f"no good read for {duration(value)}" if value is not None else "no good read"
    return f"{age} ({kind})" if kind else age


def blind_details(case: Case) -> list[str | None]:
    positions = case.number("positions")
    last = case.time("last_read_at")
    held = None
    if positions is not None:
        held = f"{positions:.0f} position{'' if positions == 1 else 's'} open then" if positions else "no position then"
    return [
        joined(f"Last good read {last} UTC" if last else "Never read since the start", held),
        case.words("failure_detail", 200),
        None if case.words("advice") else "Do: look at this account at the venue yourself until it is read again",
    ]


def unassessed_headline(case: Case) -> str:
    count = case.facts.value
    return f"{amount(count)} figure{'' if count == 1 else 's'} cannot be judged" if count else "cannot be judged"


def key_headline(case: Case) -> str:
    may = case.words("may")
    return f"its key may {may}" if may else "its key expires soon"


def key_details(case: Case) -> list[str | None]:
    expires = case.time("expires_at")
    return [
        "perpwatch needs to read, and nothing else.",
        "It works from any address." if case.facts.inputs.get("any_address") is True else None,
        f"It expires {expires} UTC." if expires else None,
    ]
