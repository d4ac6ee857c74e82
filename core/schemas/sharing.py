"""Schemas as files that are passed on: the schema with its name, task, version and note."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import SchemaError
from core.schemas.pasted import read_pasted
from core.schemas.schema import Schema, parse_schema

FORMAT = "rex-schema/1"


@dataclass(frozen=True, slots=True)
class Shared:
    """A schema as it was passed on; name and task are empty where the file does not say them.

    `notes`: what was mended in a schema written by hand.
    """

    schema: Schema
    name: str = ""
    task: str = ""
    version: int = 0
    note: str = ""
    notes: tuple[str, ...] = ()


def write_shared(body: Mapping[str, Any], *, name: str, task: str, version: int, note: str = "") -> str:
    """The JSON text of a file to pass on."""
    value = {"format": FORMAT, "name": name, "task": task, "version": version, "note": note, "schema": body}
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def read_shared(text: str) -> Shared:
    """A schema file: one of `write_shared`, or a bare schema as `read_pasted` reads it.

    Raises SchemaError when there is no schema in it, or when it was written by a newer version.
    """
    text = text.removeprefix("\ufeff")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    # A schema may itself have a type called “schema”: only the format tells them apart.
    form = value.get("format") if isinstance(value, dict) else None
    if not isinstance(form, str) or not form.startswith("rex-schema/"):
        pasted = read_pasted(text)
        return Shared(pasted.schema, notes=pasted.notes)
    if form != FORMAT:
        raise SchemaError(f"模式文件的格式是 {form}，本程序只认识 {FORMAT}：请升级程序，或让对方用旧版导出")
    version = value.get("version")
    return Shared(
        parse_schema(value.get("schema")),
        name=str(value.get("name") or ""),
        task=str(value.get("task") or ""),
        version=version if isinstance(version, int) else 0,
        note=str(value.get("note") or ""),
    )
