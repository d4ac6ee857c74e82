"""A document under review in words: its table, what differs from the machine, its history, and two versions."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.review.changes import kinds
from core.review.layout import tree_order
from core.review.nodes import Node, Nodes
from core.reviews import differences
from core.storage.review_queries import Review, Revision
from streamlit_app.components.annotation_table import table
from streamlit_app.components.messages import plain
from streamlit_app.i18n import t


def review_table(review: Review) -> None:
    """A row an annotation, what is below another one indented: the relations and roles as a table."""
    by_id = {node.id: node for node in review.nodes}
    decisions = {decision: t(f"review.decision.{decision}") for decision in {node.decision for node in review.nodes}}
    rows: list[dict[str, object]] = [
        {
            "type": "　" * depth + node.type,
            "text": node.text,
            "above": by_id[node.parent].text or by_id[node.parent].type if node.parent is not None else "",
            "review.decision": decisions[node.decision],
            "score": None if node.machine is None else node.score,
            "review.machine": described(_as_machine(node)) if node.changed else "",
            "start": node.start,
            "end": node.end,
        }
        for node, depth in tree_order(review.nodes)
    ]
    if rows:
        _table(rows, key="review-table")
    else:
        st.caption(t("results.nothing"))


def changes_table(review: Review) -> None:
    """What a person made of the machine's result, annotation by annotation."""
    rows: list[dict[str, object]] = []
    for node, _ in tree_order(review.nodes):
        if not node.changed and node.decision != "rejected":
            continue
        before = _as_machine(node)
        rows.append(
            {
                "review.what": _kinds(before, node) if before is not None else t("review.kind.added"),
                "review.machine": described(before),
                "review.now": "" if node.decision == "rejected" else described(node),
                "score": None if node.machine is None else node.score,
            }
        )
    if rows:
        _table(rows, key="review-changes")
    else:
        st.caption(t("review.unchanged"))


def history_table(revisions: list[Revision]) -> None:
    """Every step, newest first: when, who, what."""
    rows: list[dict[str, object]] = [
        {
            "review.step": one.number,
            "review.when": f"{one.created_at.astimezone():%Y-%m-%d %H:%M:%S}",
            "review.author": one.author,
            "review.action": t(f"review.action.{one.action}"),
            "review.what": "；".join(
                f"{_kinds(before, after)} {described(after or before)}" for before, after in one.change.nodes.values()
            ),
            "state": t(f"review.state.{one.change.state[1]}"),
        }
        for one in revisions
    ]
    if rows:
        _table(rows, key="review-history")
    else:
        st.caption(t("review.nohistory"))


def versions(mine: Nodes, theirs: Nodes) -> None:
    """Where two versions of one document differ, side by side."""
    rows: list[dict[str, object]] = [
        {"review.mine": _whole(one), "review.theirs": _whole(other)} for one, other in differences(mine, theirs)
    ]
    if rows:
        _table(rows, key="review-versions")
    else:
        st.caption(plain(t("review.conflict.same")))


def described(node: Node | None) -> str:
    """A node in one line: its type, its words and their place."""
    if node is None:
        return ""
    place = "" if node.start is None else f" [{node.start}, {node.end})"
    return f"{node.type}：{node.text}{place}" if node.text else node.type


def _whole(node: Node | None) -> str:
    return "—" if node is None else f"{described(node)} · {t(f'review.decision.{node.decision}')}"


def _kinds(before: Node | None, after: Node | None) -> str:
    return "、".join(t(f"review.kind.{kind}") for kind in kinds(before, after))


def _as_machine(node: Node) -> Node | None:
    one = node.machine
    return None if one is None else Node(node.id, node.parent, one.type, one.start, one.end, one.text, machine=one)


def _table(rows: list[dict[str, object]], *, key: str) -> None:
    table(pd.DataFrame(rows), key=key)
