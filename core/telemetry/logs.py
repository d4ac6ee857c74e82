"""The log: one JSON object a line, with request and job ids, and never with text of documents.

That holds by construction: events of ours may carry only the fields of `FIELDS`; of everything else that is logged, by
libraries, only the unformatted message is written, and of an exception its class and places in the code. The values of
a message, and the message of an exception, may quote what somebody uploaded.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.processors import JSONRenderer, TimeStamper, add_log_level
from structlog.stdlib import ProcessorFormatter

from core.errors import StorageError

FIELDS = frozenset(
    {
        *("request", "jobs", "kind", "urgent", "outcome", "state", "documents", "failed", "seconds", "tokens"),
        *("model", "revision", "device", "dtype", "profile", "version", "address", "port", "pid", "signal"),
        *("user", "role", "action", "object", "count", "error", "where", "reason", "attempt"),
    }
)
"""What an event of ours may carry; ids, numbers and names of our own, no text that somebody typed or uploaded."""

PLACES = 6
"""Innermost places of an exception that are written."""
_NAME = "desk"
_COMMON = {"event", "level", "timestamp", "logger"}

Event = MutableMapping[str, Any]


def start_logging(level: str, file: str = "", *, turn_over_bytes: int = 0, keep_files: int = 5) -> None:
    """Write the log of this process to a file, turned over at a size, or to standard error; again: anew.

    The file can be read by its owner alone. Raises StorageError when it cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file:
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
            handler = RotatingFileHandler(file, maxBytes=turn_over_bytes, backupCount=keep_files, encoding="utf-8")
        except OSError as error:
            raise StorageError(f"无法写日志文件 {file}：{error}。请检查权限或更换 REX_LOG_FILE") from error
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[_without_values],
            processors=[
                add_log_level,
                _only_known,
                ProcessorFormatter.remove_processors_meta,
                TimeStamper(fmt="iso", utc=True),
                JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one.formatter, ProcessorFormatter)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))  # libraries are told from warnings on
    logging.getLogger(_NAME).setLevel(level)


def take_over(prefix: str) -> None:
    """Let the loggers of a library that writes for itself go through this log instead."""
    for name in list(logging.Logger.manager.loggerDict):
        if name == prefix or name.startswith(f"{prefix}."):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True


def logs_info() -> bool:
    """Whether anything is written that is no warning."""
    return logging.getLogger(_NAME).isEnabledFor(logging.INFO)


def log(event: str, *, level: str = "info", **fields: Any) -> None:
    """Write one event with fields of `FIELDS`; others are left out, which the line says."""
    _logger.log(logging.getLevelName(level.upper()), event, **fields)


def log_error(event: str, error: BaseException, **fields: Any) -> None:
    """Write that something failed: the class of the error and where it was raised, not what it says."""
    log(event, level="error", error=type(error).__name__, where=places(error), **fields)


@contextmanager
def told_with(**fields: Any) -> Iterator[None]:
    """Every event of this thread carries these fields meanwhile."""
    with bound_contextvars(**fields):
        yield


def known(field: str) -> Any:
    """What the events of this thread carry in a field, None without."""
    return get_contextvars().get(field)


def places(error: BaseException) -> list[str]:
    """The innermost places in the code that an exception passed, "file:line function", innermost last."""
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    return [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames]


def _without_values(logger: logging.Logger, name: str, event: Event) -> Event:
    """Of a line of somebody else's: who says it, the message without its values, and the exception without its own."""
    del logger, name
    record: logging.LogRecord = event["_record"]
    event["event"] = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    event["logger"] = record.name
    event["level"] = record.levelname.lower()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        event["error"], event["where"] = type(error).__name__, places(error)
    # The formatter would write the traceback, whose last line is the message.
    record.exc_info = record.exc_text = record.stack_info = None
    event.pop("exc_info", None)
    return event


def _only_known(logger: logging.Logger, name: str, event: Event) -> Event:
    del logger, name
    unknown = sorted(key for key in event if key not in FIELDS | _COMMON and not key.startswith("_"))
    for key in unknown:
        del event[key]
    return {**event, "left_out": unknown} if unknown else event


_PROCESSORS: Sequence[Any] = (merge_contextvars, add_log_level, ProcessorFormatter.wrap_for_formatter)
# Its own factory and wrapper: whoever else configures structlog in this process changes nothing here.
_logger = structlog.wrap_logger(
    logging.getLogger(_NAME), processors=_PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
)
