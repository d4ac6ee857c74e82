"""The commands `models …`: list, download, verify, compare, use, remove."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from core import bootstrap, model_services
from core.checkpoints import download as fetching
from core.checkpoints.choice import with_choice
from core.checkpoints.compare import OnCorrections, OnText
from core.checkpoints.installed import find_installed, list_installed
from core.checkpoints.verify import ANSWERS, verify_checkpoint
from core.checkpoints.work import FAILED, RUNNING, Work
from core.cli_input import load_schema
from core.config import Settings
from core.errors import InputError, RexError
from core.services import Application
from core.types import Document

HEADINGS = ("使用中", "名称", "版本", "类别", "参数(M)", "大小(MB)", "哈希", "使用条件", "目录")
KINDS = {"included": "内置", "downloaded": "下载", "tuned": "微调", "other": "目录"}
SHOWN_S, LOOK_S = 2.0, 0.2

Name = Annotated[str, typer.Argument(metavar="NAME", help="检查点的名称、名称@版本或目录，见 models list")]
JsonOption = Annotated[bool, typer.Option("--json", help="以 JSON 输出")]


def show_list(as_json: JsonOption = False) -> None:
    """List the checkpoints on this machine; the one in use is marked."""
    settings = with_choice(Settings())
    there = list_installed(settings)
    if as_json:
        rows = [
            {name: str(value) if isinstance(value, Path) else value for name, value in _fields(one).items()}
            | {"active": one.source == settings.model_source}
            for one in there
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    lines = [HEADINGS]
    for one in there:
        sums = "有" if one.has_sums else "无"
        mark = "→" if one.source == settings.model_source else ""
        size = f"{one.size_bytes / 1e6:.0f}" + ("" if one.complete else "（没有下载完）")
        millions = "" if one.parameters is None else f"{one.parameters / 1e6:.1f}"
        lines.append(
            (mark, one.name, one.revision, KINDS[one.kind], millions, size, sums, one.licence, str(one.directory))
        )
    typer.echo("\n".join("\t".join(line) for line in lines))


def download(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="ModelScope 模型编号，形如 组织/模型名")],
    revision: Annotated[str, typer.Option(help="分支、标签或提交")] = "master",
    discard: Annotated[bool, typer.Option("--discard", help="删除没有下载完的部分")] = False,
) -> None:
    """Fetch a checkpoint from ModelScope; a stopped download goes on where it stopped."""
    settings = Settings()
    if discard:
        fetching.discard(settings, model_id, revision)
        typer.echo("已删除没有下载完的部分", err=True)
        return
    told = 0.0

    def tell(done: float, total: float, name: str) -> None:
        nonlocal told
        if time.monotonic() - told > SHOWN_S:
            told = time.monotonic()
            typer.echo(f"{done / 1e6:,.0f} / {total / 1e6:,.0f} MB  {name}", err=True)

    source = fetching.download(settings, model_id, revision=revision, tell=tell)
    typer.echo(f"已下载 {source}；换用：python -m core models use {source}")


def verify(
    name: Name,
    answers: Annotated[Path, typer.Option(help="官方检查点已公布的答案")] = ANSWERS,
    as_json: JsonOption = False,
) -> None:
    """Check hashes, configuration and weights, and the published answers of the official one; status 1 for a fault."""
    settings = with_choice(Settings())
    checks = verify_checkpoint(settings, find_installed(settings, name), answers=answers)
    if as_json:
        rows = [{"name": one.name, "holds": one.holds, "detail": one.detail} for one in checks]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for one in checks:
            typer.echo(f"{'✓' if one.holds else '✗'} {one.name}{'  ' + one.detail if one.detail else ''}")
    if not all(one.holds for one in checks):
        raise typer.Exit(1)


def compare(
    first: Name,
    second: Annotated[str, typer.Argument(metavar="OTHER", help="另一个检查点")],
    run: Annotated[list[int] | None, typer.Option(help="在这次运行复核过的文档上比较，可重复")] = None,
    text: Annotated[str | None, typer.Option(help="在一段文字上比较")] = None,
    task: Annotated[str, typer.Option(help="--text 的任务")] = "ner",
    schema: Annotated[str | None, typer.Option(help="--text 的模式：JSON、JSON 文件或预设名称")] = None,
    limit: Annotated[int, typer.Option(min=1, help="最多几篇")] = model_services.MOST,
) -> None:
    """Compare two checkpoints on one text or on reviewed documents; JSON."""
    if bool(run) == (text is not None):
        raise InputError("请给出 --run 或 --text 之一")
    with _application() as app:
        if text is not None:
            asked = load_schema(schema)
            body = None if asked is None else asked.to_dict()
            work = model_services.start_compare_text(app, [first, second], Document(text), task=task, schema=body)
        else:
            work = model_services.start_compare_corrections(app, [first, second], run or [], limit=limit)
        found = _result(work)
    typer.echo(json.dumps(_compared(found), ensure_ascii=False, indent=1))


def use(name: Name) -> None:
    """Use a checkpoint from the next start of a desk or command on; the page changes it without a restart."""
    with _application() as app:
        done = model_services.use_checkpoint(app, name)
    typer.echo(f"已选择 {done.source}")
    if done.pinned:
        typer.echo("设置了 REX_MODEL：它优先于这个选择", err=True)
    if done.waiting:
        typer.echo(f"{done.waiting} 个排队的作业是为别的检查点提交的", err=True)


def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="不再询问")] = False) -> None:
    """Delete a downloaded or fine-tuned checkpoint from the disk; never the one in use or the included one."""
    with _application() as app:
        one = model_services.find_checkpoint(app, name)
        if not yes and not typer.confirm(f"从磁盘删除 {one.name}（{one.size_bytes / 1e6:.0f} MB）？不能撤销"):
            raise typer.Exit(1)
        freed = model_services.remove_checkpoint(app, name)
    typer.echo(f"已删除 {one.name}，腾出 {freed / 1e6:.0f} MB")


@contextmanager
def _application() -> Iterator[Application]:
    app = bootstrap.build()
    try:
        yield app
    finally:
        app.close()


def _result(work: Work) -> Any:
    while not work.wait(LOOK_S):
        assert work.state == RUNNING
    if work.state == FAILED:
        raise RexError(work.error)
    return work.result


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _compared(found: OnText | OnCorrections) -> dict[str, Any]:
    sides = [_fields(side) | {"documents_per_s": round(side.documents_per_s, 2)} for side in found.sides]
    if isinstance(found, OnText):
        rows = [
            {"path": [list(link) for link in one.path], "first": one.first, "second": one.second}
            for one in found.findings
        ]
        return {"sides": sides, "findings": rows}
    scores = [
        {
            name: {measure: round(getattr(one, measure), 4) for measure in ("precision", "recall", "f1", "gold")}
            for name, one in {"total": quality.total, **quality.by_type}.items()
        }
        for quality in found.qualities
    ]
    return {"sides": sides, "documents": found.documents, "left_out": found.left_out, "scores": scores}


def add_to(app: typer.Typer, user_errors: Callable[[], Any]) -> None:
    """Hang the commands into the command line; what they raise is told as all other errors are."""
    models = typer.Typer(no_args_is_help=True, help="检查点：列出、下载、检查、比较、换用、删除。")
    commands = {"list": show_list, "download": download, "verify": verify, "compare": compare, "use": use}
    for name, command in (commands | {"remove": remove}).items():
        models.command(name)(user_errors()(command))
    app.add_typer(models, name="models")
