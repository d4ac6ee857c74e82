"""The commands `job …`: submit, list, show, pause, resume, cancel, retry, run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from core import bootstrap, job_services, readers
from core.cli_input import load_schema
from core.config import Settings
from core.errors import FormatError, InputError, SchemaError, StorageError
from core.jobs.runner import release_lost
from core.schemas.schema import Schema, parse_schema
from core.services import FLOOR, Application
from core.storage import job_queries, queries
from core.storage.database import migrate, open_database
from core.storage.job_store import STATES
from core.storage.queries import RunInfo
from core.storage.search import Search
from core.types import Document

HEADINGS = ("编号", "状态", "任务", "进度", "失败", "篇/秒", "剩余秒", "模式", "模型", "开始")
SHOWN_S, LOOK_S = 5.0, 0.5

Number = Annotated[int, typer.Argument(metavar="N", help="作业的编号，见 job list")]
JsonOption = Annotated[bool, typer.Option("--json", help="以 JSON 输出")]
ModelOption = Annotated[str | None, typer.Option("--model", help="检查点目录或 ModelScope 编号；缺省用设置中的模型")]


def submit(
    task: Annotated[str, typer.Option(help="任务：ner re ee absa atsc sentiment classification …")],
    files: Annotated[list[Path] | None, typer.Argument(help="要分析的文件；也可以用已存的文档")] = None,
    text_column: Annotated[str | None, typer.Option(help="文件是表格时的正文列；缺省自动判断")] = None,
    document: Annotated[list[int] | None, typer.Option(help="已存文档的编号，可重复")] = None,
    search: Annotated[str | None, typer.Option(help="已存的文档中含有这些词的")] = None,
    where: Annotated[list[str] | None, typer.Option(help="已存的文档中元数据符合的：列=值，可重复")] = None,
    everything: Annotated[bool, typer.Option("--all", help="全部已存的文档")] = False,
    schema: Annotated[
        str | None, typer.Option(help="模式：JSON、JSON 文件、已保存的名称（名称@版本）或预设名称")
    ] = None,
    model: ModelOption = None,
    threshold: Annotated[float | None, typer.Option(help="最低得分，0 到 1；缺省用设置中的值")] = None,
    candidates: Annotated[bool, typer.Option("--candidates", help="另存低于阈值的候选（低到 0.05）")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="在本进程运行并显示进度；Ctrl-C 暂停，之后可以继续")] = False,
) -> None:
    """Queue one task over files or stored documents; a running desk or `job run` works it off."""
    with _application(model) as app:
        asked, schema_id = _schema(app, schema)
        filters = search is not None or bool(where) or everything
        if (bool(files) + bool(document) + filters) != 1:
            raise InputError("请给出文件、--document 或 --search/--where/--all 之一")
        if text_column is not None and not files:
            raise InputError("--text-column 说明文件的正文列：请同时给出文件")
        if files:
            numbers = _import(app, files, text_column=text_column)
        elif document:
            numbers = document
            for one in numbers:
                queries.get_document(app.database, one)  # a number that is not there is told before anything is queued
        else:
            numbers = job_queries.find_documents(app.database, Search(search or "", _metadata(where or [])))
        floor = FLOOR if candidates else None
        job = job_services.submit_stored(
            app, numbers, task=task, schema=asked, schema_id=schema_id, threshold=threshold, floor=floor
        )
        typer.echo(f"作业 {job} 已排队：{len(numbers)} 个文档")
        if wait:
            _work_off(app, job)


def show_list(
    count: Annotated[int, typer.Option("--count", min=1, help="最多列出几个")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with _database() as database:
        jobs = queries.list_runs(database, limit=count)
    if as_json:
        typer.echo(json.dumps([_dict(job) for job in jobs], ensure_ascii=False, indent=1))
        return
    rows = [HEADINGS, *(_row(job) for job in jobs)]
    typer.echo("\n".join("\t".join(row) for row in rows))


def show(number: Number, as_json: JsonOption = False) -> None:
    """Show one job: progress, provenance, and the documents that failed."""
    with _database() as database:
        job = queries.get_run(database, number)
        failed = job_queries.failed_documents(database, number, limit=job.failed or 1)
        grounds = job_queries.grounds(database, number)
    if as_json:
        more = {"failed_documents": [_failed(one) for one in failed], "read_on": [one._asdict() for one in grounds]}
        typer.echo(json.dumps(_dict(job) | more, ensure_ascii=False, indent=1))
        return
    for name, value in zip(HEADINGS, _row(job), strict=True):
        typer.echo(f"{name}\t{value}")
    typer.echo(f"检查点\t{job.source or '（导入）'}\n版本\t{job.revision}\n阈值\t{job.threshold}")
    typer.echo(f"窗口\t{job.windows}\n结果\t{job.annotations}\n用时\t{job.worked_s:.1f} 秒")
    for one in grounds:
        typer.echo(f"运行于\t{one.device} {one.dtype}：{one.documents} 个文档，{one.duration_s:.1f} 秒")
    typer.echo(f"模式\t{json.dumps(dict(job.schema), ensure_ascii=False)}")
    if job.error:
        typer.echo(f"错误\t{job.error}")
    for failure in failed:
        typer.echo(f"失败\t文档 {failure.document_id}（{failure.external_id or failure.name}）\t{failure.error}")


def pause(number: Number) -> None:
    """Stop a job for now, in whichever process it runs."""
    _move(number, job_services.pause_job, "已暂停")


def resume(number: Number) -> None:
    """Put a paused, failed or cancelled job back into the queue."""
    _move(number, job_services.resume_job, "已回到队列")


def cancel(number: Number) -> None:
    """End a job; what is finished stays."""
    _move(number, job_services.cancel_job, "已取消")


def retry(number: Number) -> None:
    """Queue the failed documents of a job again, alone."""
    _move(number, job_services.retry_job, "的失败文档已回到队列")


def run(
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="只运行这个作业，停着的会继续；缺省运行队列里的全部")
    ] = None,
) -> None:
    """Work off the queue in this process, each job with the model that it asks for; Ctrl-C pauses the job at hand."""
    if number is not None:
        with _database() as database:
            release_lost(database)
            job = queries.get_run(database, number)
        if not job.source:
            raise InputError(f"{number} 是导入的标注，没有可运行的内容")
        with _application(job.source) as app:
            if job.state in ("paused", "failed", "cancelled"):
                job_services.resume_job(app, number)
            _work_off(app, number)
        return
    failed = False
    while source := _next_source():
        with _application(source) as app:
            while waiting := job_queries.queued(app.database, source):
                try:
                    _work_off(app, waiting[0])
                except typer.Exit as end:
                    if end.exit_code != 1:
                        raise
                    failed = True  # the others are not to wait for it
    if failed:
        raise typer.Exit(1)


COMMANDS: dict[str, Callable[..., Any]] = {
    "submit": submit,
    "list": show_list,
    "show": show,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "retry": retry,
    "run": run,
}


def add_to(app: typer.Typer, guard: Callable[[], Any]) -> None:
    """Add the commands to the command line, each inside `guard()`, which tells errors."""
    jobs = typer.Typer(no_args_is_help=True, help="作业：提交、查看、暂停、继续、取消、重试、运行。")
    for name, command in COMMANDS.items():
        jobs.command(name)(guard()(command))
    app.add_typer(jobs, name="job")


@contextmanager
def _application(model: str | None) -> Iterator[Application]:
    settings = Settings()
    app = bootstrap.build(settings.with_model(model) if model else settings)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def _database() -> Iterator[Any]:
    database = open_database(Settings().resolved_database_url)
    try:
        migrate(database)
        yield database
    finally:
        database.dispose()


def _next_source() -> str | None:
    with _database() as database:
        release_lost(database)
        return next(iter(job_queries.sources(database)), None)


def _move(number: int, action: Callable[[Application, int], object], done: str) -> None:
    with _application(None) as app:
        action(app, number)
    typer.echo(f"作业 {number} {done}")


def _import(app: Application, files: list[Path], *, text_column: str | None) -> list[int]:
    """Store the documents of files; a file that cannot be read stops everything, for the job would lack it."""
    numbers: list[int] = []

    def keep(documents: Sequence[Document]) -> None:
        numbers.extend(app.store.add_documents(documents))

    importer = readers.Importer(keep, options=readers.ReadOptions(text_column=text_column))
    for report in importer.paths(files):
        if report.error:
            raise FormatError(report.error)
        for line in (*report.problems, *report.notes):
            typer.echo(f"{report.name}：{line}", err=True)
    return numbers


def _metadata(pairs: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--where {pair} 无法使用：请写成 列=值")
        found.setdefault(key, []).append(value)
    return found


def _schema(app: Application, value: str | None) -> tuple[Schema | None, int | None]:
    """A schema and the stored version that it is; a saved name goes before a preset of the same name."""
    name, at, number = (value or "").rpartition("@")
    name = name if at and number.isdigit() else value or ""
    versions = queries.schema_versions(app.database, name)
    if not versions:
        return load_schema(value), None
    if name == value:
        return parse_schema(dict(versions[0].body)), versions[0].id
    for one in versions:
        if one.version == int(number):
            return parse_schema(dict(one.body)), one.id
    raise SchemaError(f"模式“{name}”没有第 {number} 版；现有第 {'、'.join(str(one.version) for one in versions)} 版")


def _work_off(app: Application, number: int) -> None:
    """Work on a job here, or watch it where it runs; leaves with status 1 when something failed, 130 on Ctrl-C."""
    try:
        app.runner.take([number])
        _follow(app, number)
    except KeyboardInterrupt:
        here = app.runner.holds(number)
        if here:
            try:
                job_services.pause_job(app, number)
            except StorageError:  # it ended in the same moment
                here = False
        hint = f"已暂停。继续：python -m core job run {number}" if here else "不再显示进度，作业不受影响"
        typer.echo(f"\n作业 {number} {hint}", err=True)
        raise typer.Exit(130) from None
    job = queries.get_run(app.database, number)
    if job.error:
        typer.echo(f"错误：{job.error}", err=True)
    if job.failed:
        typer.echo(f"{job.failed} 个文档失败，原因见 job show {number}；重试：job retry {number}", err=True)
    if job.state != "done" or job.failed:
        raise typer.Exit(1)


def _follow(app: Application, number: int) -> None:
    """Show the progress of a job until it neither waits nor runs: on one line of a terminal, else now and then."""
    alive, shown = sys.stderr.isatty(), 0.0
    while True:
        ended = job_services.wait_for_jobs(app, [number], LOOK_S)
        job = queries.get_run(app.database, number)
        if alive:
            typer.echo(f"\r\x1b[K{_line(job)}", err=True, nl=ended)
        elif ended or time.monotonic() - shown > SHOWN_S:
            shown = time.monotonic()
            typer.echo(_line(job), err=True)
        if ended:
            return


def _line(job: RunInfo) -> str:
    share = job.done / job.total if job.total else 1.0
    parts = [f"作业 {job.id} {STATES[job.state]}", f"{job.done}/{job.total}（{share:.0%}）"]
    if job.failed:
        parts.append(f"失败 {job.failed}")
    if job.per_s is not None:
        parts.append(f"{job.per_s:.1f} 篇/秒")
    if job.active and job.left_s is not None:
        parts.append(f"约剩 {job.left_s:.0f} 秒")
    return "  ".join(parts)


def _row(job: RunInfo) -> tuple[str, ...]:
    left = f"{job.left_s:.0f}" if job.active and job.left_s is not None else ""
    return (
        str(job.id),
        STATES[job.state],
        job.task,
        f"{job.done}/{job.total}",
        str(job.failed),
        "" if job.per_s is None else f"{job.per_s:.1f}",
        left,
        f"{job.schema_name} v{job.schema_version}" if job.schema_name else "",
        job.model or job.source.rpartition("/")[2],
        f"{job.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
    )


def _dict(job: RunInfo) -> dict[str, Any]:
    names = RunInfo.__dataclass_fields__
    plain = {name: getattr(job, name) for name in names} | {"per_s": job.per_s, "left_s": job.left_s}
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else dict(value) if name == "schema" else value
        for name, value in plain.items()
    }


def _failed(one: job_queries.FailedDocument) -> dict[str, Any]:
    return {"document_id": one.document_id, "id": one.external_id, "name": one.name, "error": one.error}
