"""Fine-tuning from files to a checkpoint that answers."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from core.errors import InputError
from core.inference.engine import Engine, Item
from core.model.checkpoint import load_checkpoint, read_state, save_state
from core.schemas.schema import parse_schema
from core.tasks import TASKS
from core.training.augment import LIGHT
from core.training.batches import BUCKETS, Batch, Mix, load_batches, read_pools
from core.training.finetune import finetune
from core.training.mixing import load_data
from core.training.options import FinetuneConfig, FinetuneResult, parse_arguments
from core.training.report import before_after
from core.training.scoring import Score
from core.training.start import load_start
from core.types import Document

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
NAMES = ["张三", "李四", "王五", "赵六", "孙七", "周八"]
PLACES = ["北京", "上海", "广州", "成都"]
Write = Callable[[str], Path]


def entity_row(rng: random.Random, *, schema: bool = True) -> dict[str, Any]:
    name, place = rng.choice(NAMES), rng.choice(PLACES)
    form = rng.choice(["{n}住在{p}。", "昨天{n}去了{p}", "{p}的{n}来了"])
    text = form.format(n=name, p=place)
    paths = [
        [{"type": kind, "span": span, "offset": [text.index(span), text.index(span) + 2]}]
        for kind, span in (("人物", name), ("地点", place))
    ]
    row = {"task": "ner", "source": "mine", "text": text, "info_list": paths}
    return row | ({"schema": {"人物": None, "地点": None}} if schema else {})


def opinion_row(rng: random.Random) -> dict[str, Any]:
    label, word = rng.choice([("正向情感", "好"), ("负向情感", "差")])
    text = f"[CLASSIFY]{rng.choice(NAMES)}说这里很{word}"
    path = [{"type": label, "span": "[CLASSIFY]", "offset": [0, 10]}]
    schema = {"正向情感": None, "负向情感": None}
    return {"task": "sentiment", "source": "mine", "text": text, "info_list": [path], "schema": schema}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def start(tiny_checkpoint: Write) -> Path:
    return tiny_checkpoint("".join(NAMES + PLACES) + "住在。昨天去了的来说这里很好差人物地点正负向情感")


def config(data: Path, start: Path, out: Path, **options: Any) -> FinetuneConfig:
    return FinetuneConfig(data=(str(data),), init=str(start), out=str(out), device="cpu", **options)


def test_a_small_file_is_learnt_and_the_checkpoint_answers(start: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    data = write_rows(
        tmp_path / "mine.jsonl", [entity_row(rng) for _ in range(60)] + [opinion_row(rng) for _ in range(30)]
    )
    result = finetune(config(data, start, tmp_path / "out", epochs=30, patience=30, lr=4e-3, tokens=256, dropout=0.0))
    assert [(score.task, score.rows) for score in result.before] == [("ner", 9), ("sentiment", 4)]
    assert all(score.f1 > 0.9 for score in result.after), result.after
    assert result.before[0].f1 < 0.5 and result.lost == 0
    engine = Engine(load_checkpoint(str(tmp_path / "out"), device="cpu"))
    item = Item(Document("李四住在广州。"), TASKS["ner"], parse_schema(["人物", "地点"]))
    [(_, found)] = engine.annotate([item])
    assert {(one.type, one.text) for one in found.annotations} == {("人物", "李四"), ("地点", "广州")}
    record = json.loads((tmp_path / "out" / "training_log.json").read_text(encoding="utf-8"))
    assert record["steps"][-1]["loss"] < record["steps"][0]["loss"]
    assert record["result"]["steps"] == result.steps


def test_training_stops_when_held_back_records_stop_improving(start: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    data = write_rows(tmp_path / "mine.jsonl", [entity_row(rng) for _ in range(12)])
    result = finetune(config(data, start, tmp_path / "out", epochs=50, patience=2, lr=1e-9))
    record = json.loads((tmp_path / "out" / "training_log.json").read_text(encoding="utf-8"))
    assert result.epoch == 1 and len(record["steps"]) == 3


def test_a_run_by_time_over_a_folder_keeps_to_its_time(start: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    write_rows(tmp_path / "sets" / "a.train.jsonl", [entity_row(rng) for _ in range(20)])
    write_rows(tmp_path / "sets" / "a.dev.jsonl", [entity_row(rng) for _ in range(5)])
    write_rows(tmp_path / "sets" / "b.train.jsonl", [opinion_row(rng) for _ in range(20)])
    options = config(
        tmp_path / "sets", start, tmp_path / "out", seconds=6.0, ema=0.9, layer_decay=0.9, weight=("ner=2",)
    )
    result = finetune(options)
    assert 3.0 < result.seconds < 9.0
    assert result.steps > 3 and [score.source for score in result.after] == ["mine"]
    tasks = {
        name for line in json.loads((result.out / "training_log.json").read_text())["steps"] for name in line["tasks"]
    }
    assert tasks == {"ner", "sentiment"}


def test_a_checkpoint_without_link_head_gets_a_fresh_one(start: Path, tmp_path: Path, caplog: Any) -> None:
    state = {name: value for name, value in read_state(start).items() if name.startswith("plm.")}
    bare = tmp_path / "bare"
    save_state(state, bare, dtype=torch.float32)
    (bare / "config.json").write_text((start / "config.json").read_text())
    with caplog.at_level(logging.INFO):
        model = load_start(bare, dropout=0.0)
    assert "no link head" in caplog.text
    assert torch.equal(model.plm.embeddings.word_embeddings.weight, state["plm.embeddings.word_embeddings.weight"])
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen == ["rotary_emb.freqs"]


def loader(data: Path, start: Path, **options: Any) -> DataLoader[Batch]:
    return load_batches(read_pools([data], check=True), Mix(start, LIGHT, 256, **options))


def test_one_pass_shows_every_record_once_in_batches_of_one_bucket(start: Path, tmp_path: Path) -> None:
    rng = random.Random(2)
    data = write_rows(tmp_path / "mine.jsonl", [entity_row(rng) for _ in range(23)])
    batches = list(loader(data, start))
    assert sum(len(batch.tasks) for batch in batches) == 23
    for batch in batches:
        width = batch.ids.shape[-1]
        assert width in BUCKETS and int(batch.lengths.max()) <= width and batch.ids[0].numel() <= 256
        assert int(batch.gold[:, 0].max()) < len(batch.tasks)
    assert float(batches[-1].share) == 1.0


def test_worker_processes_divide_a_pass_between_them(start: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    data = write_rows(tmp_path / "mine.jsonl", [entity_row(rng) for _ in range(15)])
    pools = read_pools([data])
    batches = list(load_batches(pools, Mix(start, LIGHT, 256), workers=2))
    assert sum(len(batch.tasks) for batch in batches) == 15


def test_the_schema_of_a_file_stands_in_for_missing_ones(start: Path, tmp_path: Path) -> None:
    rng = random.Random(4)
    rows = [entity_row(rng, schema=False) for _ in range(5)]
    rows[0]["info_list"] = []
    (pool,) = read_pools([write_rows(tmp_path / "mine.jsonl", rows)], check=True)
    assert set(pool.example(0).schema) == {"人物", "地点"}


def test_a_faulty_line_is_named_before_training_starts(start: Path, tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = [entity_row(rng) for _ in range(5)]
    rows[3]["info_list"][0][0]["span"] = "别人"
    data = write_rows(tmp_path / "mine.jsonl", rows)
    with pytest.raises(InputError, match=r"mine\.jsonl 第 4 行.*别人"):
        finetune(config(data, start, tmp_path / "out", epochs=1))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--seconds"),
        ({"epochs": 1, "seconds": 5.0}, "--seconds"),
        ({"epochs": 1, "augment": "some"}, "--augment"),
        ({"epochs": 1, "weight": ("ner=2",)}, "--weight"),
        ({"seconds": 5.0, "weight": ("nothing=2",)}, "nothing"),
        ({"seconds": 5.0, "weight": ("ner=many",)}, "many"),
        ({"epochs": 1, "without": ("nothing",)}, "nothing"),
        ({"epochs": 1, "without": ("mine",)}, "没有训练数据"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    options: dict[str, Any], message: str, start: Path, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "mine.jsonl", [entity_row(random.Random(6)) for _ in range(5)])
    with pytest.raises(InputError, match=message):
        finetune(config(data, start, tmp_path / "out", **options))


def test_a_diverging_run_says_so(start: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "mine.jsonl", [entity_row(random.Random(7)) for _ in range(12)])
    with pytest.raises(InputError, match="--lr"):
        finetune(config(data, start, tmp_path / "out", epochs=10, lr=1e30, tokens=64, warmup=0.0))


def test_the_command_line_has_an_option_for_every_setting() -> None:
    init = str(TINY)
    given = parse_arguments(["--data", "a", "b", "--init", init, "--out", "o", "--epochs", "3", "--no-autocast"])
    assert given == FinetuneConfig(data=("a", "b"), init=init, out="o", epochs=3, autocast=False)


def test_model_is_another_name_of_init() -> None:
    common = ["--data", "a", "--out", "o", "--epochs", "1"]
    assert parse_arguments([*common, "--model", str(TINY)]) == parse_arguments([*common, "--init", str(TINY)])


def test_a_start_that_is_no_checkpoint_and_an_end_that_is_one_are_refused(start: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "mine.jsonl", [entity_row(random.Random(8))])
    with pytest.raises(InputError, match="iic/some-model.*没有检查点"):
        config(data, Path("iic/some-model"), tmp_path / "out", epochs=1)
    with pytest.raises(InputError, match="同一个目录"):
        config(data, start, start, epochs=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="--overwrite"):
        config(data, start, tmp_path / "out", epochs=1)
    assert config(data, start, tmp_path / "out", epochs=1, overwrite=True).overwrite


def test_every_faulty_line_is_named_and_says_what_is_wrong(start: Path, tmp_path: Path) -> None:
    good = json.dumps(entity_row(random.Random(9)), ensure_ascii=False)
    data = tmp_path / "mine.jsonl"
    data.write_bytes(b"\n".join([good.encode(), good.encode("gbk"), b"[1]", b'{"text": "a"}', good.encode()]))
    with pytest.raises(InputError) as caught:
        read_pools([data], check=True)
    message = str(caught.value)
    assert "3 行不能用" in message
    assert "第 2 行不是 UTF-8" in message and "第 3 行不是 JSON 对象" in message
    assert "第 4 行" in message and "info_list" in message
    with pytest.raises(InputError, match=r"other\.jsonl：文件不存在"):
        read_pools([tmp_path / "other.jsonl"])


def test_the_end_of_a_run_shows_before_and_after_and_how_to_use_the_model() -> None:
    before = (Score("ner", "mine", 12, 0.5, 0.5, 0.5),)
    after = (Score("ner", "mine", 12, 0.8, 0.7, 0.75), Score("re", "mine", 3, 0.1, 0.1, 0.1))
    told = before_after(FinetuneResult(Path("data/models/mine"), before, after, 40, 900, 12.3, 1, 4))
    assert "ner\tmine\t12\t0.500\t0.750\t+0.250" in told and "re\tmine\t3\t—\t0.100\t—" in told
    assert "第 4 遍" in told and "REX_MODEL=data/models/mine" in told and "1 个标注" in told


def test_sets_of_other_licence_classes_stay_out_but_own_files_do_not(start: Path, tmp_path: Path) -> None:
    rng = random.Random(10)
    for name in ("finre", "cluener"):
        write_rows(tmp_path / "sets" / f"{name}.train.jsonl", [entity_row(rng) | {"source": name}] * 4)
    own = write_rows(tmp_path / "mine.jsonl", [entity_row(rng) for _ in range(5)])
    options = replace(
        config(tmp_path / "sets", start, tmp_path / "out", epochs=1, licence=("permissive,share-alike",)),
        data=(str(tmp_path / "sets"), str(own)),
    )
    train, dev = load_data(options)
    assert {pool.source for pool in train} == {"finre", "mine"} and {pool.source for pool in dev} == {"mine"}


def test_temperatures_of_the_old_weights_are_not_kept(start: Path) -> None:
    settings = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps(settings | {"temperatures": {"ner": 2.0}}))
    assert load_start(start, dropout=0.0).config.temperatures == {}
