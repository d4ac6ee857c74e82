"""Code that repeats a run is run: in a shell, by the command line's own parser, and as Python."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core import bootstrap, job_services
from core.as_code import Asked, as_commands, as_python
from core.bootstrap import Application
from core.cli import app as commands
from core.config import ROOT, Settings
from core.services import load_run
from core.storage import queries
from core.types import Document, Span

HOSTILE = '姚明\'; echo "$HOME" `id` \\ $(id)\n去了<b>上海</b>！😀 --threshold 0'

COREFERENCE = Document("小王等小李，他来了。", candidates=(Span(0, 2, "小王"),), pronouns=(Span(6, 7, "他"),))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REX_DATA_DIR", str(tmp_path_factory.mktemp("desk")))
        patch.setenv("REX_MODEL", str(ROOT / "tests" / "fixtures" / "tiny"))
        patch.setenv("REX_DEVICE", "cpu")
        app = bootstrap.build(Settings(_env_file=None))
        yield app
        app.close()


def run(app: Application, documents: list[Document], task: str, schema: object = None) -> Asked:
    job = job_services.start_job(app, documents, task=task, schema=schema, threshold=0.4)
    assert job_services.wait_for_jobs(app, [job], 60)
    info = queries.get_run(app.database, job)
    assert info.state == "done"
    return Asked(job, task, info.schema, info.threshold)


def stored(app: Application, asked: Asked) -> list[list[tuple[str, int | None, int | None]]]:
    return [[(one.type, one.start, one.end) for one in result.annotations] for result in load_run(app, asked.run)]


def printed(output: str) -> list[list[tuple[str, int | None, int | None]]]:
    rows = [json.loads(line) for line in output.splitlines()]
    return [[(one["type"], one["start"], one["end"]) for one in row["annotations"]] for row in rows]


def call(line: str, folder: Path) -> str:
    """One command in this process, paths taken from `folder`."""
    python, option, package, *words = shlex.split(line)
    assert (python, option, package) == ("python", "-m", "core")
    words = [str(folder / word) if word.startswith("run-") else word for word in words]
    done = CliRunner().invoke(commands, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_hostile_text_comes_through_a_real_shell(desk: Application) -> None:
    asked = run(desk, [Document(HOSTILE)], "ner", {"人物": None, "地'点\"": None})
    line = as_commands(asked, [Document(HOSTILE)])
    assert line.startswith("python -m core annotate --task ner --schema ")
    program = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\n{line}'
    done = subprocess.run(["sh", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"] == HOSTILE
    assert printed(done.stdout) == stored(desk, asked)


@pytest.mark.parametrize(
    ("task", "document", "schema"),
    [
        ("matching", Document("-1度", text_pair="--text"), None),
        ("atsc", Document("菜很好吃，服务太慢。", aspects=("菜", "-服务")), None),
        ("coref", COREFERENCE, None),
        ("hierarchy", Document("女足夺冠。"), {"体育": {"足球": None}, "财经": {"股票": None}}),
    ],
)
def test_the_command_of_every_shape_of_input_gives_what_the_run_found(
    desk: Application, tmp_path: Path, task: str, document: Document, schema: object
) -> None:
    asked = run(desk, [document], task, schema)
    line = as_commands(asked, [document])
    assert "\n" not in line
    assert printed(call(line, tmp_path)) == stored(desk, asked)


def test_many_documents_and_words_meant_elsewhere_are_taken_from_the_stored_run(
    desk: Application, tmp_path: Path
) -> None:
    second = Document("他说他来了。", candidates=(Span(0, 1, "他"),), pronouns=(Span(2, 3, "他"),))
    for documents, task, schema in (
        ([Document("姚明去上海。", id="a"), Document("李明在北京。", id="b")], "ner", ["人物"]),
        ([second], "coref", None),
    ):
        asked = run(desk, documents, task, schema)
        export, annotate = as_commands(asked, documents).splitlines()
        call(export, tmp_path)
        assert printed(call(annotate, tmp_path)) == stored(desk, asked)


def test_the_script_prints_what_the_run_found(desk: Application, capsys: pytest.CaptureFixture[str]) -> None:
    for documents in ([Document(HOSTILE)], [Document("姚明去上海。"), Document("李明在北京。")]):
        asked = run(desk, documents, "ner", {"人物": None, "地'点\"": None})
        exec(compile(as_python(asked, documents), "script", "exec"), {})
        found = [one for result in load_run(desk, asked.run) for one in result.annotations]
        wanted = "".join(f"{one.type} {one.text} {one.start} {one.end} {round(one.score, 3)}\n" for one in found)
        assert capsys.readouterr().out == wanted


def test_another_checkpoint_is_named() -> None:
    asked = Asked(3, "ner", {"人物": None}, 0.5, model="org/name@v1")
    assert "--model org/name@v1" in as_commands(asked, [Document("姚明")])
    assert "bootstrap.build(Settings().with_model('org/name@v1'))" in as_python(asked, [Document("姚明")])


def test_candidates_are_printed_on_request(desk: Application, tmp_path: Path) -> None:
    line = "python -m core annotate --task ner --schema '[\"人物\"]' --text 姚明去了上海。 --threshold 0.99"
    assert "near" not in json.loads(call(line, tmp_path))
    near = json.loads(call(line + " --candidates", tmp_path))["near"]
    assert all(
        0.05 < one["score"] <= 0.99 and "姚明去了上海。"[one["start"] : one["end"]] == one["text"] for one in near
    )
    assert CliRunner().invoke(commands, [*shlex.split(line)[3:], "--candidates", "--format", "rex"]).exit_code == 2
