"""pydantic's errors as problems: the place in the file, and what was expected there, in the words of the YAML."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor.config.keys import is_secret_path
from monitor.config.problems import Path, Problems, shown_value
from monitor.config.tree import Node

_EXPECTED = {
    "string_type": "expected text",
    "string_sub_type": "expected text",
    "path_type": "expected the name of a file",
    "model_type": "expected a mapping (`key: value` lines, or {key: value})",
    "model_attributes_type": "expected a mapping (`key: value` lines, or {key: value})",
    "dict_type": "expected a mapping (`key: value` lines, or {key: value})",
    "tuple_type": "expected a list such as [a, b]",
    "frozen_set_type": "expected a list such as [a, b]",
    "string_pattern_mismatch": "expected a coin in capitals, such as BTC",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def explain(error: ValidationError, root: Node, problems: Problems) -> None:
    """Add what pydantic found, but for values whose problem has been told already."""
    located = [(_path(details, root), details) for details in error.errors(include_url=False, include_input=False)]
    above = {path[:length] for path, _ in located for length in range(len(path))}
    told: set[Path] = set()
    for path, details in located:
        # A union tells one error per member: the one that came closest is the deepest, or else the first.
        if path not in above and path not in told:
            told.add(path)
            _explain_one(path, details, root, problems)


def _path(details: ErrorDetails, root: Node) -> Path:
    """pydantic's location without the union members in it; a missing key stays as the last step."""
    path: Path = ()
    for step in details["loc"]:
        if root.find((*path, step)) is not None:
            path = (*path, step)
    if details["type"] == "missing":
        path = (*path, details["loc"][-1])
    return path


def _explain_one(path: Path, details: ErrorDetails, root: Node, problems: Problems) -> None:
    if details["type"] == "missing":
        holder = root.find(path[:-1])
        assert holder is not None
        problems.add(holder.key, path[:-1], f"missing key {path[-1]}")
        return
    node = root.find(path)
    assert node is not None
    if node.value is None:
        return
    if path[:-1] == ("rules",) and details["type"] == "value_error":
        _explain_thresholds(path, node, details, problems)
    else:
        expected = _expected(details, node)
        of_key = details["loc"][-1] == "[key]"
        if isinstance(node.value, str) and not of_key and not is_secret_path(path):
            expected += f", not {shown_value(node.written)}"
        problems.add(node.key if of_key else node.place, path, expected)


def _explain_thresholds(path: Path, rule: Node, details: ErrorDetails, problems: Problems) -> None:
    """An error of the rule as a whole: told at the threshold that the file gives, and with both figures."""
    message = _reason(details)
    given = [rule.mapping[key] for key in ("critical", "warning") if key in rule.mapping]
    for key in ("critical", "warning"):
        if node := rule.mapping.get(key):
            figure = f"{key} ({' '.join([shown_value(node.written), node.inherited]).strip()})"
            message = message.replace(key, figure, 1)
    own = [node for node in given if not node.inherited]
    problems.add(own[0].place if own else rule.key, path, message)


def _expected(details: ErrorDetails, node: Node) -> str:
    kind = details["type"]
    context: dict[str, Any] = details.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "too_short":
        least = context["min_length"]
        return f"expected at least {'one entry' if least == 1 else f'{least} entries'}"
    if kind == "too_long":
        return f"expected at most {context['max_length']} entries"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"expected {words} {_in_unit_of(node, context[key])}"
    if kind in ("enum", "literal_error"):
        return f"expected {str(context['expected']).replace(chr(39), '')}"
    return _reason(details)


def _in_unit_of(node: Node, bound: float) -> str:
    return f"{bound * 100:g}%" if node.written.strip().endswith("%") else f"{bound:g}"


def _reason(details: ErrorDetails) -> str:
    message = details["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
