"""What docs/fine-tuning.md tells users holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from core.training.options import parse_arguments
from core.training.samples import read_record

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "fine-tuning.md").read_text("utf-8")
RECORDS = re.findall(r"```json\n(.*?)\n```", PAGE, re.S)


@pytest.mark.parametrize("text", RECORDS)
def test_every_record_on_the_page_is_accepted(text: str) -> None:
    row = json.loads(text)
    example = read_record(row)
    assert example.task == row["task"] and example.paths


def test_the_page_shows_extraction_with_a_second_level_and_classes() -> None:
    assert {json.loads(text)["task"] for text in RECORDS} == {"ner", "re", "classification"}


def test_the_training_command_of_the_page_is_understood() -> None:
    (command,) = re.findall(r"^python -m core train finetune (--data .*)$", PAGE, re.M)
    config = parse_arguments(command.split())
    assert all((ROOT / path).is_file() for path in config.data) and (ROOT / config.init).is_dir()


def test_every_file_that_the_page_links_exists() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert targets and all((ROOT / "docs" / target).exists() for target in targets)


def test_every_option_that_the_page_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert set(re.findall(r"`(--[\w-]+)", PAGE)) - {"--model"} <= known
