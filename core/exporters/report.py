"""What a format cannot hold: counted while a file is written, with a few examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.types import AnnotatedDocument

EXAMPLES = 3
EXAMPLE_CHARACTERS = 40

# Parts of a result besides its text and annotations, each with a test for its presence.
PARTS: dict[str, Callable[[AnnotatedDocument], bool]] = {
    "文档名称": lambda result: bool(result.document.name),
    "第二文本": lambda result: result.document.text_pair is not None,
    "元数据": lambda result: bool(result.document.metadata),
    "给定的属性词": lambda result: bool(result.document.aspects),
    "指代的候选词和代词": lambda result: bool(result.document.candidates or result.document.pronouns),
    "提示": lambda result: bool(result.notes),
    "出错原因": lambda result: bool(result.error),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """One kind of thing that a file leaves out or changes: a sentence, how often, and up to 3 examples."""

    what: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        shown = f"，例如：{'；'.join(self.examples)}" if self.examples else ""
        return f"{self.what}（{self.count} 处{shown}）"


class Losses:
    """Counts losses while a file is being written; bounded, however many there are."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, what: str, example: str = "", *, count: int = 1) -> None:
        """Count a loss; `what` is a whole sentence without a full stop, `example` the text concerned."""
        self._counts[what] = self._counts.get(what, 0) + count
        examples = self._examples.setdefault(what, [])
        shown = example if len(example) <= EXAMPLE_CHARACTERS else example[: EXAMPLE_CHARACTERS - 1] + "…"
        if shown and len(examples) < EXAMPLES and shown not in examples:
            examples.append(shown)

    def leave_out(self, result: AnnotatedDocument, parts: Iterable[str]) -> None:
        """Count those of `parts` (keys of `PARTS`) that the document has."""
        for part in parts:
            if PARTS[part](result):
                self.add(f"文档的{part}没有写入", result.document.id or result.document.name)

    def scores(self, count: int) -> None:
        """Count annotations whose score is not written."""
        if count:
            self.add("得分没有写入", count=count)

    def report(self) -> tuple[Loss, ...]:
        """All losses in the order in which they were first met."""
        return tuple(Loss(what, count, tuple(self._examples[what])) for what, count in self._counts.items())


@dataclass(frozen=True, slots=True)
class About:
    """What a file may say of the run it comes from; empty where nothing is known.

    `schema` is the schema as it was asked: formats that declare their types take them from it besides from the
    findings.
    """

    run: str = ""
    schema: dict[str, object] | None = None
    model: str = ""
    revision: str = ""
    threshold: float | None = None
    finished: str = ""
