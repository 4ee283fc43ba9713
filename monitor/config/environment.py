"""Environment overrides, found by pydantic-settings: PERPWATCH_POLL_INTERVAL=5s, PERPWATCH_LOG__LEVEL=debug."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from monitor.config.problems import Path, Place, Problems, closest, shown_name
from monitor.config.settings import Settings
from monitor.config.tree import Node, read_tree

PREFIX = "PERPWATCH_"
# The command's own option, and what Kubernetes sets in every pod beside a service that is called perpwatch.
_NOT_SETTINGS = re.compile(r"PERPWATCH_(CONFIG|(SERVICE|PORT)(_\w+)?)")


class _Overrides(EnvSettingsSource):
    """pydantic-settings' reading of an environment that is handed in; lists are written as in the YAML."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        super().__init__(Settings, case_sensitive=False)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._env.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
        """`[warning, critical]` to a list. Other text stays text: whether it fits is judged where all values are."""
        if not isinstance(value, str) or value[:1] not in ("[", "{"):
            return value
        problems = Problems()
        tree = read_tree(value, field_name, problems)
        return value if tree is None or problems else tree.plain()


def overlay(root: Node, env: Mapping[str, str], used: frozenset[str], problems: Problems) -> None:
    """Lay the overrides over the file's tree, in place. `used` are the variables that the file itself refers to."""
    env = {name.upper(): value for name, value in env.items() if name.upper().startswith(PREFIX)}
    overrides = _Overrides(env)()
    for name in sorted(env):
        if name not in used and not _NOT_SETTINGS.fullmatch(name) and not _is_set(overrides, name):
            head = name.removeprefix(PREFIX).split("__")[0].lower()
            meant = closest(head, Settings.model_fields)
            hint = f", did you mean {PREFIX}{meant.upper()}?" if meant else ""
            problems.add(_place(name), (), f"no setting has this name{hint}")
    _merge(root, overrides, (), env)


def _is_set(overrides: Mapping[str, Any], name: str) -> bool:
    value: Any = overrides
    for step in name.removeprefix(PREFIX).lower().split("__"):
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _place(name: str) -> Place:
    return Place(f"environment variable {PREFIX}{shown_name(name.removeprefix(PREFIX))}")


def _merge(node: Node, values: Mapping[str, Any], path: Path, env: Mapping[str, str]) -> None:
    """Names are matched without regard to case: variables are written in capitals, accounts as one likes."""
    names = {name.lower(): name for name in node.mapping}
    for key, value in values.items():
        name = names.get(key.lower(), key)
        below = (*path, name)
        present = node.mapping.get(name)
        if present is not None and isinstance(value, dict) and isinstance(present.value, dict):
            _merge(present, value, below, env)
            continue
        twin = name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"
        node.mapping.pop(twin, None)
        node.mapping[name] = _node(value, below, env)


def _node(value: Any, path: Path, env: Mapping[str, str]) -> Node:
    place = _place(_variable(path, env))
    match value:
        case dict():
            return Node(place, place, {key: _node(below, (*path, key), env) for key, below in value.items()})
        case list():
            return Node(place, place, [_node(below, (*path, index), env) for index, below in enumerate(value)])
        case _:
            return Node(place, place, value, written=value or "")


def _variable(path: Path, env: Mapping[str, str]) -> str:
    """The variable that gave the value at this path: its own, or one that gave a whole mapping or list."""
    for length in range(len(path), 0, -1):
        name = PREFIX + "__".join(str(step) for step in path[:length]).upper()
        if name in env:
            return name
    return PREFIX + "__".join(str(step) for step in path).upper()
