"""Logging: structlog and the standard library's loggers through one chain, and redaction on every way out.

Three nets, each enough alone for what passes through it: values inside an event before it is rendered, every standard
record when it is created (so that a handler somebody else adds gets no secret either), and the finished line in our
own handler. Redact before cutting a text to size: half a secret is not recognised.
"""

import base64
import html
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import quote, quote_plus

import structlog

LogFormat = Literal["json", "console"]

MASK = "[redacted]"
# A shorter value would mask words that are no secret.
MIN_SECRET_LENGTH = 4
# As many as a configuration has values.
MAX_SECRETS = 10_000
# A longer text in a log (a web page for an answer, say) is cut in the middle.
MAX_TEXT_LENGTH = 16_000
_MAX_DEPTH = 8
_MIN_LINE_LENGTH = 16

# At INFO and below they log whole URLs, headers and statements.
PINNED_LOGGERS = (
    "ccxt",
    "apprise",
    "urllib3",
    "requests",
    "aiohttp.access",
    "asyncio",
    "sqlalchemy",
    "alembic",
    "watchfiles",
)

_NAMES = (
    r"signature|api[_-]?key|api[_-]?secret|secret(?:[_-]?key)?|password|passphrase|passwd|private[_-]?key|"
    r"(?:access|auth|bot|refresh)?[_-]?token|listen[_-]?key"
)
# Request headers that carry credentials: X-MBX-APIKEY, OK-ACCESS-SIGN, KC-API-PASSPHRASE, X-BAPI-API-KEY ...
_HEADERS = r"(?:x-)?[a-z]+-(?:[a-z]+-)*(?:api-?key|key|sign|signature|passphrase|token)|authorization|cookie|set-cookie"
_VALUE = r"""[^\s"'&,;<>\\)\]}]+"""
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # A key word in a query string, a form or an assignment.
        (rf"(?<![a-z])((?:{_NAMES})(?:=|%3D))(?:\[redacted\]|{_VALUE})", rf"\1{MASK}"),
        # A member of a JSON object or of a Python dict, its quotes escaped or not.
        (
            rf"""((\\{{0,4}}["'])(?:{_NAMES}|{_HEADERS})\2\s*:\s*b?(\\{{0,4}}["']))(?:(?!\3).)+(\3)""",
            rf"\1{MASK}\4",
        ),
        # A header line.
        (rf"(?<![a-z-])((?:{_HEADERS}):\s*(?:(?:bearer|basic)\s+)?)(?:\[redacted\]|{_VALUE})", rf"\1{MASK}"),
        # Apprise's URLs hold tokens and passwords in every place, whatever the service.
        (
            r"(?<![a-z])(?!(?:https?|wss?|file|sqlite|postgresql)://)([a-z][a-z0-9+.-]{1,30}://)(?:\[redacted\]|[^\s\"'<>\\]+)",
            rf"\1{MASK}",
        ),
        (r"(://)[^\s/@\"'\\]+@", rf"\1{MASK}@"),
        (r"(/bot)\d+(?::|%3A)[\w-]+", rf"\1{MASK}"),
        (r"(?<!\d)\d{6,12}:[\w-]{30,}", MASK),
        (r"(/api/(?:v\d+/)?webhooks/)\d+/[\w-]+", rf"\1{MASK}"),
        (r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]+", rf"\1{MASK}"),
    )
)
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|{_HEADERS})", re.IGNORECASE)


class _Secrets:
    """The registered values, newest last, with the forms they take on their way into a text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: dict[str, frozenset[str]] = {}
        self._ordered: tuple[str, ...] | None = ()

    def add(self, value: str) -> None:
        with self._lock:
            # Seen again is newest again: the bound drops what no configuration has named for longest.
            self._forms[value] = self._forms.pop(value, frozenset()) or _forms(value)
            while len(self._forms) > MAX_SECRETS:
                del self._forms[next(iter(self._forms))]
            self._ordered = None

    @property
    def ordered(self) -> tuple[str, ...]:
        """The longest first, so that a secret within a secret leaves no rest of the outer one."""
        ordered = self._ordered
        if ordered is None:
            # Only now: a configuration registers hundreds at once.
            with self._lock:
                forms = frozenset().union(*self._forms.values())
                ordered = self._ordered = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        return ordered


_secrets = _Secrets()


def register_secret(value: str) -> bool:
    """Mask that value, in every encoding it could appear in, from now on.

    False, and nothing registered, where it is too short to be told from an ordinary word.
    """
    if len(value.strip()) < MIN_SECRET_LENGTH:
        return False
    _secrets.add(value)
    return True


def redact(text: str) -> str:
    """The text without registered secrets and without what looks like a credential."""
    for form in _secrets.ordered:
        if form in text:
            text = text.replace(form, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log.info("what happened", account=name)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(level: str, format: LogFormat, stream: TextIO | None = None) -> None:
    """Send everything to `stream` (stderr by default) from `level` (debug, info, warning, error) on.

    May be called again, on a reload. Uncaught exceptions and warnings go the same way. Raises ValueError for a level
    that does not exist.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"no such log level: {level}")
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.name = _HANDLER
    handler.setFormatter(_formatter(format, is_terminal=out.isatty()))
    root = logging.getLogger()
    for old in [known for known in root.handlers if known.name == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in PINNED_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.setLogRecordFactory(_redacted_record)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


_HANDLER = "perpwatch"


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _escaped_unicode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_repr(text: str) -> str:
    return repr(text)[1:-1]


_ESCAPES = (_escaped, _escaped_unicode, _in_repr)


def _forms(value: str) -> frozenset[str]:
    raw = value.encode()
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    forms = {
        value,
        value.strip(),
        # Escaped once, and once more: a reply quoted in a reply.
        *(escape(value) for escape in _ESCAPES),
        *(escape(_escaped(value)) for escape in _ESCAPES),
        html.escape(value),
        raw.hex(),
        *quoted,
        # Some clients write %2f where others write %2F.
        *(re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in quoted),
        *(encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)),
        # A private key of several lines is often shown line by line.
        *(line for line in map(str.strip, value.splitlines()) if len(line) >= _MIN_LINE_LENGTH),
    }
    return frozenset(form for form in forms if len(form) >= MIN_SECRET_LENGTH)


def _redacted(value: object, depth: int = 0) -> object:
    """The value as plain JSON types without secrets, and of bounded depth and length."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        text = str(value)
        return MASK if redact(text) != text else value
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, bytes):
        return _clean(value.decode(errors="backslashreplace"))
    if isinstance(value, datetime):
        return value.isoformat()
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            return {redact(str(key)): _member(key, member, depth + 1) for key, member in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_redacted(member, depth + 1) for member in value]
    return _clean(str(value) if isinstance(value, BaseException) else repr(value))


def _member(key: object, value: object, depth: int) -> object:
    is_secret = isinstance(value, str | bytes) and isinstance(key, str) and _SECRET_NAME.fullmatch(key) is not None
    return MASK if is_secret and value else _redacted(value, depth)


def _clean(text: str) -> str:
    """Redacted, then short. What is far too long is cut first: that seam is gone with the second cut."""
    return _cut(redact(_cut(text, 8 * MAX_TEXT_LENGTH)), MAX_TEXT_LENGTH)


def _cut(text: str, max_length: int) -> str:
    """Cut in the middle: a text begins with what it is, and a traceback ends with what went wrong."""
    if len(text) <= max_length:
        return text
    half = max_length // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters cut] {text[-half:]}"


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    internal = {key: event.pop(key) for key in ("_record", "_from_structlog") if key in event}
    redacted = {redact(str(key)): _member(key, value, 0) for key, value in event.items()}
    return {**redacted, **internal}


_CHAIN: tuple[Callable[..., Any], ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _redact_event,
)


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _formatter(log_format: LogFormat, *, is_terminal: bool) -> logging.Formatter:
    renderer: Callable[..., Any] = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=structlog.dev.plain_traceback)
    )
    return _RedactingFormatter(
        foreign_pre_chain=list(_CHAIN),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    if not isinstance(record.msg, Mapping):
        # A mapping is an event of structlog, redacted by the chain.
        record.msg, record.args = _clean(_message(record)), None
    if record.exc_info:
        # Formatters print this text where it is set, instead of the exception itself.
        record.exc_text = _clean(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        record.stack_info = _clean(record.stack_info)
    return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # Arguments that do not fit the format are a bug of the caller, and still worth a line.
        return f"{record.msg} {record.args}"


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    get_logger(__name__).critical("uncaught exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else None
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    get_logger(__name__).critical("uncaught exception in a thread", thread_name=name, exc_info=exc_info)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    message = args.err_msg or "exception ignored"
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback) if args.exc_value else None
    get_logger(__name__).error(message, source=repr(args.object), exc_info=exc_info)


# At import, so that a line logged before `configure` is redacted and does not go to stdout.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_CHAIN[:3],
        structlog.stdlib.PositionalArgumentsFormatter(),
        *_CHAIN[3:],
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)
