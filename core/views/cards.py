"""Findings that belong together as small cards: an event with its roles, an aspect with its opinions, an answer. Pure.

`word` gives the words of the reader's language by their key. Everything of the user's is escaped here, once, in `_e`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from html import escape as _e

from core.palette import ink_on
from core.polarity import NEGATIVE, NEUTRAL, POSITIVE, polarity
from core.rendering import type_colour
from core.types import Annotation
from core.views.chains import Chain, Member, chain_names
from core.views.findings import base_name, walk

Words = Callable[..., str]
Row = tuple[str, str, float | None, str]
"""What it is, what was found, its score, and the colour of a dot before it."""
# Told apart without red or green sight, and white on them can be read.
POLARITY_COLOURS = {POSITIVE: "#00795a", NEUTRAL: "#66727f", NEGATIVE: "#b84a00"}
GREY = "#66727f"
CONTEXT = 14
"""Characters of the text shown before and after what set an event off."""
STYLES = """<style>
.desk-cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(235px,1fr));gap:10px;margin:2px 0 6px}
.desk-cards.wide{grid-template-columns:1fr}
.desk-card{border:1px solid color-mix(in srgb,currentColor 16%,transparent);border-left:4px solid var(--mark,#8a97a6);
border-radius:4px;padding:8px 12px;font-size:14px;line-height:1.5;overflow-wrap:anywhere;break-inside:avoid}
.desk-card .head{display:flex;gap:8px;justify-content:space-between;align-items:baseline}
.desk-card .kind{font-size:12px;color:color-mix(in srgb,currentColor 76%,transparent)}
.desk-card .name{font-weight:650;font-size:15px}
.desk-card .context{font-size:12px;opacity:.76;margin-top:2px}
.desk-card .score{font-size:12px;opacity:.76;font-variant-numeric:tabular-nums;white-space:nowrap}
.desk-card table{width:100%;border-collapse:collapse;margin-top:4px}
.desk-card td{border:0;border-top:1px solid color-mix(in srgb,currentColor 10%,transparent);padding:3px 6px 3px 0;
vertical-align:top}
.desk-card tr.more td{border-top:0;padding-top:0}
.desk-card td:first-child{opacity:.76;width:34%}
.desk-card td:last-child{text-align:right;width:3.2em}
.desk-card .number{display:inline-block;min-width:1.5em;padding:0 4px;border-radius:3px;text-align:center;
color:var(--ink);background:var(--mark);font-size:12px;margin-right:6px}
.desk-dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px;background:var(--mark,#8a97a6)}
.desk-quote{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.75;font-size:15px}
.desk-share{display:flex;height:26px;border-radius:4px;overflow:hidden;font-size:12px;color:#fff}
.desk-share div{display:flex;align-items:center;justify-content:center;background:var(--mark);min-width:3.5em;
-webkit-print-color-adjust:exact;print-color-adjust:exact}
.desk-aspects{display:grid;grid-template-columns:minmax(5em,max-content) 1fr;gap:4px 12px;align-items:center;
font-size:14px;margin:8px 0}
.desk-aspects .desk-share{height:20px}
</style>"""


def event_cards(text: str, annotations: Sequence[Annotation], word: Words) -> str:
    """A frame an event: what set it off, where, and who played which role; events of one type are numbered."""
    several = Counter(base_name(event.type) for event in annotations)
    seen: Counter[str] = Counter()
    cards = []
    for event in annotations:
        kind = base_name(event.type)
        seen[kind] += 1
        cards.append(
            _card(
                kind=f"{kind} {seen[kind]} / {several[kind]}" if several[kind] > 1 else kind,
                name=event.text,
                score=event.score,
                colour=type_colour(kind),
                context=_context(text, event),
                rows=_by_role(event) or [(word("card.no_role"), "", None, "")],
            )
        )
    return _cards(cards)


def opinion_cards(annotations: Sequence[Annotation], word: Words) -> str:
    """A card an aspect: the opinions on it, or the sentiment towards it, with a dot for good and bad."""
    return _cards(
        _card(
            kind=aspect.type,
            name=aspect.text or word("card.implicit"),
            score=aspect.score,
            colour=_polarity_colour(next((child.type for child in aspect.children), "")),
            rows=[
                (base_name(child.type), child.text, child.score, _polarity_colour(child.type))
                for child in aspect.children
            ],
        )
        for aspect in annotations
    )


def answer_cards(questions: Iterable[str], annotations: Sequence[Annotation], word: Words) -> str:
    """A card a question, numbered as in the text: its answers, best first, or a word that there is none."""
    asked = question_order(questions, annotations)
    names = question_names(len(asked), word)
    cards = []
    for name, question in zip(names, asked, strict=True):
        answers = sorted((one for one in annotations if one.type == question), key=lambda one: -one.score)
        rows = [(one.text or " / ".join(child.type for child in one.children), one.score) for one in answers]
        cards.append(
            _card(
                kind=question,
                badge=name,
                name="" if rows else word("card.unanswered"),
                score=None,
                colour=type_colour(name, names),
                rows=[(word("card.answer"), text, score, "") for text, score in rows],
            )
        )
    return _cards(cards, wide=True)


def question_order(questions: Iterable[str], annotations: Iterable[Annotation]) -> list[str]:
    """The questions in the order asked, then those that only answers name."""
    return list(dict.fromkeys([*questions, *(one.type for one in annotations)]))


def question_names(count: int, word: Words) -> list[str]:
    """Short names for questions, which answers in the text are marked with."""
    return [word("card.question", number=number) for number in range(1, count + 1)]


def answer_marks(questions: Sequence[str], annotations: Iterable[Annotation], word: Words) -> list[Annotation]:
    """The answers that were cut out of the text, each under the short name of its question."""
    names = dict(zip(questions, question_names(len(questions), word), strict=True))
    return [replace(one, type=names[one.type], children=()) for one in annotations if one.start is not None]


def chain_cards(chains: Sequence[Chain], lone: Sequence[Member], word: Words) -> str:
    """A card a chain in its colour: the words that stand for the same; then the pronouns that stand for none."""
    names = chain_names(chains)
    none = word("card.no_chain")
    cards = [
        _card(
            kind=word("card.chain", number=number),
            name=chain.name,
            score=None,
            colour=type_colour(names[number - 1], [*names, none]),
            rows=[(f"{one.start}–{one.end}", one.text, one.score, "") for one in chain.members],
        )
        for number, chain in enumerate(chains, 1)
    ]
    if lone:
        rows: list[Row] = [(f"{one.start}–{one.end}", one.text, None, "") for one in lone]
        cards.append(_card(kind=none, name="", score=None, colour=type_colour(none, [*names, none]), rows=rows))
    return _cards(cards)


def polarity_bar(counts: Counter[str], word: Words) -> str:
    """One bar split into positive, neutral and negative."""
    parts = "".join(
        f'<div style="--mark:{POLARITY_COLOURS[which]};flex:{counts[which]}">'
        f"{_e(word(f'polarity.{which}'))} {counts[which]}</div>"
        for which in (POSITIVE, NEUTRAL, NEGATIVE)
        if counts[which]
    )
    return f'{STYLES}<div class="desk-share">{parts}</div>' if parts else ""


def aspect_bars(annotations: Sequence[Annotation], word: Words) -> str:
    """A bar an aspect, as long as it is often spoken of, split by polarity; nothing while each is named but once."""
    counts = aspect_counts(annotations)
    most = max((its.total() for its in counts.values()), default=0)
    if len(counts) < 2 or most < 2:
        return ""
    rows = "".join(
        f"<span>{_e(name or word('card.implicit'))}</span>"
        f'<div style="width:{its.total() / most:.1%}">{polarity_bar(its, word).removeprefix(STYLES)}</div>'
        for name, its in sorted(counts.items(), key=lambda one: -one[1].total())
    )
    return f'{STYLES}<div class="desk-aspects">{rows}</div>'


def aspect_counts(annotations: Iterable[Annotation]) -> dict[str, Counter[str]]:
    """How often each aspect, by its words, was spoken of well and badly."""
    counts: dict[str, Counter[str]] = {}
    for aspect in annotations:
        for node in walk(aspect.children):
            if which := polarity(node.annotation.type):
                counts.setdefault(aspect.text, Counter())[which] += 1
    return counts


def quote(text: str) -> str:
    """A text as it is."""
    return f'{STYLES}<div class="desk-quote">{_e(text)}</div>'


def _by_role(event: Annotation) -> list[Row]:
    """The roles in the order found, each named once, its best filler first."""
    roles: dict[str, list[Annotation]] = {}
    for child in event.children:
        roles.setdefault(child.type, []).append(child)
    return [
        (role if number == 0 else "", one.text, one.score, "")
        for role, its in roles.items()
        for number, one in enumerate(sorted(its, key=lambda one: -one.score))
    ]


def _context(text: str, event: Annotation) -> str:
    """The words round a trigger, escaped, the trigger in bold."""
    if event.start is None or event.end is None:
        return ""
    first, last = max(event.start - CONTEXT, 0), min(event.end + CONTEXT, len(text))
    before, after = ("…" if first else "") + text[first : event.start], text[event.end : last]
    return f"{_e(before)}<b>{_e(event.text)}</b>{_e(after)}{'…' if last < len(text) else ''}"


def _polarity_colour(name: str) -> str:
    return POLARITY_COLOURS.get(polarity(name) or "", GREY)


def _card(
    *,
    kind: str,
    name: str,
    score: float | None,
    colour: str,
    rows: Sequence[Row],
    badge: str = "",
    context: str = "",
) -> str:
    lines = "".join(
        f"<tr{'' if label else ' class=more'}><td>{_dot(dot)}{_e(label)}</td><td>{_e(text)}</td>"
        f"<td class='score'>{'' if value is None else f'{value:.2f}'}</td></tr>"
        for label, text, value, dot in rows
    )
    shown = "" if score is None else f'<span class="score">{score:.2f}</span>'
    short = f'<span class="number" style="--ink:{ink_on(colour)}">{_e(badge)}</span>' if badge else ""
    around = f'<div class="context">{context}</div>' if context else ""
    return (
        f'<div class="desk-card" style="--mark:{_e(colour)}"><div class="head"><span>'
        f'<span class="kind">{short}{_e(kind)}</span><br><span class="name">{_e(name)}</span></span>{shown}</div>'
        f"{around}<table>{lines}</table></div>"
    )


def _dot(colour: str) -> str:
    return f'<span class="desk-dot" style="--mark:{_e(colour)}"></span>' if colour else ""


def _cards(cards: Iterable[str], *, wide: bool = False) -> str:
    body = "".join(cards)
    return f'{STYLES}<div class="desk-cards{" wide" if wide else ""}">{body}</div>' if body else ""
