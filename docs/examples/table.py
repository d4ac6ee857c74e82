"""What the model in use says: prints the README's table of tasks and writes docs/examples.md.

`python docs/examples/table.py`; REX_MODEL names another model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))  # so that it runs from anywhere without an installed package

from core.config import Settings  # noqa: E402
from core.inference.assembly import load_engine  # noqa: E402
from core.readers.jsonl import document_from_json  # noqa: E402
from core.services import make_items  # noqa: E402
from core.tasks import TASKS  # noqa: E402
from core.types import AnnotatedDocument, Annotation, Document  # noqa: E402

TABLE = HERE / "tasks.jsonl"
EVERYDAY = ROOT / "data" / "samples" / "everyday.jsonl"
PAGE = ROOT / "docs" / "examples.md"
MORE = {"text_pair": "第二段文字", "aspects": "给定的属性", "candidates": "候选词", "pronouns": "代词"}
INTRODUCTION = """# 日常文本二十例

模型 `{model}` 对 [data/samples/everyday.jsonl](../data/samples/everyday.jsonl) 的真实输出，由
`python docs/examples/table.py` 写成，没有改动或挑选。
例句和期望答案（`expected`）是手写的，先于模型的运行；答错的照样列出。答案与期望完全一致（类型、文字、上下级，
不多不少）才算 ✓。得分是模型自己的判断，不是正确率；二十例说明不了准确率，准确率见 README。

**{right} / {total} 例完全一致**；期望的 {gold} 条答案中说对 {hits} 条，另外多说了 {extra} 条。

| 例 | 任务 | 结果 | 说对 / 期望 | 多说 |
|---|---|---|---|---|
{summary}
"""


def read(path: Path) -> list[dict[str, Any]]:
    """The examples of a file, in its order."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def document(row: dict[str, Any]) -> Document:
    """The document of an example, read as the command line reads it."""
    return document_from_json(row)[0]


def short(annotations: Sequence[Annotation]) -> str:
    """Findings on one line: type, text, score, and what hangs below in brackets."""
    parts = []
    for one in annotations:
        below = f" → [{short(one.children)}]" if one.children else ""
        parts.append(f"{one.type}{' ' + one.text if one.text else ''} {one.score:.2f}{below}")
    return "; ".join(parts) or "nothing"


def given(row: dict[str, Any]) -> str:
    """The input on one line."""
    extra = [value if isinstance(value, str) else "、".join(value) for key, value in row.items() if key in MORE]
    return " / ".join([row["text"], *extra])


def paths(annotations: Sequence[Annotation], above: str = "") -> Iterator[tuple[str, float]]:
    """Findings from root to leaf as `expected` writes them, `type=text > type=text`, each with its score."""
    for one in annotations:
        name = above + one.type + (f"={one.text}" if one.text else "")
        if one.children:
            yield from paths(one.children, name + " > ")
        else:
            yield name, one.score


def section(row: dict[str, Any], found: dict[str, float]) -> str:
    """One example of the page: the input, and every answer with its mark."""
    expected = row["expected"]
    lines = [f"## {row['id']} {TASKS[row['task']].title_zh} `{row['task']}`", "", f"> {row['text']}", ""]
    for key, name in MORE.items():
        if key in row:
            lines += [f"{name}：{row[key] if isinstance(row[key], str) else '、'.join(row[key])}", ""]
    if "schema" in row:
        lines += [f"模式：`{json.dumps(row['schema'], ensure_ascii=False)}`", ""]
    lines += [f"- {'✓' if name in expected else '✗ 多说'} {name}（{score:.2f}）" for name, score in found.items()]
    lines += [f"- ✗ 没有找到 {name}" for name in expected if name not in found]
    return "\n".join(lines) + "\n"


def page(rows: Sequence[dict[str, Any]], results: Sequence[AnnotatedDocument], model: str) -> str:
    """The page of examples; raises RuntimeError for an example that could not be read at all."""
    summary, sections = [], []
    right = hits = extra = 0
    for row, result in zip(rows, results, strict=True):
        if result.error:
            raise RuntimeError(f"{row['id']}: {result.error}")
        found, expected = dict(paths(result.annotations)), set(row["expected"])
        same, more = len(expected & found.keys()), len(found.keys() - expected)
        right, hits, extra = right + (found.keys() == expected), hits + same, extra + more
        mark = "✓" if found.keys() == expected else "✗"
        summary.append(f"| {row['id']} | `{row['task']}` | {mark} | {same} / {len(expected)} | {more} |")
        sections.append(section(row, found))
    head = INTRODUCTION.format(
        model=model,
        right=right,
        total=len(rows),
        gold=sum(len(row["expected"]) for row in rows),
        hits=hits,
        extra=extra,
        summary="\n".join(summary),
    )
    return "\n".join([head, *sections])


def main() -> None:
    """One Markdown row a task on the screen, and the page of everyday examples."""
    engine = load_engine(Settings())  # without the desk's database, which is the user's own

    def ask(row: dict[str, Any]) -> AnnotatedDocument:
        items = make_items([document(row)], task=row["task"], schema=row.get("schema"))
        ((_, result),) = engine.annotate(items)
        return result

    for row in read(TABLE):
        result = ask(row)
        schema = json.dumps(row["schema"], ensure_ascii=False) if "schema" in row else "its own question"
        print(f"| `{row['task']}` | {given(row)} | `{schema}` | {result.error or short(result.annotations)} |")
    rows = read(EVERYDAY)
    PAGE.write_text(page(rows, [ask(row) for row in rows], engine.checkpoint.name), "utf-8")


if __name__ == "__main__":
    main()
