"""The command line: annotate, evaluate, calibrate, train, benchmark, verify."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from core import cli_cluster, cli_storage
from core.checkpoints.choice import with_choice
from core.cli_access import add_to as add_access_to
from core.cli_data import COMMANDS
from core.cli_input import load_schema, mark, read_input, to_items
from core.cli_job import add_to as add_jobs_to
from core.cli_models import add_to as add_models_to
from core.cli_schema import add_to as add_schemas_to
from core.config import ROOT, Settings
from core.errors import FormatError, InputError, RexError
from core.evaluation import suite_report
from core.evaluation.evaluate import Evaluation
from core.evaluation.evaluate import evaluate as run_evaluation
from core.evaluation.known_answers import verify as run_verification
from core.evaluation.suite_run import Report, evaluate_suite
from core.evaluation.temperatures import Calibration, development_files, write_temperatures
from core.evaluation.temperatures import calibrate as run_calibration
from core.exporters.native import near_to_list, to_dict
from core.exporters.rex import to_rex
from core.inference.assembly import load_engine
from core.inference.engine import Engine
from core.schemas.schema import Schema
from core.services import FLOOR
from core.types import AnnotatedDocument, Document

app = typer.Typer(no_args_is_help=True, add_completion=False, help="RexUniNLU：用模式读中文文本。")

DATASETS = ROOT / "data" / "datasets"
"""Where the suite looks for its records when nothing is said; the sets are published elsewhere."""


class Form(StrEnum):
    """Output forms of `annotate`."""

    native = "native"
    rex = "rex"


INPUT = "输入文件：.jsonl 每行一个对象，.txt 每行一个文档；csv、tsv、xlsx、docx、pdf、zip 等与导入时一样读取"
CANDIDATES = "另列出低于阈值的候选（near，低到 0.05），用来看为什么没有结果；只用于 native"
ModelOption = Annotated[str | None, typer.Option("--model", help="检查点目录或 ModelScope 编号；缺省用内置模型")]
ThresholdOption = Annotated[
    float | None, typer.Option("--threshold", help="最低得分，0 到 1；缺省 0.5，即参考实现的判定")
]
JsonOption = Annotated[bool, typer.Option("--json", help="以 JSON 输出")]


@contextmanager
def _user_errors() -> Iterator[None]:
    """Print the product's own errors as one message and leave with status 1."""
    try:
        yield
    except RexError as error:
        message = str(error)
    except ValidationError as error:
        faults = [" ".join([*(f"REX_{str(part).upper()}" for part in e["loc"]), e["msg"]]) for e in error.errors()]
        message = "设置无效：" + "；".join(faults)
    else:
        return
    typer.echo(f"错误：{message}", err=True)
    raise typer.Exit(1)


def _engine(model: str | None) -> Engine:
    settings = Settings()
    return load_engine(settings.with_model(model) if model else with_choice(settings))


@app.command()
def annotate(
    task: Annotated[str | None, typer.Option(help="任务：ner re ee absa atsc sentiment classification …")] = None,
    schema: Annotated[str | None, typer.Option(help="模式：JSON、JSON 文件或预设名称")] = None,
    text: Annotated[str | None, typer.Option(help="要分析的正文")] = None,
    text_pair: Annotated[str | None, typer.Option(help="第二段文字（匹配、推理）")] = None,
    aspect: Annotated[list[str] | None, typer.Option(help="给定的属性（属性情感），可重复")] = None,
    candidate: Annotated[list[str] | None, typer.Option(help="候选词（指代消解），可重复")] = None,
    pronoun: Annotated[list[str] | None, typer.Option(help="代词（指代消解），可重复")] = None,
    input: Annotated[Path | None, typer.Option(help=INPUT)] = None,
    text_column: Annotated[str | None, typer.Option(help="表格的正文列；缺省自动判断")] = None,
    output: Annotated[Path | None, typer.Option(help="输出文件；缺省写到标准输出")] = None,
    format: Annotated[Form, typer.Option(help="native：每个文档一个对象；rex：参考实现的答案")] = Form.native,
    model: ModelOption = None,
    threshold: ThresholdOption = None,
    candidates: Annotated[bool, typer.Option("--candidates", help=CANDIDATES)] = False,
) -> None:
    """Annotate a text or a file and write one JSON object a line, in input order."""
    with _user_errors():
        if (text is None) == (input is None):
            raise typer.BadParameter("请给出 --text 或 --input 之一")
        if text_column is not None and input is None:
            raise typer.BadParameter("--text-column 与 --input 一起使用")
        if candidates and format is not Form.native:
            raise typer.BadParameter("--candidates 只用于 --format native")
        if text is not None:
            document = Document(
                text,
                text_pair=text_pair,
                aspects=tuple(aspect or ()),
                candidates=mark(text, candidate or [], "候选词"),
                pronouns=mark(text, pronoun or [], "代词"),
            )
            rows: list[tuple[Document, Schema | None]] = [(document, None)]
        else:
            assert input is not None
            rows = read_input(input, text_column=text_column, say=lambda line: typer.echo(line, err=True))
        items = to_items(rows, task_name=task, schema=load_schema(schema), reference=format is Form.rex)
        engine = _engine(model)
        failed = 0
        with _target(output) as write:
            floor = FLOOR if candidates else None
            for result in _in_order(engine.annotate(items, threshold=threshold, floor=floor)):
                failed += bool(result.error)
                write(_line(result, format) if floor is None else _line_with_near(result))
    if failed:
        typer.echo(f"{failed} 个文档未能处理，原因见各行的 error", err=True)
        raise typer.Exit(1)


def _line_with_near(result: AnnotatedDocument) -> str:
    return json.dumps(json.loads(_line(result, Form.native)) | {"near": near_to_list(result)}, ensure_ascii=False)


def _line(result: AnnotatedDocument, form: Form) -> str:
    row = to_dict(result) if form is Form.native else to_rex(result)
    return json.dumps(row | ({"error": result.error} if result.error else {}), ensure_ascii=False)


def _in_order(results: Iterator[tuple[int, AnnotatedDocument]]) -> Iterator[AnnotatedDocument]:
    """Results in the order of the input, each as soon as all before it are there."""
    waiting: dict[int, AnnotatedDocument] = {}
    following = 0
    for index, result in results:
        waiting[index] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


@contextmanager
def _target(path: Path | None) -> Iterator:
    """A function that writes a line to the file or to standard output."""
    if path is None:
        yield lambda line: typer.echo(line)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda line: file.write(line + "\n")


@app.command()
def evaluate(
    file: Annotated[Path | None, typer.Argument(help="JSON 行：text、info_list、schema；与 --suite 二选一")] = None,
    model: ModelOption = None,
    threshold: ThresholdOption = None,
    suite: Annotated[str | None, typer.Option(help="固定的评测集：dev")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="--suite 的数据：转换好的数据集（<数据集>.dev.jsonl），或公开数据集的目录；缺省 data/datasets"
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="每个数据集、每个任务最多几条；缺省全部")] = None,
    only: Annotated[list[str] | None, typer.Option(help="只评这些任务或数据集，可重复，也可用逗号分开")] = None,
    zero_shot: Annotated[list[str] | None, typer.Option(help="标明训练时没有用过的任务或数据集，可重复")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="同时评其他工具（见 requirements-eval.txt）")] = False,
    out: Annotated[Path | None, typer.Option(help="把全部结果写成 JSON；每评完一个数据集就更新")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a model on JSON lines, or with --suite on the fixed development records of every set, as one table."""
    with _user_errors():
        if (file is None) == (suite is None):
            raise InputError("请给出要评的文件或 --suite 之一")
        if file is not None:
            _refuse(data=data, rows=rows, only=only, zero_shot=zero_shot, peers=peers, out=out)
            result = run_evaluation(_engine(model), file, threshold=threshold)
            typer.echo(json.dumps(result.to_dict(), ensure_ascii=False, indent=1) if as_json else _table(result))
            return
        assert suite is not None
        data = data or DATASETS
        if not data.is_dir():
            raise InputError(
                f"没有评测数据：目录 {data} 不存在。请用 --data 指出转换好的数据集"
                "（python -m core.training.converters.registry 的输出）或公开数据集的目录"
            )
        report = evaluate_suite(
            _engine(model),
            data,
            suite=suite,
            only=_names(only),
            rows=rows,
            with_peers=peers,
            zero_shot=_names(zero_shot),
            threshold=threshold,
            command=shlex.join(["python", "-m", "core", *sys.argv[1:]]),
            progress=lambda line: typer.echo(line, err=True),
            keep=lambda report: _keep(report, out),
        )
    whole = suite_report.to_dict(report)
    typer.echo(json.dumps(whole, ensure_ascii=False, indent=1) if as_json else suite_report.table(report))


def _refuse(**options: object) -> None:
    """Raise InputError for options that only a suite has."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise InputError(f"{'、'.join(given)} 只与 --suite 一起使用")


def _names(values: list[str] | None) -> list[str]:
    return [name.strip() for value in values or () for name in value.split(",") if name.strip()]


def _keep(report: Report, out: Path | None) -> None:
    """Write the report so far; a reader never sees a file half written."""
    if out is None:
        return
    part = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(suite_report.to_dict(report), ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(out)
    except OSError as error:
        raise FormatError(f"无法写入 {out}：{error}。请换一个 --out") from error


def _table(result: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("任务", "文档", "精确率", "召回率", "F1", "全对率")]
    for name, one in [*result.by_task.items(), ("合计", result.scores)]:
        numbers = (one.precision, one.recall, one.f1, one.accuracy)
        rows.append((name, str(one.documents), *(f"{number:.3f}" for number in numbers)))
    lines = ["\t".join(row) for row in rows]
    return "\n".join([*lines, f"{result.model}：{result.documents_per_s:.1f} 文档/秒"])


@app.command()
def calibrate(
    path: Annotated[Path, typer.Argument(help="开发集：JSON 行文件，或含 *.dev.jsonl 的文件夹；不能用训练过的记录")],
    model: ModelOption = None,
    out: Annotated[Path | None, typer.Option(help="写到这个文件；缺省改写检查点的 config.json")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a temperature for each task on half of the records and keep those that help on the other half."""
    with _user_errors():
        engine = _engine(model)
        result = run_calibration(engine, development_files(path))
        shown = json.dumps(result.to_dict(), ensure_ascii=False, indent=1) if as_json else _calibration_table(result)
        typer.echo(shown)  # before writing, which may be refused after a long run
        for reason, count in result.left_out.items():
            typer.echo(f"{count} 条记录没有使用：{reason}", err=True)
        target = out or engine.checkpoint.directory / "config.json"
        write_temperatures(result, engine.checkpoint.directory, target=target)
        typer.echo(f"已写入 {target}（温度 {len(result.temperatures)} 个）", err=True)


def _calibration_table(result: Calibration) -> str:
    rows: list[tuple[str, ...]] = [("任务", "记录", "拟合答案", "检验答案", "温度", "ECE 前", "ECE 后", "采用")]
    for one in result.families:
        found = one.judgement
        counts = (one.records, found.fitted_on, found.judged_on)
        numbers = (found.temperature, found.before, found.after)
        rows.append((one.name, *map(str, counts), *(f"{x:.3f}" for x in numbers), "是" if one.kept else "否"))
    return "\n".join("\t".join(row) for row in rows)


PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
train = typer.Typer(no_args_is_help=True, help="训练：pretrain 预训练，finetune 多任务训练或用自己的数据继续训练。")
app.add_typer(train, name="train")


@train.command(context_settings=PASS_ON)
def finetune(context: typer.Context) -> None:
    """Fine-tune a checkpoint on RexUniNLU JSON lines; `--help` lists the options."""
    from core.training.finetune import main  # slow to import, needed only here

    with _user_errors():
        typer.echo(main(context.args))


@train.command(context_settings=PASS_ON)
def pretrain(context: typer.Context) -> None:
    """Pre-train an encoder on token streams; `--help` lists the options."""
    from core.training.pretrain import main

    with _user_errors():
        main(context.args)


@app.command(context_settings=PASS_ON)
def benchmark(context: typer.Context) -> None:
    """Measure speed, memory and steadiness of the engine; `--help` lists the options."""
    from core.benchmark.command import main

    with _user_errors():
        main(context.args)


for _name, _command in (COMMANDS | cli_storage.COMMANDS | cli_cluster.COMMANDS).items():
    app.command(_name)(_user_errors()(_command))
add_jobs_to(app, _user_errors)
add_schemas_to(app, _user_errors)
add_access_to(app, _user_errors)
add_models_to(app, _user_errors)


@app.command()
def verify(
    model: ModelOption = None,
    answers: Annotated[Path, typer.Option(help="已公布的答案")] = ROOT / "data" / "known_answers.json",
    as_json: JsonOption = False,
) -> None:
    """Compare a checkpoint with published answers of the official one; status 1 when one does not hold."""
    with _user_errors():
        checks = run_verification(_engine(model), answers)
    if as_json:
        rows = [{"name": c.name, "holds": c.holds, "detail": c.detail} for c in checks]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for check in checks:
            typer.echo(f"{'✓' if check.holds else '✗'} {check.name}{'  ' + check.detail if check.detail else ''}")
    sys.exit(0 if all(check.holds for check in checks) else 1)
