"""Every service that writes asks for a role, and what a role may not do is refused before anything is done."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core import job_services, model_services, reviews, schema_library, services, tuning_services, user_services
from core.access.principal import ADMIN, ANALYST, LOCAL, ROLES, VIEWER, Principal, bound
from core.config import ROOT
from core.errors import AccessError, BusyError, RexError
from core.exporters import export_run
from core.gpu.monitor import GpuMonitor
from core.guard import rule_of
from core.import_job import ImportOrder, start_import
from core.services import Application
from core.storage.audit_store import AuditFilter, count_entries, entries
from core.storage.database import writing
from core.storage.queries import count_documents
from core.storage.store import Store
from core.types import Document

SERVICES = [
    importlib.import_module(f"core.{path.stem}")
    for path in sorted((ROOT / "core").glob("*.py"))
    if path.stem.endswith("_services") or path.stem in ("services", "reviews", "schema_library", "import_job")
]
# Calls that change something outside the function: in the database, on the device, on the disk.
WRITES = {
    "add_documents", "save_schema", "delete_run", "delete_document", "save_step", "undo_step", "redo_step", "submit",
    "pause", "resume", "cancel", "retry_failed", "record_change", "record_rewriting", "record_undoing", "add_user",
    "change_user", "remove_user", "add_project", "set_members", "close_sessions", "prune", "flush", "unload",
    "change_model", "remember", "unlink", "rmtree", "move", "begin",
}  # fmt: skip
# At the start of the program, for nobody in particular; into a folder that is gone when it returns.
OF_NOBODY = {"tuning_services.take_up", "tuning_services.preview"}
ROWS: dict[str, tuple[Callable[..., Any], str]] = {
    "job.submit": (job_services.submit_job, ANALYST),
    "job.submit stored": (job_services.submit_stored, ANALYST),
    "job.start": (job_services.start_job, ANALYST),
    "job.start stored": (job_services.start_stored, ANALYST),
    "job.overview": (job_services.start_overview, ANALYST),
    "job.pause": (job_services.pause_job, ANALYST),
    "job.resume": (job_services.resume_job, ANALYST),
    "job.cancel": (job_services.cancel_job, ANALYST),
    "job.retry": (job_services.retry_job, ANALYST),
    "job.delete": (job_services.delete_job, ANALYST),
    "document.import": (start_import, ANALYST),
    "document.delete": (services.delete_document, ANALYST),
    "schema.save": (services.save_schema, ANALYST),
    "schema.change": (schema_library.apply, ANALYST),
    "schema.rewrite": (schema_library.rewrite, ANALYST),
    "schema.undo": (schema_library.undo, ANALYST),
    "schema.restore": (schema_library.restore, ANALYST),
    "review.step": (reviews.perform, ANALYST),
    "review.label_everywhere": (reviews.label_everywhere, ANALYST),
    "review.accept_everywhere": (reviews.accept_everywhere, ANALYST),
    "review.undo_everywhere": (reviews.undo_everywhere, ANALYST),
    "run.export": (export_run, VIEWER),
    "model.flush": (services.flush_memory, ADMIN),
    "model.unload": (services.unload_model, ADMIN),
    "model.reload": (services.reload_model, ADMIN),
    "model.use": (model_services.use_checkpoint, ADMIN),
    "model.remove": (model_services.remove_checkpoint, ADMIN),
    "model.download": (model_services.start_download, ADMIN),
    "tuning.start": (tuning_services.start_tuning, ANALYST),
    "tuning.keep": (tuning_services.keep_tuning, ANALYST),
    "user.add": (user_services.add_user, ADMIN),
    "user.reset": (user_services.reset_password, ADMIN),
    "user.role": (user_services.set_role, ADMIN),
    "user.disable": (user_services.disable_user, ADMIN),
    "user.enable": (user_services.enable_user, ADMIN),
    "user.sign_out": (user_services.end_sessions, ADMIN),
    "user.remove": (user_services.remove_user, ADMIN),
    "project.add": (user_services.add_project, ADMIN),
    "project.members": (user_services.set_members, ADMIN),
    "audit.read": (user_services.audit_entries, ADMIN),
    "audit.export": (user_services.export_audit, ADMIN),
    "audit.prune": (user_services.prune_audit, ADMIN),
}


class Anything:
    """Stands for any argument of a service that must not come to use it."""

    def __getattr__(self, name: str) -> Any:
        return 1 if name.endswith("id") else Anything()

    def __format__(self, spec: str) -> str:
        return "?"

    def __int__(self) -> int:
        return 1


@pytest.fixture
def app(database: Engine, settings: Any) -> Iterator[tuple[Application, list[Principal]]]:
    """An application and the list whose last principal acts on it."""
    acts = [LOCAL]
    made = Application(settings, database=database, monitor=GpuMonitor(), identify=lambda: acts[-1])
    yield made, acts
    made.close()


def as_role(role: str, **values: Any) -> Principal:
    return Principal(user_id=7, name="李伟", role=role, address="10.0.0.9", **values)


def called(service: Callable[..., Any], app: Application) -> Any:
    """Call a service with arguments that fit nothing; its first one says who acts."""
    first = {"Application": app, "Store": app.store, "Engine": app.database, "Database": app.database}
    given: dict[str, Any] = {}
    for place, one in enumerate(inspect.signature(service).parameters.values()):
        if place == 0:
            given[one.name] = first[str(one.annotation).rpartition(".")[2]]
        elif one.default is inspect.Parameter.empty:
            given[one.name] = Anything()
    return service(**given)


def test_the_table_of_services_and_roles_is_the_code_s() -> None:
    rules = {name: rule_of(service) for name, (service, _) in ROWS.items()}
    assert {name: rule.role if rule else "" for name, rule in rules.items()} == {
        name: role for name, (_, role) in ROWS.items()
    }
    named = {rule.action for module in SERVICES for _, one in inspect.getmembers(module) if (rule := rule_of(one))}
    assert {rule.action for rule in rules.values() if rule} - {"", "run.export"} <= named


@pytest.mark.parametrize("role", [VIEWER, ANALYST])
def test_what_a_role_may_not_do_is_refused_and_written_down(
    app: tuple[Application, list[Principal]], role: str
) -> None:
    application, acts = app
    acts.append(as_role(role))
    forbidden = {name: one for name, (one, least) in ROWS.items() if ROLES.index(role) < ROLES.index(least)}
    for name, service in forbidden.items():
        with pytest.raises(AccessError, match="需要"):
            called(service, application)
            pytest.fail(f"{name} let a {role} in")
    logged = [rule.action for one in forbidden.values() if (rule := rule_of(one)) and rule.action]
    found = entries(application.own_database, AuditFilter(outcome="denied"), limit=1000)
    assert sorted(one.action for one in found) == sorted(logged)
    assert {(one.user_name, one.address) for one in found} == {("李伟", "10.0.0.9")}


def test_no_service_that_writes_lacks_a_check() -> None:
    bare = []
    for module in SERVICES:
        tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

        def writes(node: ast.FunctionDef, seen: frozenset[str], known: dict[str, ast.FunctionDef]) -> bool:
            for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
                name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                inner = known.get(name) if isinstance(call.func, ast.Name) else None
                if inner is None and name in WRITES:
                    return True
                if inner is not None and name not in seen and writes(inner, seen | {name}, known):
                    return True
            return False

        for name, node in functions.items():
            place = f"{module.__name__.removeprefix('core.')}.{name}"
            public = not name.startswith("_") and place not in OF_NOBODY
            if public and writes(node, frozenset({name}), functions) and rule_of(getattr(module, name)) is None:
                bare.append(place)
    assert not bare, "put @guarded above them (core/guard.py)"


def test_every_transaction_that_writes_begins_where_viewers_are_refused(database: Engine) -> None:
    with pytest.raises(AccessError, match="查看者"):
        writing(bound(database, as_role(VIEWER)))
    with pytest.raises(AccessError):
        Store(bound(database, as_role(VIEWER))).add_documents([Document("张伟在南京。")])
    assert count_documents(database) == 0
    for path in sorted((ROOT / "core").rglob("*.py")):
        source = path.read_text("utf-8")
        if path.name == "database.py" or "sqlalchemy" not in source:
            continue
        assert ".commit()" not in source, f"{path}: a transaction is begun, not committed by hand"
        for line in (one for one in source.splitlines() if ".begin()" in one):
            assert "writing(" in line, f"{path}: {line.strip()}"


def test_what_is_done_is_written_down_without_the_text(
    app: tuple[Application, list[Principal]], database: Engine
) -> None:
    application, acts = app
    acts.append(as_role(ANALYST))
    job = job_services.submit_job(application, [Document("绝密：张伟在南京。")], task="ner", schema={"人物": None})
    job_services.cancel_job(application, job)
    job_services.delete_job(application, job)
    services.save_schema(application, "人物", task="ner", schema={"人物": None})
    with pytest.raises(RexError):
        job_services.cancel_job(application, job)
    found = entries(database)
    assert [(one.action, one.object, one.outcome) for one in reversed(found)] == [
        ("job.submit", f"run {job} ner", "done"),
        ("job.cancel", f"run {job}", "done"),
        ("job.delete", f"run {job}", "done"),
        ("schema.save", "schema 人物", "done"),
        ("job.cancel", f"run {job}", "failed"),
    ]
    assert "绝密" not in repr(found)
    assert count_entries(database, AuditFilter(action="job")) == 4
    assert count_entries(database, AuditFilter(user_name="local")) == 0


def test_a_user_may_ask_only_so_often_and_for_so_many_documents(database: Engine, settings: Any) -> None:
    bounded = settings.model_copy(update={"requests_per_minute": 3, "documents_per_day": 3})
    acts = [as_role(ANALYST)]
    app = Application(bounded, database=database, monitor=GpuMonitor(), identify=lambda: acts[-1])
    try:
        for text in ("一。", "二。"):
            job_services.submit_job(app, [Document(text)], task="ner", schema={"人物": None})
        with pytest.raises(BusyError, match="24 小时内最多分析 3 篇"):
            job_services.submit_job(app, [Document("三。"), Document("四。")], task="ner", schema={"人物": None})
        with pytest.raises(BusyError, match="一分钟内已提交 3 次"):
            job_services.submit_job(app, [Document("五。")], task="ner", schema={"人物": None})
        acts.append(Principal(user_id=8, name="王芳", role=ANALYST))
        job_services.submit_job(app, [Document("六。")], task="ner", schema={"人物": None})
        acts.append(LOCAL)
        for number in range(5):
            job_services.submit_job(app, [Document(f"七 {number}。")], task="ner", schema={"人物": None})
    finally:
        app.close()


def test_a_refused_import_starts_nothing(database: Engine, tmp_path: Path) -> None:
    with pytest.raises(AccessError):
        start_import(Store(bound(database, as_role(VIEWER))), ImportOrder((tmp_path / "x.txt",)))
    (entry,) = entries(database)
    assert (entry.action, entry.outcome) == ("document.import", "denied")
