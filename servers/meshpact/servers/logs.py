"""Logs that say which call they belong to: method, caller, trace; messages in them are redacted.

    log = logging.getLogger(__name__)
    log.info("refused %s", request)     # in a handler, or in what it awaits

Processes that `meshpact up` and `meshpact serve` start log this way; others call `configure`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO, cast

from meshpact.interceptors.call import current_call
from meshpact.mesh.printed import printed
from meshpact.servers.redaction import loggable

FORMAT_VARIABLE: Final = "MESHPACT_LOG_FORMAT"
"""The variable of the environment that says `json` or `text` (the default)."""

_FIELDS: Final = ("method", "caller", "trace_id", "span_id")


class CallFilter(logging.Filter):
    """Puts the call that runs into each record (`record.call`: method, caller, trace_id, span_id;
    empty outside of calls), and redacts the messages among its arguments. For handlers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        record.call = _call()
        if not isinstance(record.msg, str) and not record.args:
            record.msg, record.args = "%s", (record.msg,)
        if record.args:
            record.args = cast("Any", loggable(record.args))  # a tuple, or a map for %(name)s
        return True


class TextFormatter(logging.Formatter):
    """One line a record, the call at its end: `... [method=/a.B/C caller=spiffe://... ]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows it."""
        call: dict[str, str] = getattr(record, "call", {})
        words = " ".join(f"{name}={value}" for name, value in call.items())
        line = super().formatMessage(record)
        return printed(f"{line} [{words}]" if words else line)

    def formatException(self, ei: Any) -> str:
        """The traceback, set in: no text in it passes for a line of the log."""
        return _set_in(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """As `formatException`."""
        return _set_in(super().formatStack(stack_info))


class JsonFormatter(logging.Formatter):
    """One object a record: time, level, logger, message, the call's fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        call: dict[str, str] = getattr(record, "call", {})
        found: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **call,
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        text = json.dumps(found, ensure_ascii=False)
        return text if text.isprintable() else json.dumps(found)


def handler(stream: TextIO | None = None, *, style: str = "") -> logging.Handler:
    """A handler that writes to `stream` (default stderr) in `style`, `text` or `json`; by default
    as MESHPACT_LOG_FORMAT says. ValueError for another style.
    """
    style = style or os.environ.get(FORMAT_VARIABLE, "") or "text"
    if style not in {"text", "json"}:
        raise ValueError(f"{FORMAT_VARIABLE}: found {style!r}; allowed: text, json")
    made = logging.StreamHandler(stream or sys.stderr)
    made.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    made.addFilter(CallFilter())
    return made


def configure(level: int = logging.INFO) -> None:
    """Logs to stderr, unless the program has set up its logs already."""
    try:
        logging.basicConfig(level=level, handlers=[handler()])
    except ValueError as error:
        logging.basicConfig(level=level, handlers=[handler(style="text")])
        logging.getLogger(__name__).warning("%s; taking text", error)


def _set_in(text: str) -> str:
    return "    " + printed(text, keep="\n").replace("\n", "\n    ")


def _call() -> dict[str, str]:
    call = current_call.get()
    if call is None:
        return {}
    trace = call.info.trace
    found = (
        call.info.method,
        call.caller.workload,
        "" if trace is None else trace.trace_id,
        "" if trace is None else trace.span_id,
    )
    return {name: value for name, value in zip(_FIELDS, found, strict=True) if value}
