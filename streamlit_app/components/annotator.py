"""The text of a document under review, to be corrected with mouse and keyboard in the browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.palette import ink_on
from core.rendering import type_colour
from core.review.layout import marks, pieces, tree_order
from core.review.nodes import Node, dropped
from core.review.palette import chains, placed, types_below
from core.storage.review_queries import Review
from core.views.findings import label_name
from streamlit_app.i18n import t

FRONTEND = Path(__file__).resolve().parents[1] / "frontend"
_COMPONENT = st.components.v2.component(
    "annotator",
    html='<div class="rexa"></div>',
    css=(FRONTEND / "annotator.css").read_text(encoding="utf-8"),
    js=(FRONTEND / "annotator.js").read_text(encoding="utf-8"),
    # Selecting text across a shadow root is not the same in all browsers.
    isolate_styles=False,
)
KEYS = (
    ("J K", "next"),
    ("A", "accept"),
    ("X", "reject"),
    ("1–9", "type"),
    ("⇧← ⇧→", "select"),
    ("B", "move"),
    ("Alt ← →", "resize"),
    ("L", "link"),
    ("F", "all"),
    ("U", "undo"),
    ("⇧U", "redo"),
    ("Enter", "finish"),
    ("S", "skip"),
    ("N P", "document"),
    ("T", "other"),
    ("⇧G", "arcs"),
)


def annotator(
    review: Review, schema: Mapping[str, Any], *, ticket: str, key: str, on_actions: Callable[[], None]
) -> None:
    """Draw a document; what the user does calls `on_actions` and is at `st.session_state[key].actions`.

    `ticket` is that of the last list of actions that was dealt with: the browser waits for it before it sends more.
    """
    _COMPONENT(key=key, data=_data(review, schema, ticket), on_actions_change=on_actions)


def _data(review: Review, schema: Mapping[str, Any], ticket: str) -> dict[str, Any]:
    text = review.document.text
    above = chains(review.nodes)
    out = dropped(review.nodes)
    drawn = marks(review.nodes, len(text))
    # Thousands of annotations share a few chains.
    paths = {chain: _path(chain) for chain in {(), *above.values(), *(chain[:-1] for chain in above.values())}}
    palettes = {path: types_below(review.task, schema, chain, nodes=review.nodes) for chain, path in paths.items()}
    names = dict.fromkeys([*palettes[paths[()]], *(name for names in palettes.values() for name in names)])
    return {
        "document": f"{review.run_id}/{review.document_id}",
        "version": review.version,
        "ack": ticket,
        "length": len(text),
        "pieces": [(one.start, one.text, one.marks, one.closing) for one in pieces(text, drawn)],
        "marks": [
            {
                "start": one.start,
                "end": one.end,
                "type": one.type,
                "label": f"{one.type} ×{len(one.nodes)}" if len(one.nodes) > 1 else one.type,
                "nodes": one.nodes,
                "lane": one.lane,
            }
            for one in drawn
        ],
        "lanes": 1 + max((one.lane for one in drawn), default=0),
        "nodes": [
            {
                "id": node.id,
                "parent": node.parent,
                "depth": depth,
                "type": node.type,
                "start": node.start,
                "end": node.end,
                "text": node.text,
                "shown": node.text or _implicit(review.task, node, above[node.id]),
                "decision": node.decision,
                "score": "" if node.machine is None else f"{node.score:.2f}",
                "out": node.id in out,
                "was": was(node),
                "own": paths[above[node.id]],
                "up": paths[above[node.id][:-1]],
            }
            for node, depth in tree_order(review.nodes)
        ],
        "palettes": palettes,
        "root": paths[()],
        "colours": {name: (colour := type_colour(name, names), ink_on(colour)) for name in names},
        "words": _words(),
    }


def was(node: Node) -> str:
    """What the machine said of a node that a person changed or added, in the language of the session."""
    if node.machine is None:
        return t("review.added")
    if not node.changed:
        return ""
    return t("review.was", what="：".join(part for part in (label_name(node.machine.type), node.machine.text) if part))


def _implicit(task: str, node: Node, chain: Sequence[str]) -> str:
    """What stands for an annotation that would have a place in the text if the text named it."""
    return t("card.implicit") if node.start is None and placed(task, tuple(chain[:-1])) else ""


def _path(chain: Sequence[str]) -> str:
    return json.dumps(list(chain), ensure_ascii=False)


def _words() -> dict[str, str]:
    names = (
        "accept", "reject", "reopen", "move", "linkto", "all", "none", "other", "link", "add", "retype", "choose",
        "region",
    )  # fmt: skip
    keys = json.dumps([[key, t(f"review.key.{name}")] for key, name in KEYS], ensure_ascii=False)
    return {name: t(f"review.do.{name}") for name in names} | {"keys": keys}
