"""What is logged, in which shape, and above all what is not: no secret on any way out."""

import base64
import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import log
from monitor.log import MASK, configure, get_logger, redact, register_secret

CANARY = 'cnry/7x+"Qz&9=é\\k'


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is global: hand it back as it was found."""
    root = logging.getLogger()
    level, handlers, factory = root.level, list(root.handlers), logging.getLogRecordFactory()
    pinned = {name: logging.getLogger(name).level for name in log.PINNED_LOGGERS}
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    monkeypatch.setattr(log, "_secrets", log._Secrets())
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.setLogRecordFactory(factory)
    for name, number in pinned.items():
        logging.getLogger(name).setLevel(number)


def logged(level: str = "debug", log_format: log.LogFormat = "json") -> io.StringIO:
    stream = io.StringIO()
    configure(level, log_format, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object_with_its_logger_level_and_time() -> None:
    stream = logged()
    get_logger("monitor.thing").info("read", account="main", positions=3, flat=None)
    (line,) = lines(stream)
    assert line.pop("timestamp")
    expected = {
        "event": "read",
        "account": "main",
        "positions": 3,
        "flat": None,
        "level": "info",
        "logger": "monitor.thing",
    }
    assert line == expected


def test_a_moment_is_written_as_the_time_of_the_line_is() -> None:
    stream = logged()
    get_logger("monitor.thing").error("broken", since=datetime(2025, 10, 10, 20, 50, tzinfo=UTC))
    assert lines(stream)[0]["since"] == "2025-10-10T20:50:00+00:00"


def test_the_console_format_is_a_readable_line_without_colours_off_a_terminal() -> None:
    stream = logged(log_format="console")
    get_logger("monitor.thing").info("read", account="main")
    assert "read" in stream.getvalue()
    assert "account=main" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_loggers_of_libraries_pass_through_the_same_chain() -> None:
    stream = logged()
    logging.getLogger("some.library").warning("%s of %d", "one", 2)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("one of 2", "warning", "some.library")


def test_configuring_again_replaces_the_handler_and_keeps_those_of_others() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = logged(), logged("warning")
    get_logger("x").info("quiet")
    get_logger("x").warning("once")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["once"]
    assert other in logging.getLogger().handlers


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure("loud", "json")


@pytest.mark.parametrize(
    "name", [*log.PINNED_LOGGERS, "ccxt.base.exchange", "sqlalchemy.engine", "urllib3.connectionpool"]
)
def test_talkative_libraries_stay_at_warning_whatever_the_level(name: str) -> None:
    stream = logged("debug")
    logging.getLogger(name).info("https://api.telegram.org/bot1:x")
    logging.getLogger(name).warning("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]


def test_a_level_above_warning_holds_for_the_talkative_ones_too() -> None:
    stream = logged("error")
    logging.getLogger("ccxt").warning("too quiet")
    assert stream.getvalue() == ""


def _in_the_event() -> None:
    get_logger("x").info(f"sent {CANARY}")


def _in_a_value() -> None:
    get_logger("x").info("sent", detail=f"key {CANARY}.")


def _in_a_key() -> None:
    get_logger("x").info("sent", **{CANARY: 1})


def _nested() -> None:
    get_logger("x").info("sent", a={"b": [("c", {CANARY: {CANARY}}), f"{CANARY}".encode()]})


def _in_an_object() -> None:
    class Thing:
        def __repr__(self) -> str:
            return f"Thing({CANARY})"

    get_logger("x").info("sent", thing=Thing(), deep=[[[[[[[[[[[[CANARY]]]]]]]]]]]])


def _in_an_exception() -> None:
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise RuntimeError(f"again {CANARY!r}") from error
    except RuntimeError:
        get_logger("x").exception("failed")
        get_logger("x").error("failed", exc_info=True, stack_info=True)


def _as_an_exception_value() -> None:
    get_logger("x").error("failed", error=ValueError(CANARY))


def _by_a_library() -> None:
    logging.getLogger("lib").error("sent %s %r", CANARY, {"k": CANARY})
    logging.getLogger("lib").error("wrong arguments %d", CANARY)


def _by_a_library_with_an_exception() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("lib").exception("failed")


def _by_a_warning() -> None:
    # Not by pytest's own recorder: as a running monitor would see it.
    logging.getLogger("py.warnings").warning(warnings.formatwarning(CANARY, UserWarning, "f.py", 1))


def _by_an_uncaught_exception() -> None:
    error = ValueError(CANARY)
    sys.excepthook(ValueError, error, None)


def _by_an_uncaught_exception_in_a_thread() -> None:
    def fail() -> None:
        raise ValueError(CANARY)

    hook = threading.excepthook
    thread = threading.Thread(target=fail)
    # pytest watches this hook as well; ours is the one under test.
    thread.start()
    thread.join()
    assert threading.excepthook is hook


def _percent_encoded() -> None:
    lower = quote(CANARY, safe="").replace("%2F", "%2f").replace("%C3%A9%5C", "%c3%a9%5c")
    lower = lower.replace("%2B", "%2b").replace("%3D", "%3d")
    get_logger("x").info(f"GET /?a={quote(CANARY, safe='')}&b={quote_plus(CANARY)}&c={lower}")


def _as_base64() -> None:
    encoded = base64.b64encode(CANARY.encode()).decode()
    get_logger("x").info(f"Basic {encoded} {base64.urlsafe_b64encode(CANARY.encode()).decode()}")


def _inside_json() -> None:
    get_logger("x").info(json.dumps({"body": json.dumps([CANARY])}))


WAYS_OUT: list[Callable[[], None]] = [
    _in_the_event,
    _in_a_value,
    _in_a_key,
    _nested,
    _in_an_object,
    _in_an_exception,
    _as_an_exception_value,
    _by_a_library,
    _by_a_library_with_an_exception,
    _by_a_warning,
    _by_an_uncaught_exception,
    _by_an_uncaught_exception_in_a_thread,
    _percent_encoded,
    _as_base64,
    _inside_json,
]


def assert_no_canary(text: str) -> None:
    raw = CANARY.encode()
    forms = (
        CANARY,
        json.dumps(CANARY)[1:-1],
        quote(CANARY, safe=""),
        base64.b64encode(raw).decode().rstrip("="),
        "cnry",
    )
    assert not [form for form in forms if form in text], text


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("way_out", WAYS_OUT)
def test_a_registered_secret_reaches_no_line(way_out: Callable[[], None], log_format: log.LogFormat) -> None:
    register_secret(CANARY)
    stream = logged("debug", log_format)
    way_out()
    assert MASK in stream.getvalue()
    assert_no_canary(stream.getvalue())


@pytest.mark.parametrize("way_out", WAYS_OUT)
def test_nor_the_handler_that_somebody_else_added(way_out: Callable[[], None]) -> None:
    register_secret(CANARY)
    logged()
    stream = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(stream))
    way_out()
    assert stream.getvalue()
    assert_no_canary(stream.getvalue())


def test_every_line_of_a_multi_line_key_is_masked() -> None:
    body = [base64.b64encode(bytes([n] * 30)).decode() for n in range(3)]
    register_secret("\n".join(["-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----"]))
    text = redact(f"in a traceback: {body[1]}, later {body[2]}")
    assert text == f"in a traceback: {MASK}, later {MASK}"


@pytest.mark.parametrize("value", ["", "   ", "abc", " ab "])
def test_a_value_too_short_to_be_told_from_a_word_is_refused(value: str) -> None:
    assert register_secret(value) is False
    assert redact("abc ab   abc") == "abc ab   abc"


def test_a_secret_within_a_secret_leaves_no_rest() -> None:
    register_secret("inner")
    register_secret("inner-and-outer")
    assert redact("<inner-and-outer> <inner>") == f"<{MASK}> <{MASK}>"


def test_the_registry_is_bounded_and_keeps_what_was_named_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_SECRETS", 2)
    for value in ("first-secret", "second-secret", "first-secret", "third-secret"):
        assert register_secret(value)
    assert redact("first-secret third-secret") == f"{MASK} {MASK}"
    assert redact("second-secret") == "second-secret"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "GET /fapi/v2/account?timestamp=1&signature=0a1b2c HTTP",
            f"GET /fapi/v2/account?timestamp=1&signature={MASK} HTTP",
        ),
        ("apiKey=abc&x=1", f"apiKey={MASK}&x=1"),
        ("a?api_key%3Dabc", f"a?api_key%3D{MASK}"),
        ("listenKey=abcd", f"listenKey={MASK}"),
        ('{"apiKey": "abc", "n": 1}', f'{{"apiKey": "{MASK}", "n": 1}}'),
        ("{'secret': 'a b c', 'n': 1}", f"{{'secret': '{MASK}', 'n': 1}}"),
        (r"{\"password\": \"a\"}", rf"{{\"password\": \"{MASK}\"}}"),
        ("{'X-MBX-APIKEY': 'abc'}", f"{{'X-MBX-APIKEY': '{MASK}'}}"),
        ("X-MBX-APIKEY: abc", f"X-MBX-APIKEY: {MASK}"),
        ("OK-ACCESS-SIGN: abc=", f"OK-ACCESS-SIGN: {MASK}"),
        ("Authorization: Bearer abc", f"Authorization: Bearer {MASK}"),
        ("tgram://12:abc/34", f"tgram://{MASK}"),
        ("bad url 'discord://1/abc?x=y'.", f"bad url 'discord://{MASK}'."),
        ("mailtos://u:p@host", f"mailtos://{MASK}"),
        ("https://user:pass@host/path", f"https://{MASK}@host/path"),
        ("https://api.telegram.org/bot123456:AAE-x_y/sendMessage", f"https://api.telegram.org/bot{MASK}/sendMessage"),
        ("token 1234567890:AAEabcdefghijklmnopqrstuvwxyz012345 is", f"token {MASK} is"),
        ("https://discord.com/api/webhooks/12/ab-c_d?wait=1", f"https://discord.com/api/webhooks/{MASK}?wait=1"),
        ("https://hooks.slack.com/services/T0/B0/xyz", f"https://hooks.slack.com/services/{MASK}"),
    ],
)
def test_what_looks_like_a_credential_is_masked_unregistered(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "accounts.main.secret: expected text",
        "config/perpwatch.yaml:12:3: channels.phone.url: nobody can parse it",
        "the API key is not allowed to read (code -2015)",
        "https://fapi.binance.com/fapi/v1/premiumIndex?symbol=BTCUSDT",
        "liquidation at 12:04:55 UTC, mark_price=104,582.41, ratio=82%",
        "sqlite:///state/perpwatch.db",
        "BTC/USDT:USDT long; ETH/USD:ETH short",
        "token bucket: 3 of 5 left, design=ok",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", ["apiKey", "secret", "password", "X-MBX-APIKEY", "token", "signature"])
def test_a_value_is_masked_for_its_name_alone(name: str) -> None:
    stream = logged()
    get_logger("x").info("call", headers={name: "plainword"}, **{name: "plainword"})
    assert "plainword" not in stream.getvalue()


def test_a_very_long_text_is_cut_in_the_middle() -> None:
    stream = logged()
    get_logger("x").info("answer", body="<html>" + "x" * 1_000_000 + "</html>")
    (line,) = lines(stream)
    body = str(line["body"])
    assert len(body) < 2 * log.MAX_TEXT_LENGTH
    assert body.startswith("<html>")
    assert body.endswith("</html>")


def test_a_line_before_configuration_goes_to_no_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    register_secret(CANARY)
    get_logger("x").warning("early", secret_of=CANARY)
    assert capsys.readouterr().out == ""


def test_ctrl_c_is_left_to_python(capsys: pytest.CaptureFixture[str]) -> None:
    stream = logged()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert stream.getvalue() == ""
    assert "KeyboardInterrupt" in capsys.readouterr().err


@given(secret=st.text(min_size=4, max_size=40).filter(lambda s: len(s.strip()) >= 4), before=st.text(max_size=20))
def test_no_secret_survives_rendering_whatever_its_characters(secret: str, before: str) -> None:
    forms = log._forms(secret) if not any(0xD800 <= ord(char) <= 0xDFFF for char in secret) else frozenset()
    secrets = log._Secrets()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "_secrets", secrets)
        register_secret(secret)
        assert secret not in redact(before + secret).replace(MASK, "")
        assert all(form not in redact(f"<{form}>").replace(MASK, "") for form in forms)


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", ["\\" * 50_000, "a-" * 50_000, '"secret": "' * 10_000, "x" * 100_000, "://" * 30_000])
def test_no_text_makes_redaction_slow(text: str) -> None:
    started = time.perf_counter()
    redact(text)
    assert time.perf_counter() - started < 2
