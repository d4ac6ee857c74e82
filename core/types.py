"""The values that travel between the rooms of `core`: frozen, plain, free of tensors and ORM rows.

Offsets are Python code points into `Document.text`, start inclusive, end exclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a document: `text == document.text[start:end]`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text to annotate, with what some tasks need besides the text.

    `text_pair` is the second text of matching and NLI; `aspects` the given aspects of aspect
    sentiment (empty: find them); `candidates` and `pronouns` the marked spans of coreference.
    """

    text: str
    id: str = ""
    name: str = ""
    text_pair: str | None = None
    aspects: tuple[str, ...] = ()
    candidates: tuple[Span, ...] = ()
    pronouns: tuple[Span, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Annotation:
    """A typed finding. A class has no span: `start` and `end` are None and `text` is empty.

    `score` is the weakest of the link probabilities behind it and behind its parents, in [0, 1], calibrated by the
    temperature of its task where the checkpoint has one.
    """

    type: str
    start: int | None
    end: int | None
    text: str
    score: float
    children: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was asked for and came near without becoming a finding; it stands below the annotations `above`.

    Neither it nor those above hold children. Its score, the weakest of its chain, does not exceed the threshold, or the
    chain ends too early (a subject without a relation), or another class was chosen, for which `confidence`, the mean
    of the link probabilities, is compared.
    """

    annotation: Annotation
    above: tuple[Annotation, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """One element of a path in the reference's form: offsets count in the text given to the model.

    `score` is the weakest of the three link probabilities, `confidence` their mean (SPEC 7.2).
    """

    type: str
    start: int
    end: int
    text: str
    score: float
    confidence: float


Path = tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class AnnotatedDocument:
    """What one task found in one document.

    `windows` is the number of overlapping windows that the text was read in; `paths` the same
    findings in the reference's flat form; `notes` things the user should know, in plain words; `error` why the
    document could not be annotated (then it has no findings), empty when it could; `candidates` what came near, best
    first, where that was asked for.
    """

    document: Document
    task: str
    annotations: tuple[Annotation, ...]
    windows: int = 1
    paths: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the `documents` being read are: `done` of `asked` windows of the `step`-th level of their schema.

    A window counts once for every part of the schema, or pair of words, that is asked of it. `worked_s`: since the
    level was asked.
    """

    documents: int
    step: int
    done: int
    asked: int
    worked_s: float

    @property
    def left_s(self) -> float | None:
        """Seconds until the level is read at the pace so far; None before its first window."""
        return self.worked_s / self.done * (self.asked - self.done) if self.done else None
