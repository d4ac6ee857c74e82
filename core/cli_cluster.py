"""The commands beyond one process: batch, serve."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli_input import load_schema
from core.config import Settings
from core.errors import Cancelled

if TYPE_CHECKING:
    from core.cluster.batch import Progress

INPUT = "文件夹、文件或带通配符的路径（*.jsonl、*.parquet），也可以是 s3://桶/目录"
RAY = "在 Ray 集群上处理：local、auto 或 主机:端口；缺省在本进程处理"
ACTORS = "同时处理的进程数，每张卡一个；0：自动；只与 --ray 一起使用"
SHOWN_S = 5.0


def batch(
    input: Annotated[str, typer.Option("--input", help=INPUT)],
    output: Annotated[Path, typer.Option("--output", help="结果文件夹；已开始过的会接着做")],
    task: Annotated[str, typer.Option("--task", help="任务：ner re ee absa atsc sentiment classification …")],
    schema: Annotated[str | None, typer.Option("--schema", help="模式：JSON、JSON 文件或预设名称")] = None,
    text_column: Annotated[str, typer.Option("--text-column", help="正文的列或键；缺省按名称判断")] = "",
    id_column: Annotated[str, typer.Option("--id-column", help="编号的列或键；缺省用 id，没有则用 文件#行")] = "",
    form: Annotated[str, typer.Option("--format", help="结果文件：jsonl 或 parquet")] = "jsonl",
    model: Annotated[str | None, typer.Option("--model", help="检查点目录或 ModelScope 编号；缺省用设置中的")] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", help="最低得分，0 到 1；缺省用设置中的")] = None,
    ray: Annotated[str | None, typer.Option("--ray", help=RAY)] = None,
    actors: Annotated[int, typer.Option("--actors", min=0, help=ACTORS)] = 0,
    part_documents: Annotated[
        int, typer.Option("--part-documents", min=1, help="一个结果文件的文档数；中断后以它为单位重做")
    ] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="结束时以 JSON 输出总数")] = False,
) -> None:
    """Annotate a set of files into a folder, each row exactly once; the same command goes on after a kill."""
    from core.cluster.batch import Batch, run_batch  # slow to import, needed only here
    from core.cluster.rows import Asked

    settings = Settings()
    settings = settings.model_copy(update={"model": model}) if model else settings
    if actors and ray is None:
        raise typer.BadParameter("--actors 与 --ray 一起使用")
    read = load_schema(schema)
    asked = Asked(task, None if read is None else read.to_dict(), text_column, id_column)
    place = input if "://" in input else str(Path(input).expanduser().absolute())
    asking = Batch(place, output, asked, settings.threshold if threshold is None else threshold, form, part_documents)
    work = None
    if ray is not None:
        from core.cluster.ray_batch import on_ray

        work = on_ray(ray, actors=actors)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        ended = run_batch(asking, settings, work=work, cancelled=stop.is_set, tell=_teller())
    except (Cancelled, SystemExit):
        typer.echo("已停止；运行同一条命令即可继续", err=True)
        raise typer.Exit(130) from None
    if ended.failed:
        typer.echo(f"{ended.failed} 行未能处理，原因见结果中的 error", err=True)
    for loss in ended.losses:
        typer.echo(f"{loss}。", err=True)
    if as_json:
        typer.echo(json.dumps(asdict(ended), ensure_ascii=False, indent=1))
    if ended.failed:
        raise typer.Exit(1)


def serve(
    host: Annotated[
        str, typer.Option("--address", help="监听地址；不是本机地址时要求令牌，没有设置就生成一个")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="监听端口")] = 8600,
    ray: Annotated[str | None, typer.Option("--ray", help=RAY)] = None,
    actors: Annotated[int, typer.Option("--actors", min=0, help=ACTORS)] = 0,
    model: Annotated[str | None, typer.Option("--model", help="检查点目录或 ModelScope 编号；缺省用设置中的")] = None,
    max_megabytes: Annotated[int, typer.Option("--max-megabytes", min=1, help="一次请求最多多少 MB")] = 16,
) -> None:
    """Answer over HTTP with an engine here, or one on each card of a Ray cluster; a desk can use it as its own."""
    from core.cluster.http import Bounds  # slow to import, needed only here
    from core.cluster.serve import find_token, serve_here

    if actors and ray is None:
        raise typer.BadParameter("--actors 与 --ray 一起使用")
    settings = Settings().model_copy(update={"engine_url": ""})
    settings = settings.model_copy(update={"model": model}) if model else settings
    token, path = find_token(settings, host)
    bounds = Bounds(body_bytes=max_megabytes * 2**20)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"http://{shown}:{port}", err=True)
    typer.echo("令牌：不需要，只有本机可以访问" if not token else f"令牌：{path or 'REX_ENGINE_TOKEN'}", err=True)
    if ray is None:
        serve_here(settings, host=host, port=port, token=token, bounds=bounds)
    else:
        from core.cluster.ray_serve import serve_on_ray

        serve_on_ray(settings, ray, host=host, port=port, token=token, bounds=bounds, actors=actors)


def _teller() -> Callable[[Progress], None]:
    """Shows the progress: on one line of a terminal, else now and then."""
    alive, shown, state = sys.stderr.isatty(), 0.0, ""

    def tell(progress: Progress) -> None:
        nonlocal shown, state
        ended = progress.state != "running"
        if alive:
            typer.echo(f"\r\x1b[K{line(progress)}", err=True, nl=ended)
        elif ended or state != progress.state or time.monotonic() - shown > SHOWN_S:
            shown = time.monotonic()
            typer.echo(line(progress), err=True)
        state = progress.state

    return tell


def line(progress: Progress) -> str:
    """How far a batch is, in one line."""
    share = progress.done / progress.rows if progress.rows else 1.0
    parts = [f"{progress.done}/{progress.rows} 行（{share:.0%}）", f"{progress.parts_done}/{progress.parts} 个文件"]
    if progress.resumed:
        parts.append(f"此前已完成 {progress.resumed}")
    if progress.failed:
        parts.append(f"失败 {progress.failed}")
    if progress.per_s:
        parts.append(f"{progress.per_s:.1f} 行/秒")
    if progress.left_s is not None:
        parts.append(f"约剩 {progress.left_s:.0f} 秒")
    return "  ".join(parts)


COMMANDS: dict[str, Callable[..., Any]] = {"batch": batch, "serve": serve}
