"""Structured logs on standard error: one line an event, no secret, no forged line."""

import logging
import sys
from collections.abc import MutableMapping
from traceback import extract_tb
from typing import Any

import structlog
from aiohttp.http import HttpProcessingError

from toolkit.redaction import Redactor, printable

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")
_NUMBERS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

Logger = structlog.typing.FilteringBoundLogger


def configure(level: str, style: str) -> Logger:
    """The process's logger. `level` is one of LEVELS, `style` one of FORMATS (as Prometheus's own flags).

    Libraries that log through the standard library are heard from WARNING on: Apprise prints secrets at DEBUG.
    """
    renderer = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _clean,
    ]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_NUMBERS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=processors, processors=[_drop_record, renderer])
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    logger: Logger = structlog.get_logger()
    return logger


_redact = Redactor()


def mask(redactor: Redactor) -> None:
    """From now on log lines pass through `redactor`: it knows the secrets of the configuration in force."""
    global _redact  # noqa: PLW0603 - structlog is configured once a process, before the configuration is read
    _redact = redactor


def _clean(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if not isinstance(value, (int, float, bool, type(None))):
            event[key] = printable(_redact(str(value)))
    return event


def frames(error: BaseException) -> list[str]:
    """Where an error came up, as `file:line function`, the innermost last: its traceback without its message, which may
    hold what somebody has sent."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)]


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether it is no mistake of a client's: aiohttp answers these with 400, and logs each as an error."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _drop_record(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event
