"""The JSON Schema for editors: the file in the repository is the generated one, and it knows what people write."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from monitor.config.loader import load
from monitor.config.profiles import PROFILES
from monitor.config.schema import json_schema

CONFIG = Path(__file__).resolve().parents[2] / "config"
SCHEMA = json_schema()


def faults(schema: Any, value: Any, at: str = "") -> list[str]:
    """What the schema has against a value: the part of JSON Schema that ours uses."""
    if "$ref" in schema:
        return faults(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, at)
    found: list[str] = []
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return [f"{at}: no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: not as {schema['pattern']}")
    if isinstance(value, dict):
        found += _faults_of_mapping(schema, value, at)
    if isinstance(value, list):
        found += [fault for item in value for fault in faults(schema.get("items", {}), item, f"{at}[]")]
    for word in ("anyOf", "oneOf"):
        fits = [not faults(option, value, at) for option in schema.get(word, ())]
        if fits and (not any(fits) or (word == "oneOf" and sum(fits) != 1)):
            found.append(f"{at}: fits {sum(fits)} of {word}")
    found += [fault for part in schema.get("allOf", ()) for fault in faults(part, value, at)]
    if "not" in schema and not faults(schema["not"], value, at):
        found.append(f"{at}: not allowed")
    return found


def _faults_of_mapping(schema: Any, value: dict[str, Any], at: str) -> list[str]:
    found = [f"{at}: no {key}" for key in schema.get("required", ()) if key not in value]
    for key, item in value.items():
        found += faults(schema.get("propertyNames", {}), key, f"{at}.{key}")
        below = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
        found += [f"{at}: unknown {key}"] if below is False else faults(below, item, f"{at}.{key}")
    return found


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_schema_in_the_repository_is_the_generated_one() -> None:
    assert json.loads((CONFIG / "perpwatch.schema.json").read_text()) == SCHEMA


@pytest.mark.parametrize("name", ["perpwatch.example.yaml", "demo.yaml"])
def test_the_files_that_ship_fit_the_schema(name: str) -> None:
    if not (CONFIG / name).exists():
        pytest.skip(f"{name} is not there")
    assert faults(SCHEMA, parsed((CONFIG / name).read_text())) == []


def test_the_example_is_read_and_names_its_schema() -> None:
    env = {"BINANCE_KEY": "k", "BINANCE_SECRET": "s", "TELEGRAM_URL": "tgram://a/b"}
    path = CONFIG / "perpwatch.example.yaml"
    config = load(path, is_venue=lambda _: True, channel_error=lambda _: None, mode_error=lambda *_: None, env=env)
    assert list(config.rules) == [*PROFILES["retail"], "doge_distance"]
    assert config.critical_channels == ("phone",)
    assert path.read_text().startswith("# yaml-language-server: $schema=./perpwatch.schema.json\n")


def test_every_part_of_the_example_that_is_commented_out_is_valid_too() -> None:
    text = (CONFIG / "perpwatch.example.yaml").read_text()
    body = text[text.index("\npoll_interval") :]
    uncommented = re.sub(r"^( *)# ?( *[\w-]+:( .*)?)$", r"\1\2", body, flags=re.MULTILINE)
    assert "\nheartbeat_url: $" in uncommented
    assert "\n    fallback: true" in uncommented
    data = parsed(uncommented)
    assert set(data) >= {"alerts", "health", "log", "database", "heartbeat_url"}
    assert set(data["accounts"]) == {"main", "coin-margined", "test"}
    assert faults(SCHEMA, data) == []


GOOD = "accounts: {main: {venue: okx}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "rules: {funding_exposure: false}",
        "rules: {funding_exposure: off}",
        "rules: {margin_ratio: {critical: 90%, for: {warning: 30s}}}",
        "rules: {doge: {kind: margin_ratio, warning: 5%}}",
        "channels: {phone: {url_file: /run/secrets/url}}",
        "poll_interval: ${POLL:-10s}",
    ],
)
def test_what_the_loader_accepts_fits_the_schema(text: str) -> None:
    assert faults(SCHEMA, parsed(GOOD + text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "poll_interval: 10",
        "poll_interval: 10 seconds",
        "pol_interval: 10s",
        "profile: expert",
        "channels: {phone: {severities: [critical]}}",
        "channels: {phone: {url: a, url_file: b}}",
        "channels: {phone: {url: a, severities: [loud]}}",
        "rules: {doge: {warning: 5%}}",
        "rules: {doge: false}",
        "rules: {blind: {kind: margin_ratio, warning: 5%}}",
        "rules: {margin_ratio: {warning: 50}}",
        "rules: {margin_ratio: {kind: funding_exposure}}",
        "rules: {margin_ratio: ~}",
        "log: {level: loud}",
    ],
)
def test_an_editor_marks_what_the_loader_refuses(text: str) -> None:
    assert faults(SCHEMA, parsed(GOOD + text)) != []


def test_every_key_of_the_schema_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, model in [("", SCHEMA), *SCHEMA["$defs"].items()]
        for key, value in model.get("properties", {}).items()
        if name != "SeverityDurations"
        and "description" not in value
        and "$ref" not in value
        and "$ref" not in str(value)
    ]
    assert undescribed == []
