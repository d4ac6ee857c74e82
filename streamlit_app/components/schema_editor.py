"""The schema of a task in two views that follow each other, a tree and the JSON, with undo and live hints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.errors import SchemaError
from core.schemas import editing
from core.schemas.lint import schema_hints
from core.schemas.pasted import read_pasted
from core.schemas.schema import Schema, parse_schema
from streamlit_app.components.messages import plain, show_error
from streamlit_app.components.schema_tree import schema_tree
from streamlit_app.i18n import t

JSON_HEIGHT = 300
STEPS = 200
"""Steps that can be undone."""

EDITS = {
    "add": lambda schema, path, more: editing.add(schema, path, str(more["name"])),
    "rename": lambda schema, path, more: editing.rename(schema, path, str(more["name"])),
    "delete": lambda schema, path, more: editing.delete(schema, path),
    "duplicate": lambda schema, path, more: editing.duplicate(schema, path),
    "up": lambda schema, path, more: editing.shift(schema, path, -1),
    "down": lambda schema, path, more: editing.shift(schema, path, 1),
    "in": lambda schema, path, more: editing.indent(schema, path),
    "out": lambda schema, path, more: editing.outdent(schema, path),
    "place": lambda schema, path, more: editing.place(schema, path, tuple(more["above"]), more["index"]),
}


def schema_editor(task: str, *, nested: bool) -> Schema | None:
    """Draw the chosen view; the schema as edited, or None while its JSON has faults, which are shown."""
    views = {view: t(f"schema.view.{view}") for view in ("tree", "json")}
    head = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    view = head.segmented_control(
        t("schema.view"),
        list(views),
        format_func=views.__getitem__,
        default="tree",
        required=True,
        key=f"{task}-schema-view",
        persist_state="session",
        label_visibility="collapsed",
    )
    _paste(head, task)
    state = st.session_state
    if fault := state.pop(f"{task}-schema-fault", None):
        show_error(SchemaError(fault))
    if notes := state.pop(f"{task}-schema-notes", None):
        st.info("\n".join(f"- {plain(note)}" for note in notes), icon=":material/build:")
    if view == "json":
        return _json(task)
    schema: Schema = state[f"{task}-schema"]
    hints = schema_hints(schema, task)
    schema_tree(
        schema,
        hints,
        nested=nested or schema.depth > 1,
        undo=bool(state.get(f"{task}-schema-past")),
        redo=bool(state.get(f"{task}-schema-future")),
        ticket=state.get(f"{task}-schema-ticket", 0),
        focus=state.get(f"{task}-schema-focus"),
        key=f"{task}-schema-tree",
        on_action=lambda: _act(task),
    )
    for hint in hints:
        if not hint.path:
            st.caption(f":material/lightbulb: {plain(hint.text)}")
    return schema


def put_schema(task: str, value: Any) -> None:
    """Make `value` the schema, as a step that can be undone; only before the editor is drawn, or in a callback."""
    _change(task, parse_schema(value), focus=None)


def rename_type(task: str, path: Sequence[str], name: str) -> None:
    """Give a type of the schema another name; only in a callback. What cannot be done is said in the editor."""
    apply_step(task, {"op": "rename", "path": list(path), "name": name})


def apply_step(task: str, step: dict[str, Any]) -> None:
    """One step of editing as the tree sends it: `op`, `path`, and what else the step needs; only in a callback."""
    state = st.session_state
    schema: Schema = state[f"{task}-schema"]
    if step["op"] in ("undo", "redo"):
        _travel(task, back=step["op"] == "undo")
        return
    try:
        edited = EDITS[step["op"]](schema, tuple(step["path"]), step)
    except SchemaError as error:
        state[f"{task}-schema-fault"] = error.problems
        state[f"{task}-schema-ticket"] = state.get(f"{task}-schema-ticket", 0) + 1
        return
    _change(task, edited.schema, focus=edited.path)


def _act(task: str) -> None:
    step = st.session_state[f"{task}-schema-tree"].action
    if not step or "op" not in step:
        return
    # A step made on a tree that has been replaced meanwhile would hit another type; undoing one means the last.
    current = step.get("seen") == st.session_state.get(f"{task}-schema-ticket", 0)
    if current or step["op"] in ("undo", "redo"):
        apply_step(task, step)


def _change(task: str, schema: Schema, *, focus: Sequence[str] | None) -> None:
    state = st.session_state
    before: Schema | None = state.get(f"{task}-schema")
    # As text: the order of types counts too.
    if before is not None and _dumps(before) != _dumps(schema):
        state[f"{task}-schema-past"] = [*state.get(f"{task}-schema-past", []), before][-STEPS:]
        state[f"{task}-schema-future"] = []
    _set(task, schema, focus=focus)


def _travel(task: str, *, back: bool) -> None:
    state = st.session_state
    here, there = (f"{task}-schema-{name}" for name in (("past", "future") if back else ("future", "past")))
    if not state.get(here):
        return
    *left, schema = state[here]
    state[there] = [*state.get(there, []), state[f"{task}-schema"]]
    state[here] = left
    _set(task, schema, focus=None)


def _set(task: str, schema: Schema, *, focus: Sequence[str] | None) -> None:
    state = st.session_state
    state[f"{task}-schema"] = schema
    state[f"{task}-schema-json"] = _dumps(schema)
    state[f"{task}-schema-focus"] = tuple(focus) if focus else None
    state[f"{task}-schema-ticket"] = state.get(f"{task}-schema-ticket", 0) + 1


def _dumps(schema: Schema) -> str:
    return json.dumps(schema.to_dict(), ensure_ascii=False, indent=2)


def _json(task: str) -> Schema | None:
    text = st.text_area(
        t("schema.json"),
        key=f"{task}-schema-json",
        height=JSON_HEIGHT,
        help=t("schema.json.help"),
        persist_state="session",
        on_change=_take_json,
        args=(task, f"{task}-schema-json"),
    )
    schema: Schema | None
    try:
        schema = read_pasted(text or "").schema
    except SchemaError as error:
        schema = None
        show_error(error)
    for hint in () if schema is None else schema_hints(schema, task):
        st.caption(f":material/lightbulb: {plain(' → '.join(hint.path))} {plain(hint.text)}")
    return schema


def _paste(place: Any, task: str) -> None:
    with place.popover(t("schema.paste"), icon=":material/content_paste:", key=f"{task}-schema-paste-open"):
        st.text_area(
            t("schema.paste"),
            key=f"{task}-schema-paste",
            height=180,
            placeholder='{"人物": {"职务": null}}',
            help=t("schema.paste.help"),
        )
        st.button(
            t("schema.paste.take"),
            key=f"{task}-schema-paste-take",
            type="primary",
            on_click=_take_json,
            args=(task, f"{task}-schema-paste"),
        )


def _take_json(task: str, key: str) -> None:
    """Take what was typed or pasted; what was mended is told, and what cannot be read stays where it is."""
    state = st.session_state
    written = state.get(key) or ""
    if not written.strip() and key.endswith("paste"):
        return
    try:
        pasted = read_pasted(written)
    except SchemaError as error:
        if key.endswith("paste"):  # the JSON view shows its own faults
            state[f"{task}-schema-fault"] = error.problems
        return
    if key.endswith("paste") or pasted.notes:
        _change(task, pasted.schema, focus=None)
    else:  # the text stays as it was laid out
        layout = state[f"{task}-schema-json"]
        _change(task, pasted.schema, focus=None)
        state[f"{task}-schema-json"] = layout
    notes = list(pasted.notes)
    if pasted.text:
        notes.append(t("schema_library.old_text", text=pasted.text[:80]))
    state[f"{task}-schema-notes"] = notes
    if key.endswith("paste"):
        state[key] = ""
