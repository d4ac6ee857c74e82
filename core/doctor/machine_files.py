"""The facts of the database and of the model's files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from core.config import Settings
from core.doctor.records import DatabaseFacts, ModelFacts
from core.errors import RexError
from core.storage.backup import integrity_problems
from core.storage.database import migrations, open_database, parse_url, storage_errors

CHECKSUMS = "SHA256SUMS"
"""Beside the files of a checkpoint, in the form of `sha256sum`."""
INDEX = "model.safetensors.index.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_database(url: str, *, whole: bool) -> DatabaseFacts:
    """Version and soundness of the database; a SQLite file that does not exist is not made."""
    try:
        parsed = parse_url(url)
        shown = parsed.render_as_string()
        if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).exists():
            return DatabaseFacts(shown, exists=False)
        engine = open_database(url)
    except (RexError, ArgumentError, ValueError) as error:
        return DatabaseFacts("", error=str(error))
    try:
        problems = integrity_problems(engine) if whole else []
        return _with_version(DatabaseFacts(shown, checked=whole, problems=tuple(problems)), engine)
    except RexError as error:
        return DatabaseFacts(shown, error=str(error))
    finally:
        engine.dispose()


def _with_version(facts: DatabaseFacts, engine: Engine) -> DatabaseFacts:
    script = ScriptDirectory.from_config(migrations())
    head = script.get_current_head() or ""
    with storage_errors(engine), engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision() or ""
    known = {one.revision for one in script.walk_revisions()}
    return DatabaseFacts(
        facts.url,
        checked=facts.checked,
        problems=facts.problems,
        revision=revision,
        head=head,
        newer=bool(revision) and revision not in known,
    )


def read_model(settings: Settings, *, whole: bool) -> ModelFacts:
    """The files of the checkpoint that the settings name; nothing is downloaded, `whole`: compare the checksums."""
    source, folder, revision = settings.model, Path(settings.model).expanduser(), ""
    if not folder.is_dir():
        if folder.is_absolute() or source.count("/") != 1:
            return ModelFacts(source, problem=f"检查点目录 {folder} 不存在")
        revision = settings.model_revision
        folder = settings.download_dir / source.replace("/", "--") / revision
        if not (folder / ".complete").is_file():
            return ModelFacts(source, revision=revision)
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file()]
        sums = _checksums(folder)
        damaged = _damaged(folder, sums) if whole else ()
        size_bytes = sum(path.stat().st_size for path in files)
    except (OSError, ValueError) as error:
        return ModelFacts(source, directory=str(folder), revision=revision, problem=f"无法读取：{error}")
    return ModelFacts(
        folder.name if not revision else source,
        directory=str(folder),
        revision=revision,
        problem=_incomplete(folder),
        files=len(files),
        size_bytes=size_bytes,
        listed=len(sums),
        checked=whole,
        damaged=damaged,
    )


def _checksums(folder: Path) -> dict[str, str]:
    path = folder / CHECKSUMS
    lines = path.read_text("utf-8").split("\n") if path.is_file() else []
    return {name.strip().removeprefix("*"): digest for digest, _, name in (one.partition(" ") for one in lines) if name}


def _damaged(folder: Path, sums: dict[str, str]) -> tuple[str, ...]:
    wrong = []
    for name, digest in sums.items():
        try:
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    wrong.append(name)
        except FileNotFoundError:
            wrong.append(f"{name}（缺少）")
    return tuple(wrong)


def _incomplete(folder: Path) -> str:
    """What a checkpoint lacks, empty when nothing is missing and no file of weights was cut off."""
    if not (folder / "config.json").is_file():
        return "缺少 config.json"
    index = folder / INDEX
    if index.is_file():
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    else:
        names = [name for name in WEIGHTS if (folder / name).is_file()][:1]
        if not names:
            return f"缺少权重（{' 或 '.join(WEIGHTS)}）"
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        return f"缺少 {'、'.join(missing)}"
    short = [name for name in names if name.endswith(".safetensors") and _is_short(folder / name)]
    return f"{'、'.join(short)} 不完整" if short else ""


def _is_short(path: Path) -> bool:
    """Whether a safetensors file is shorter than its header says: eight bytes of length, JSON, then the numbers."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size
        if not 0 < length <= size - 8:
            return True
        header = json.loads(file.read(length))
    end = max((one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"), default=0)
    return bool(size < 8 + length + end)
