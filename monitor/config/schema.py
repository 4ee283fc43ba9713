"""The JSON Schema of the YAML file as a person writes it, for editors: quantities are texts, secrets may be files."""

from typing import Any

from monitor.config.keys import MODELS_WITH_SECRETS, secret_fields
from monitor.config.problems import NAME
from monitor.config.settings import Settings
from monitor.rules.book import RESERVED_RULE_NAMES, RULE_KINDS

_OFF: dict[str, Any] = {"enum": [False, "off"], "description": "switches the profile's rule off"}


def json_schema() -> dict[str, Any]:
    """The schema that config/perpwatch.schema.json holds; the loader checks more than it can say."""
    schema: dict[str, Any] = _as_written(Settings.model_json_schema(by_alias=True))
    for model in MODELS_WITH_SECRETS:
        _with_files(schema if model is Settings else schema["$defs"][model.__name__], secret_fields(model))
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "perpwatch configuration"
    schema["properties"]["rules"] = _rules(schema["$defs"])
    schema["required"] = ["accounts"]
    names = {"pattern": f"^{NAME.pattern}$"}
    for section in ("accounts", "channels"):
        schema["properties"][section]["propertyNames"] = names
    return schema


def _as_written(value: Any) -> Any:
    """Without null (a key is left out instead), defaults in internal units, and Python's names for the models."""
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _as_written(item) for key, item in value.items() if key not in ("default", "title", "writeOnly")}
    if isinstance(value.get("properties"), dict):
        kept["properties"] = {key: _as_written(item) for key, item in value["properties"].items()}
    if isinstance(kept.get("pattern"), str):
        kept["pattern"] += r"|\$\{"  # or taken from the environment
    if "anyOf" in kept:
        kept["anyOf"] = [option for option in kept["anyOf"] if option != {"type": "null"}]
        if len(kept["anyOf"]) == 1:
            kept |= kept.pop("anyOf")[0]
    if kept.get("format") in ("password", "path"):
        del kept["format"]
    return kept


def _with_files(schema: dict[str, Any], secrets: tuple[str, ...]) -> None:
    """Beside each secret its file: never both, and one of them where the secret is required."""
    conditions: list[dict[str, Any]] = []
    for name in secrets:
        schema["properties"][f"{name}_file"] = {"type": "string", "description": f"file that holds the {name}"}
        conditions.append({"not": {"required": [name, f"{name}_file"]}})
        if name in schema.get("required", ()):
            schema["required"].remove(name)
            conditions.append({"anyOf": [{"required": [name]}, {"required": [f"{name}_file"]}]})
    schema["allOf"] = conditions


def _rules(definitions: dict[str, Any]) -> dict[str, Any]:
    """A rule named as a kind needs no `kind` and may be switched off; every other name needs one."""
    by_kind = {kind: {"$ref": f"#/$defs/{model.__name__}"} for kind, model in RULE_KINDS.items()}
    of_any_kind = {"oneOf": list(by_kind.values()), "required": ["kind"]}
    for kind, model in RULE_KINDS.items():
        definition = definitions[model.__name__]
        definition["properties"]["kind"] = {"const": kind, "description": "what the rule measures"}
        # What a rule leaves out it may take over from the general one of its kind.
        definition.pop("required", None)
        for severity in {"warning", "critical"} & definition["properties"].keys():
            definition["properties"][severity]["description"] = f"the threshold of a {severity} alert"
    return {
        "type": "object",
        "description": "what to alert on, over the profile's rules",
        "properties": {kind: {"anyOf": [ref, _OFF]} for kind, ref in by_kind.items()},
        "additionalProperties": of_any_kind,
        "propertyNames": {"pattern": f"^{NAME.pattern}$", "not": {"enum": sorted(RESERVED_RULE_NAMES)}},
    }
