"""The one place where services ask who acts: the role is checked, whose run it is, and what was done is written down.

`@guarded(ANALYST, "job.cancel", run="job_id")` above a service is all it needs. Whoever acts is known from the
service's first argument: an Application or Store, or a database engine that `core.access.principal.bound` made.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Engine

from core.access.principal import principal_of, require
from core.errors import AccessError, RexError, StorageError
from core.storage.audit_store import DENIED, DONE, FAILED, record
from core.storage.visibility import check_run, check_tuning

P = ParamSpec("P")
R = TypeVar("R")
RULE = "access_rule"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a service needs: the least role, its name in the audit log (empty: not logged), and what is noted of it."""

    role: str
    action: str
    about: str = ""
    run: str = ""
    tuning: str = ""


def guarded(
    role: str, action: str = "", *, about: str = "", run: str = "", tuning: str = ""
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for services that need at least `role`.

    about: what was done to, a format string over the arguments and `result`. run: the argument, or a field of one,
    that holds the number of a run, which who acts must be allowed to see; it is noted too. tuning: the same of a
    fine-tuning. Raises AccessError, or StorageError as for a run that is not there, before anything is done.
    """
    told = f"run {{{run}}}" if run else f"tuning {{{tuning}}}" if tuning else ""
    rule = Rule(role, action, about or told, run, tuning)

    def wrap(service: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(service)

        @functools.wraps(service)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            engine = database_of(next(iter(given.arguments.values())))
            who = principal_of(engine)
            outcome = FAILED
            values: dict[str, Any] = {"result": "-", **given.arguments}
            try:
                _check(engine, rule, given.arguments)
                values["result"] = result = service(*args, **kwargs)
                outcome = DONE
                return result
            except AccessError:
                outcome = DENIED
                raise
            finally:
                if rule.action:
                    record(engine, who, rule.action, rule.about.format_map(values), outcome)

        setattr(call, RULE, rule)
        return call

    return wrap


def _check(engine: Engine, rule: Rule, given: Mapping[str, Any]) -> None:
    require(principal_of(engine), rule.role)
    for name, check in ((rule.run, check_run), (rule.tuning, check_tuning)):
        if name:
            try:
                check(engine, int(attrgetter(name)(SimpleNamespace(**given))))
            except StorageError as error:
                raise NotVisible(str(error)) from error


class NotVisible(StorageError, AccessError):
    """A run or fine-tuning of somebody else: told as one that is not there, noted as refused."""


def database_of(holder: Any) -> Engine:
    """The database of an Application, a Store, or itself."""
    found = getattr(holder, "database", None) or getattr(holder, "engine", None)
    if not isinstance(found, Engine):
        raise RexError(f"内部错误：{type(holder).__name__} 不带数据库，无法判断权限。")
    return found


def rule_of(service: Callable[..., Any]) -> Rule | None:
    """What a service needs, None when it asks for nothing."""
    found: Rule | None = getattr(service, RULE, None)
    return found
