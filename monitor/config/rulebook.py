"""The effective rules: the profile's, with the file's own keys over them one by one.

A rule for some positions (`doge_distance: {kind: liquidation_distance, where: ...}`) starts from the general rule of
its kind, because it replaces it there: leaving out `critical` must not switch the critical alert off.
"""

from collections.abc import Iterable, Mapping

from monitor.config.problems import NAME, Path, Place, Problems, did_you_mean, one_of, shown_value
from monitor.config.profiles import DEFAULT_PROFILE, PROFILES
from monitor.config.tree import Node
from monitor.rules.book import RESERVED_RULE_NAMES, RULE_KINDS

_OFF = frozenset({"false", "off"})


# By the rule's name and the key: `perpwatch.yaml:12:28`, or `from the profile retail`.
Origins = Mapping[str, Mapping[str, str]]


def origins_of(root: Node) -> Origins:
    """Where each key of the effective rules comes from; of a tree whose rules are resolved."""
    return {
        name: {
            key: node.inherited or str(node.place) for key, node in rule.mapping.items() if isinstance(node.value, str)
        }
        for name, rule in root.mapping["rules"].mapping.items()
    }


def resolve_rules(root: Node, problems: Problems) -> None:
    """Replace `rules` by the effective set, in place; each rule a mapping with its kind."""
    node = root.mapping.get("rules")
    if node is not None and node.value is not None and not isinstance(node.value, dict):
        return
    place = node.key if node else Place(root.key.file, 1, 1)
    profile = _profile_name(root)
    general = {name: _profile_rule(name, profile, place) for name in PROFILES[profile]}
    given: dict[str, Node] = {}
    for name, rule in node.mapping.items() if node else ():
        path = ("rules", name)
        if not _may_be_named(name, rule, path, problems):
            continue
        if isinstance(rule.value, str) and rule.value in _OFF:
            _switch_off(name, rule, general, problems)
        elif isinstance(rule.value, dict):
            if _has_kind(name, rule, path, problems):
                given[name] = rule
        elif rule.value is not None:
            problems.add(rule.place, path, "expected a mapping such as {warning: 10%}, or false")
    for name in [name for name in given if name in RULE_KINDS]:
        given[name] = general[name] = _over(general.get(name), given[name])
    effective = dict(general)
    for name, rule in given.items():
        effective[name] = rule if name in RULE_KINDS else _over(_for_some(rule, general), rule)
    if not effective and not problems:
        problems.add(place, ("rules",), "every rule is switched off: expected at least one")
    root.mapping["rules"] = Node(place, place, effective)


def _profile_name(root: Node) -> str:
    node = root.mapping.get("profile")
    named = node.value if node else None
    return named if isinstance(named, str) and named in PROFILES else DEFAULT_PROFILE


def _profile_rule(name: str, profile: str, place: Place) -> Node:
    def as_node(value: str | Mapping[str, str]) -> Node:
        inherited = f"from the profile {profile}"
        if isinstance(value, str):
            return Node(place, place, value, written=value, inherited=inherited)
        return Node(place, place, {key: as_node(text) for key, text in value.items()}, inherited=inherited)

    entries = {key: as_node(value) for key, value in PROFILES[profile][name].items()}
    return Node(place, place, {**entries, "kind": Node(place, place, name)})


def _may_be_named(name: str, rule: Node, path: Path, problems: Problems) -> bool:
    if not NAME.fullmatch(name):
        problems.add(rule.key, path, "expected a name of 1 to 64 letters, digits, dots, dashes and underscores")
    elif name in RESERVED_RULE_NAMES:
        problems.add(rule.key, path, "this name is taken by the monitor's own alerts: choose another")
    else:
        return True
    return False


def _switch_off(name: str, rule: Node, general: dict[str, Node], problems: Problems) -> None:
    if name in RULE_KINDS:
        general.pop(name, None)
    else:
        hint = did_you_mean(name, RULE_KINDS)
        problems.add(rule.key, ("rules", name), f"no rule of the profile has this name to switch off{hint}")


def _has_kind(name: str, rule: Node, path: Path, problems: Problems) -> bool:
    """Whether the rule's kind is known, given or implied by the name; told where not."""
    kind = rule.mapping.get("kind")
    kinds = one_of(RULE_KINDS)
    if kind is None and name in RULE_KINDS:
        rule.mapping["kind"] = Node(rule.key, rule.key, name)
        return True
    if kind is None:
        hint = did_you_mean(name, RULE_KINDS)
        told = f"{hint} `perpwatch rules` tells all kinds" if hint else f": {kinds}"
        problems.add(rule.key, path, f"expected kind{told}")
    elif not isinstance(kind.value, str):
        if kind.value is not None:
            problems.add(kind.place, (*path, "kind"), f"expected {kinds}")
    elif kind.value not in RULE_KINDS:
        hint = did_you_mean(kind.value, RULE_KINDS) or f": expected {kinds}"
        problems.add(kind.place, (*path, "kind"), f"unknown rule kind {shown_value(kind.written)}{hint}")
    elif name in RULE_KINDS and kind.value != name:
        problems.add(kind.place, (*path, "kind"), f"expected {name}, which this name stands for: rename the rule")
    else:
        return True
    return False


def _for_some(rule: Node, general: dict[str, Node]) -> Node | None:
    base = general.get(str(rule.mapping["kind"].value))
    if base is None:
        return None
    kind = rule.mapping["kind"].value
    return Node(
        base.place,
        base.key,
        {
            key: Node(rule.key, rule.key, node.value, node.written, node.inherited or f"from the rule {kind}")
            for key, node in _without(base.mapping.items(), {"where"})
        },
    )


def _without(items: Iterable[tuple[str, Node]], names: set[str]) -> list[tuple[str, Node]]:
    return [(key, node) for key, node in items if key not in names]


def _over(base: Node | None, rule: Node) -> Node:
    return Node(rule.place, rule.key, {**(base.mapping if base else {}), **rule.mapping})
