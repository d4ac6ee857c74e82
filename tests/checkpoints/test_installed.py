"""Which checkpoints are there, whether they are whole, which one answers, and what is compared."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from core import job_services, model_services, services
from core.checkpoints import choice, files
from core.checkpoints.installed import INCLUDED, OTHER, list_installed
from core.config import EMBEDDED_MODEL, Settings
from core.errors import BusyError, Cancelled, CheckpointError, InputError
from core.evaluation.known_answers import Check
from core.services import Application
from core.storage import queries
from core.training.heldout import normalised_sha1
from core.types import Document

PEOPLE = {"人物": None}
WAIT_S = 60


def second(app: Application) -> str:
    return str((app.settings.data_dir / "models" / "second").resolve())


def test_the_list_holds_the_included_one_and_those_of_the_data_directory(app: Application) -> None:
    found = {one.name: one for one in list_installed(app.settings)}
    included, tiny = found["rex-mini-zh"], found["first"]
    assert (included.kind, tiny.kind, tiny.revision) == (INCLUDED, OTHER, "local")
    assert included.parameters == 27_147_840 and included.has_sums and "research" in included.licence
    assert tiny.parameters == services.reload_model(app).parameters and tiny.size_bytes > 1e6
    assert app.settings.model_source == tiny.source
    with pytest.raises(CheckpointError, match="没有安装.*rex-mini-zh"):
        model_services.find_checkpoint(app, "../etc")


def test_only_what_the_desk_made_can_be_removed_and_never_the_one_in_use(app: Application) -> None:
    for name, reason in (("first", "正在使用"), ("rex-mini-zh", "不能在这里删除"), ("second", "不能在这里删除")):
        with pytest.raises(CheckpointError, match=reason):
            model_services.remove_checkpoint(app, name)
    folder = app.settings.data_dir / "models" / "second"
    files.write_origin(folder, kind="tuned", base="first")
    assert model_services.remove_checkpoint(app, "second") > 1e6
    assert not folder.exists() and EMBEDDED_MODEL.is_dir()


def test_a_change_of_checkpoint_is_remembered_and_a_setting_goes_before_it(app: Application, tmp_path: Path) -> None:
    done = model_services.use_checkpoint(app, "second")
    assert (done.source, done.pinned, app.settings.model_source) == (second(app), False, second(app))
    assert choice.with_choice(Settings(_env_file=None, data_dir=tmp_path)).model_source == second(app)
    pinned = Settings(_env_file=None, data_dir=tmp_path, model=str(EMBEDDED_MODEL))
    assert choice.with_choice(pinned).model == str(EMBEDDED_MODEL)
    choice.remember(app.settings, str(tmp_path / "gone"))
    assert choice.with_choice(Settings(_env_file=None, data_dir=tmp_path)).model == str(EMBEDDED_MODEL)


def test_the_other_checkpoint_answers_at_once_and_a_damaged_one_changes_nothing(app: Application) -> None:
    assert services.reload_model(app).name == "first"
    model_services.use_checkpoint(app, "second")
    status = services.model_status(app)
    assert status.loaded and status.name == "second"
    weights = app.settings.data_dir / "models" / "first" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100_000])
    with pytest.raises(CheckpointError, match="损坏"):
        model_services.use_checkpoint(app, "first")
    assert app.settings.model_source == second(app) and app.runner.source == second(app)
    assert services.annotate(app, [Document("张三在北京。")], task="ner", schema=PEOPLE)[0].error == ""
    assert services.model_status(app).name == "second" and choice.remembered(app.settings) == second(app)


def test_a_job_waits_for_the_checkpoint_that_it_was_submitted_for(app: Application) -> None:
    documents = [Document(f"{n}。陈静昨天在杭州见了李娜。") for n in range(1500)]
    job = job_services.start_job(app, documents, task="ner", schema=PEOPLE)
    before = app.settings.model_source
    while not queries.get_run(app.database, job).done:
        threading.Event().wait(0.01)
    done = model_services.use_checkpoint(app, "second")
    assert done.waiting == 1
    while app.runner.holds(job):
        threading.Event().wait(0.01)
    stopped = queries.get_run(app.database, job)
    assert (stopped.state, stopped.source, stopped.model) == ("queued", before, "first")
    later = job_services.start_job(app, documents[:20], task="ner", schema=PEOPLE)
    assert job_services.wait_for_jobs(app, [later], WAIT_S)
    assert queries.get_run(app.database, later).model == "second"
    assert queries.get_run(app.database, job).done == stopped.done < 1500
    model_services.use_checkpoint(app, "first")
    assert job_services.wait_for_jobs(app, [job], WAIT_S)
    ended = queries.get_run(app.database, job)
    assert (ended.state, ended.done, ended.failed, ended.model) == ("done", 1500, 0, "first")


def test_requests_on_the_way_are_answered_while_the_checkpoint_changes(app: Application) -> None:
    services.reload_model(app)
    answers: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            (result,) = services.annotate(app, [Document("李四去了上海。" * 20)], task="ner", schema=PEOPLE)
            answers.append(result.error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for name in ("second", "first", "second"):
        model_services.use_checkpoint(app, name)
    stop.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) >= 3 and not any(answers)


def checks(app: Application, name: str) -> list[Check]:
    work = model_services.start_verify(app, name)
    assert work.wait(WAIT_S) and work.state == "done", work.error
    return list(work.result)


def test_verification_names_what_is_wrong(app: Application) -> None:
    folder = app.settings.data_dir / "models" / "second"
    assert [one.holds for one in checks(app, "second")] == [True] * 3
    files.write_sums(folder, {"vocab.txt": files.file_sha256(folder / "vocab.txt"), "../first/config.json": "0" * 64})
    (folder / "vocab.txt").write_text("坏", "utf-8")
    broken = checks(app, "second")[0]
    assert not broken.holds and "vocab.txt：内容" in broken.detail and "不在检查点目录" in broken.detail
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 65}))
    weights = checks(app, "second")[-1]
    assert (weights.name, weights.holds) == ("权重", False) and "应为" in weights.detail


def test_two_checkpoints_answer_one_text_and_the_corrected_documents(app: Application, reviewed: object) -> None:
    run = reviewed(24)  # type: ignore[operator]
    files.write_origin(
        app.settings.data_dir / "models" / "second",
        trained=[normalised_sha1("0号张三昨天去了北京。"), normalised_sha1("1号李四昨天去了上海。")],
    )
    with pytest.raises(InputError, match="同一个检查点"):
        model_services.start_compare_text(app, ["first", "first"], Document("张三"), task="ner", schema=PEOPLE)
    names = ["first", "rex-mini-zh"]
    work = model_services.start_compare_text(app, names, Document("姚明在上海出生。"), task="ner", schema=PEOPLE)
    assert work.wait(WAIT_S) and work.state == "done", work.error
    texts = work.result
    assert [side.name for side in texts.sides] == names
    (name,) = [one for one in texts.findings if one.path[0][1] == "姚明"]
    assert name.second is not None and name.second > 0.9
    assert services.model_status(app).name == "first"
    work = model_services.start_compare_corrections(app, ["second", "rex-mini-zh"], [run])
    assert work.wait(WAIT_S) and work.state == "done", work.error
    found = work.result
    assert (found.documents, found.left_out) == (22, 2)
    assert [quality.documents for quality in found.qualities] == [22, 22]
    assert found.qualities[1].total.f1 > max(0.6, found.qualities[0].total.f1)
    assert set(found.qualities[1].by_type) >= {"人物", "地点"} and found.sides[1].documents_per_s > 0


def test_work_is_done_once_at_a_time_and_can_be_stopped(app: Application) -> None:
    begun = threading.Event()

    def wait(work: object) -> None:
        begun.set()
        while not work.cancelled():  # type: ignore[attr-defined]
            threading.Event().wait(0.01)
        raise Cancelled("已取消")

    work = app.works.start("slow", wait)
    assert begun.wait(5)
    with pytest.raises(BusyError):
        app.works.start("slow", wait)
    work.cancel()
    assert work.wait(5) and work.state == "cancelled"
