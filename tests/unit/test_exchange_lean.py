"""ccxt's packages without the classes that nobody asks for, beside the packages as they are."""

import json
import subprocess
import sys

WHOLE = "import ccxt.async_support as ccxt; "
LEAN = "import monitor.exchange; " + WHOLE


def told(statements: str) -> list[str]:
    """What a fresh interpreter prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {statements}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_every_venue_and_every_error_of_ccxt_is_there() -> None:
    names = "print(json.dumps([*sorted(ccxt.exchanges), *sorted(n for n in dir(ccxt.errors) if n[0].isupper())]))"
    assert told(LEAN + names) == told(WHOLE + names)


def test_a_class_is_the_one_that_ccxt_has_by_that_name_and_no_other_is_imported() -> None:
    modules = (
        "print(json.dumps([ccxt.binanceusdm().id, ccxt.binance.__name__, ccxt.binance.__module__,"
        " *sorted(n for n in sys.modules if n.startswith('ccxt.async_support.b') and n.count('.') == 2),"
        " *(n for n in sys.modules if n.startswith('ccxt.b') and n.count('.') == 1)]))"
    )
    own = [f"ccxt.async_support.{name}" for name in ("base", "binance", "binanceusdm")]
    assert told(LEAN + modules) == ["binanceusdm", "binance", "ccxt.async_support.binance", *own, "ccxt.base"]


def test_what_was_imported_before_is_left_as_it_is() -> None:
    assert told("import ccxt; before = ccxt.kraken; " + LEAN + "print(json.dumps([before.__module__]))") == [
        "ccxt.kraken"
    ]
    assert told(WHOLE + "before = ccxt; " + LEAN + "print(json.dumps([str(before is ccxt)]))") == ["True"]


def test_what_is_no_venue_is_no_attribute() -> None:
    probe = "print(json.dumps([str(hasattr(ccxt, name)) for name in ('nowhere', '__wrapped__', 'kraken')]))"
    assert told(LEAN + probe) == ["False", "False", "True"]
