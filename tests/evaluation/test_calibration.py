"""Calibration: the error of confidences, the temperature that lowers it, and what a checkpoint does with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from core.cli import app
from core.errors import CheckpointError, FormatError
from core.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    Judgement,
    expected_calibration_error,
    fit_temperature,
    judge_temperature,
    reliability,
)
from core.evaluation.temperatures import Calibration, Family, calibrate, development_files, write_temperatures
from core.inference.decoding import temper
from core.inference.engine import Engine, Item
from core.model.checkpoint import load_checkpoint
from core.model.config import FAMILIES, RexConfig
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.types import AnnotatedDocument, Annotation, Document

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
SENTENCE = "小说家陈静1972年3月出生于杭州，毕业于浙江大学，丈夫是画家林涛。"
RE = {"人物": {"出生地(地理位置)": None, "毕业院校(组织机构)": None}, "时间": None}
CONFIDENCES = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)
TEMPERATURES = st.floats(COLDEST, HOTTEST)


def _answers(temperature: float, *, count: int = 20000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences whose logits are `temperature` times those of the true chances, and what came of the chances."""
    random = np.random.default_rng(seed)
    chances = random.uniform(0.5, 0.98, count)
    return temper(chances, 1 / temperature), random.random(count) < chances


def _with_temperatures(target: Path, temperatures: Any) -> Path:
    """A copy of the tiny checkpoint with these temperatures."""
    shutil.copytree(TINY, target, dirs_exist_ok=True)
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    (target / "config.json").write_text(json.dumps(config | {"temperatures": temperatures}), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def plain() -> Engine:
    return Engine(load_checkpoint(str(TINY), device="cpu"))


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The tiny model with another temperature for every family."""
    values = {family: 1.25 + 0.25 * number for number, family in enumerate(FAMILIES)}
    return Engine(load_checkpoint(str(_with_temperatures(tmp_path_factory.mktemp("hot"), values)), device="cpu"))


def test_the_error_of_known_bins_is_their_weighted_distance() -> None:
    confidences = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    correct = np.array([True, True, True, False, False, False])
    assert expected_calibration_error(confidences, correct) == pytest.approx((4 * 0.15 + 2 * 0.6) / 6)
    assert expected_calibration_error(confidences, correct, bins=1) == pytest.approx(0.8 - 0.5)
    assert [(one.count, one.accuracy) for one in reliability(confidences, correct)] == [(2, 0.0), (4, 0.75)]


def test_a_calibrated_set_has_almost_no_error_and_a_boastful_one_has() -> None:
    assert expected_calibration_error(*_answers(1.0)) < 0.015
    assert expected_calibration_error(*_answers(4.0)) > 0.1


def test_no_answers_have_no_error_and_no_temperature() -> None:
    none = np.zeros(0)
    assert expected_calibration_error(none, none) == 0.0
    assert fit_temperature(none, none) == 1.0
    assert reliability(none, none) == ()


@pytest.mark.parametrize(
    ("confidences", "correct"), [([0.5], [True, False]), ([1.5], [True]), ([float("nan")], [True]), ([[0.5]], [[True]])]
)
def test_numbers_that_are_no_confidences_are_refused(confidences: list[Any], correct: list[Any]) -> None:
    for function in (expected_calibration_error, fit_temperature, reliability):
        with pytest.raises(ValueError, match="must"):
            function(np.array(confidences), np.array(correct))


@given(confidences=CONFIDENCES, bins=st.integers(1, 20), seed=st.integers(0, 99))
def test_the_bins_hold_every_answer_and_the_error_is_a_share(confidences: np.ndarray, bins: int, seed: int) -> None:
    correct = np.random.default_rng(seed).random(len(confidences)) < 0.5
    table = reliability(confidences, correct, bins=bins)
    assert sum(one.count for one in table) == len(confidences)
    assert all(one.low - 1e-12 <= one.confidence <= one.high + 1e-12 for one in table)
    assert 0 <= expected_calibration_error(confidences, correct, bins=bins) <= 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 5.0])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    assert fit_temperature(*_answers(temperature)) == pytest.approx(temperature, rel=0.06)


def test_the_fitted_temperature_is_the_most_likely_of_a_grid() -> None:
    confidences, correct = _answers(2.3, count=300, seed=5)

    def loss(temperature: float) -> float:
        chances = temper(confidences, temperature)
        return -float(np.log(np.where(correct, chances, 1 - chances)).mean())

    found = fit_temperature(confidences, correct)
    assert loss(found) <= min(loss(float(t)) for t in np.geomspace(COLDEST, HOTTEST, 400)) + 1e-12


@given(confidences=CONFIDENCES, right=st.booleans())
def test_a_fitted_temperature_stays_within_its_bounds(confidences: np.ndarray, right: bool) -> None:
    found = fit_temperature(confidences, np.full(len(confidences), right))
    assert COLDEST - 1e-9 <= found <= HOTTEST + 1e-9


def test_the_error_is_judged_on_answers_that_were_not_fitted_on() -> None:
    confidences, correct = _answers(3.0)
    judged = np.arange(len(confidences)) % 2 == 0
    found = judge_temperature(confidences, correct, judged=judged)
    assert (found.fitted_on, found.judged_on) == (10000, 10000)
    assert found.after < 0.02 < 0.1 < found.before
    assert found.temperature == fit_temperature(confidences[~judged], correct[~judged])
    other = judge_temperature(confidences, np.where(judged, ~correct, correct), judged=judged)
    assert other.temperature == found.temperature


@given(confidences=CONFIDENCES, temperature=TEMPERATURES)
def test_a_temperature_keeps_the_order_and_the_side_of_one_half(confidences: np.ndarray, temperature: float) -> None:
    warm = temper(np.sort(confidences), temperature)
    assert (np.diff(warm) >= 0).all()
    assert ((warm >= 0) & (warm <= 1)).all()
    beyond = np.abs(confidences - 0.5) > 1e-12  # nearer than that, rounding may say exactly one half
    assert ((temper(confidences, temperature) > 0.5) == (confidences > 0.5))[beyond].all()
    assert temper(np.array([0.0, 0.5, 1.0]), temperature).tolist() == [0.0, 0.5, 1.0]
    assert temper(confidences, 1.0) is confidences


@given(confidences=CONFIDENCES, temperature=TEMPERATURES)
def test_the_weakest_link_stays_the_weakest(confidences: np.ndarray, temperature: float) -> None:
    assert temper(confidences, temperature).min() == temper(confidences.min()[None], temperature)[0]


def _items() -> list[Item]:
    def item(task: str, text: str, schema: Any, **fields: Any) -> Item:
        return Item(Document(text, **fields), TASKS[task], parse_schema(schema))

    return [
        item("ner", SENTENCE, ["人物", "地理位置", "组织机构"]),
        item("re", SENTENCE, RE),
        item("ee", SENTENCE, {"出生(事件触发词)": {"时间": None, "人物": None}}),
        item("absa", SENTENCE, {"属性词": {"正向情感(情感词)": None, "负向情感(情感词)": None}}),
        item("atsc", SENTENCE, ["正向情感", "负向情感"]),
        item("classification", SENTENCE, ["体育", "财经", "文学"]),
        item("multilabel", SENTENCE, ["体育", "财经", "文学"]),
        item("hierarchy", SENTENCE, {"文艺": {"文学": None, "绘画": None}, "体育": {"篮球": None}}),
        item("mrc", SENTENCE, {"谁出生了？": None, "在哪里？": {"杭州": None, "上海": None}}),
        item("rex", SENTENCE, RE),
    ]


def _run(engine: Engine, **options: Any) -> list[AnnotatedDocument]:
    return [one for _, one in sorted(engine.annotate(_items(), **options), key=lambda pair: pair[0])]


def _unscored(result: AnnotatedDocument) -> Any:
    def bare(one: Annotation) -> Any:
        return (one.type, one.start, one.end, frozenset(map(bare, one.children)))

    paths = frozenset(tuple(replace(link, score=0.0) for link in path) for path in result.paths)
    return frozenset(map(bare, result.annotations)), paths, result.notes, result.error


def _scores(annotations: Iterable[Annotation]) -> Iterator[float]:
    for one in annotations:
        yield one.score
        yield from _scores(one.children)


def test_at_one_half_temperatures_change_scores_and_nothing_else(plain: Engine, hot: Engine) -> None:
    before, after = _run(plain), _run(hot)
    assert [_unscored(one) for one in before] == [_unscored(one) for one in after]
    assert sum(len(one.paths) for one in before) > 10
    config = hot.checkpoint.model.config
    for old, new in zip(before, after, strict=True):
        pairs = [
            (a.score, b.score) for p, q in zip(old.paths, new.paths, strict=True) for a, b in zip(p, q, strict=True)
        ]
        if old.task in ("atsc", "mrc"):  # their requests are of two families
            assert all(abs(b - 0.5) < abs(a - 0.5) for a, b in pairs)
            continue
        temperature = config.temperatures.get(old.task, 1.0)
        assert [b for _, b in pairs] == pytest.approx([float(temper(np.array(a), temperature)) for a, _ in pairs])
        assert (temperature == 1.0) == (old.task == "rex")


def test_options_and_found_aspects_take_the_temperature_of_their_kind(plain: Engine, hot: Engine) -> None:
    values = hot.checkpoint.model.config.temperatures
    kinds = {"atsc": {"span": "absa", "class": "atsc"}, "mrc": {"span": "mrc", "class": "choice"}}
    for old, new in zip(_run(plain), _run(hot), strict=True):
        seen = set()
        for (before, *_), (after, *_) in zip(old.paths, new.paths, strict=True):
            kind = "class" if before.text.startswith("[") else "span"
            seen.add(kind)
            temperature = values[kinds[old.task][kind]] if old.task in kinds else values.get(old.task, 1.0)
            assert after.score == pytest.approx(float(temper(np.array(before.score), temperature)))
        assert old.task not in kinds or seen == {"span", "class"}


@settings(deadline=None, max_examples=10)
@given(threshold=st.sampled_from([0.05, 0.3, 0.45, 0.55, 0.6, 0.75]))
def test_a_threshold_counts_in_calibrated_scores(plain: Engine, hot: Engine, threshold: float) -> None:
    """What is found above p is what a plain model finds above sigmoid(T·logit(p)), with several tasks in a batch."""
    temperatures = hot.checkpoint.model.config.temperatures
    together = _run(hot, threshold=threshold)
    for item, mixed in zip(_items(), together, strict=True):
        if item.task.name in ("atsc", "mrc"):
            continue
        raw = float(temper(np.array(threshold), 1 / temperatures.get(item.task.name, 1.0)))
        ((_, alone),) = plain.annotate([item], threshold=raw)
        assert _unscored(mixed) == _unscored(alone)
        if item.task.name in ("ner", "re", "ee", "absa", "multilabel"):  # the others always name something
            assert all(score > threshold for score in _scores(mixed.annotations))


def test_temperatures_are_written_when_set_and_read_back_equal(tmp_path: Path) -> None:
    config = RexConfig(temperatures={"ner": 1.5, "choice": 2})
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    assert RexConfig.from_file(tmp_path / "config.json") == config
    assert "temperatures" not in RexConfig().to_dict()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.5], "temperatures 应为对象"),
        ({"摘要": 1.5}, "没有“摘要”这类任务"),
        ({"rex": 1.5}, "没有“rex”这类任务"),
        ({"ner": 0}, "ner 应为正数，现为 0"),
        ({"ner": -2.0}, "ner 应为正数"),
        ({"ner": float("nan")}, "ner 应为正数"),
        ({"ner": float("inf")}, "ner 应为正数"),
        ({"ner": "1"}, "ner 应为正数"),
        ({"ner": True}, "ner 应为正数"),
        ({"ner": None}, "ner 应为正数"),
    ],
)
def test_temperatures_that_are_none_are_refused_by_name(tmp_path: Path, values: Any, said: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(_with_temperatures(tmp_path / "bad", values)), device="cpu")
    assert said in str(caught.value)


def _record(task: str, text: str, schema: Any, gold: list[Any]) -> dict[str, Any]:
    info = [[{"type": name, "span": text[a:b], "offset": [a, b]} for name, a, b in path] for path in gold]
    return {"task": task, "text": text, "schema": schema, "info_list": info}


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def _development(path: Path) -> Path:
    people = [("人物", 3, 5)]
    texts = [f"小说家陈静{year}年出生于杭州。" for year in range(1960, 1972)]
    rows = [_record("ner/a", text, ["人物", "地理位置"], [people]) for text in texts]
    rows += [_record("sentiment/b", f"[CLASSIFY]{text}", ["正向情感", "负向情感"], []) for text in texts]
    rows += [_record("hierarchy/c", f"[MULTICLASSIFY]{texts[0]}", {"文艺": {"文学": None}}, [])]
    rows += [_record("摘要", texts[0], ["人物"], [])]
    return _write(path, rows)


def test_records_are_asked_as_their_task_asks_and_counted_by_halves(plain: Engine, tmp_path: Path) -> None:
    result = calibrate(plain, [_development(tmp_path / "dev.jsonl")])
    ner, sentiment = result.families
    assert (ner.name, ner.records, sentiment.name, sentiment.records) == ("ner", 12, "sentiment", 12)
    # A question with one answer gives one answer a record; texts fall on both halves.
    assert sentiment.judgement.fitted_on + sentiment.judgement.judged_on == 12
    assert min(sentiment.judgement.fitted_on, sentiment.judgement.judged_on) > 0
    assert not ner.kept and not sentiment.kept and result.temperatures == {}
    assert sorted(result.left_out.values()) == [1, 1]
    assert any("摘要" in reason for reason in result.left_out)
    assert any("[MULTICLASSIFY]" in reason for reason in result.left_out)


def test_old_temperatures_do_not_enter_into_new_ones(plain: Engine, hot: Engine, tmp_path: Path) -> None:
    file = _development(tmp_path / "dev.jsonl")
    assert calibrate(plain, [file]) == calibrate(hot, [file])


def _family(name: str, *, judged: int, before: float, after: float) -> Family:
    return Family(name, judged, Judgement(1.23456, judged, judged, before, after))


def test_only_a_gain_on_enough_answers_is_kept() -> None:
    assert _family("ner", judged=100, before=0.10, after=0.08).kept
    assert not _family("ner", judged=99, before=0.10, after=0.0).kept
    assert not _family("ner", judged=5000, before=0.10, after=0.095).kept


def test_writing_changes_the_temperatures_and_nothing_else(tmp_path: Path) -> None:
    folder = _with_temperatures(tmp_path / "model", {"ner": 3.0, "re": 4.0, "nli": 5.0})
    original = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = Calibration(
        (_family("ner", judged=500, before=0.2, after=0.1), _family("re", judged=500, before=0.2, after=0.3)), {}
    )
    write_temperatures(found, folder, target=tmp_path / "new.json")
    new = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))
    assert new == original | {"temperatures": {"ner": 1.235, "nli": 5.0}}
    assert json.loads((folder / "config.json").read_text(encoding="utf-8")) == original
    write_temperatures(found, folder, target=folder / "config.json")
    assert RexConfig.from_file(folder / "config.json").temperatures == {"ner": 1.235, "nli": 5.0}
    assert not list(folder.glob("*.part"))
    with pytest.raises(CheckpointError, match="无法写入 .*--out"):
        write_temperatures(found, folder, target=tmp_path / "none" / "config.json")


def test_a_folder_gives_its_development_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="没有 .jsonl 文件"):
        development_files(tmp_path)
    for name in ("a.train.jsonl", "a.dev.jsonl", "b.dev.jsonl"):
        (tmp_path / name).touch()
    assert [file.name for file in development_files(tmp_path)] == ["a.dev.jsonl", "b.dev.jsonl"]
    assert development_files(tmp_path / "x.jsonl") == [tmp_path / "x.jsonl"]


def test_the_command_prints_a_table_and_writes_a_config_that_loads(tmp_path: Path) -> None:
    file, model = _development(tmp_path / "dev.jsonl"), _with_temperatures(tmp_path / "model", {"ner": 2.0, "re": 3.0})
    done = CliRunner().invoke(app, ["calibrate", str(file), "--model", str(model)])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].split("\t")[0] == "任务"
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()[1:]] == [["ner", "12"], ["sentiment", "12"]]
    assert "1 条记录没有使用：任务“摘要”" in done.stderr
    assert load_checkpoint(str(model), device="cpu").model.config.temperatures == {"re": 3.0}
    again = CliRunner().invoke(
        app, ["calibrate", str(file), "--model", str(model), "--out", str(tmp_path / "o.json"), "--json"]
    )
    assert set(json.loads(again.stdout)["families"]) == {"ner", "sentiment"}
    assert RexConfig.from_file(tmp_path / "o.json").temperatures == {"re": 3.0}


def test_a_missing_file_is_one_message(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["calibrate", str(tmp_path / "none.jsonl"), "--model", str(TINY)])
    assert done.exit_code == 1
    assert "none.jsonl" in done.stderr and "Traceback" not in done.output
