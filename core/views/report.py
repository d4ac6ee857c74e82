"""One text under every task as a page of its own: no script, nothing loaded from elsewhere, fit for printing. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape as _e

from core.polarity import polarity
from core.rendering import STYLES as TEXT_STYLES
from core.rendering import highlight, legend
from core.schemas.schema import Schema
from core.types import AnnotatedDocument
from core.views import arcs_svg, cards, chains, classes, figures
from core.views.arcs import graph_of, lines_of
from core.views.cards import Words
from core.views.findings import triples, walk

COLUMNS = 56
_STYLES = """<style>
:root{color-scheme:light dark;--desk-paper:light-dark(#fff,#12171e)}
body{max-width:62rem;margin:1.5rem auto;padding:0 1rem;background:var(--desk-paper);color:light-dark(#1d2530,#e3e8ef);
font:15px/1.6 'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei',system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:0 0 .5rem}
section{margin:0 0 1rem;padding:.75rem 1rem;border:1px solid #8885;border-radius:6px}
.facts{font-size:13px;opacity:.76;margin:0 0 .75rem}.two{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
.list{border-collapse:collapse;width:100%;font-size:13px;margin-top:.5rem}
.list td,.list th{padding:2px 8px 2px 0;border-bottom:1px solid #8883;text-align:left;overflow-wrap:anywhere}
.note{font-size:13px;opacity:.8}.error{color:light-dark(#a03000,#ff9a6a)}
@media print{:root{color-scheme:light}body{margin:0;max-width:none;font-size:11pt}
section{border-color:#999;padding:.4rem .6rem}.rex-span,.rex-chip,.rexg,.desk-class *{-webkit-print-color-adjust:exact;
print-color-adjust:exact}h2{break-after:avoid}}
</style>"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_page(
    results: Sequence[AnnotatedDocument],
    *,
    titles: Mapping[str, str],
    schemas: Mapping[str, Schema],
    word: Words,
    language: str,
    facts: Sequence[str] = (),
) -> str:
    """The report of one document as a whole HTML page.

    `titles` and `schemas` are by task: how it is called and what was asked; `facts` are said below the heading.
    """
    styles = "".join((TEXT_STYLES, arcs_svg.STYLES, cards.STYLES, classes.STYLES, figures.STYLES, _STYLES))
    sections = "".join(_section(one, titles, schemas.get(one.task), word) for one in results)
    said = " · ".join(_e(fact) for fact in facts)
    tiles = _bare(figures.figure_tiles(results, word, titles=titles))
    return (
        f'<!DOCTYPE html>\n<html lang="{_e(language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{_e(word("report.title"))}</title>{styles}</head>'
        f'<body><h1>{_e(word("report.title"))}</h1><p class="facts">{said}</p>{tiles}{sections}</body></html>\n'
    )


def _section(result: AnnotatedDocument, titles: Mapping[str, str], schema: Schema | None, word: Words) -> str:
    body = "".join(f'<p class="note">{_e(note)}</p>' for note in result.notes)
    if result.error:
        body += f'<p class="error">{_e(result.error)}</p>'
    elif result.annotations or result.candidates:
        body += _bare(_BODIES.get(result.task, _text)(result, schema, word))
    else:
        body += f'<p class="note">{_e(word("overview.nothing"))}</p>'
    return f"<section><h2>{_e(titles.get(result.task, result.task))}</h2>{body}</section>\n"


def _bare(markup: str) -> str:
    """Markup without the styles that stand once at the head of the page."""
    for styles in (TEXT_STYLES, arcs_svg.STYLES, cards.STYLES, classes.STYLES, figures.STYLES):
        markup = markup.replace(styles, "")
    return markup


def _text(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    names = [one.name for one in schema.types] if schema is not None else [one.type for one in result.annotations]
    return legend(names) + highlight(result.document.text, result.annotations, types=names)


def _relations(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    rows = "".join(
        f"<tr><td>{_e(one.subject.text)}</td><td>{_e(one.relation)}</td><td>{_e(one.object.text)}</td>"
        f"<td>{one.object.score:.3f}</td></tr>"
        for one in triples(result)
    )
    head = "".join(f"<th>{_e(word(f'column.{name}'))}</th>" for name in ("subject", "relation", "object", "score"))
    table = f'<table class="list"><tr>{head}</tr>{rows}</table>' if rows else ""
    return _arcs(result, word) + table


def _arcs(result: AnnotatedDocument, word: Words) -> str:
    text = result.document.text
    words, links = graph_of(result.annotations)
    alt = word("view.arcs.alt", count=len(links))
    # On paper nothing is folded away: every line of the text is there.
    lines = list(lines_of(text, words, links, columns=COLUMNS))
    return arcs_svg.arcs_svg(text, lines, words, links, fold="{count}", alt=alt)


def _events(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    return _arcs(result, word) + cards.event_cards(result.document.text, result.annotations, word)


def _opinions(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    found = Counter(which for node in walk(result.annotations) if (which := polarity(node.annotation.type)))
    bars = cards.polarity_bar(found, word) + cards.aspect_bars(result.annotations, word)
    return bars + cards.opinion_cards(result.annotations, word)


def _classes(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    return classes.class_bars(result, word, asked=[one.name for one in schema.types] if schema is not None else ())


def _pair(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    second = cards.quote(result.document.text_pair or "")
    return f'<div class="two">{cards.quote(result.document.text)}{second}</div>{_classes(result, schema, word)}'


def _tree(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    return classes.class_tree(result, schema, word)


def _answers(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    asked = cards.question_order([one.name for one in schema.types] if schema is not None else (), result.annotations)
    marks = cards.answer_marks(asked, result.annotations, word)
    text = highlight(result.document.text, marks, types=cards.question_names(len(asked), word))
    return text + cards.answer_cards(asked, result.annotations, word)


def _chains(result: AnnotatedDocument, schema: Schema | None, word: Words) -> str:
    found, lone = chains.chains_of(result.annotations)
    none = word("card.no_chain")
    names = [*chains.chain_names(found), none]
    text = highlight(result.document.text, chains.chain_marks(found, lone, none=none), types=names)
    return text + cards.chain_cards(found, lone, word)


_BODIES: dict[str, Callable[[AnnotatedDocument, Schema | None, Words], str]] = {
    "re": _relations,
    "ee": _events,
    "absa": _opinions,
    "atsc": _opinions,
    "sentiment": _classes,
    "classification": _classes,
    "multilabel": _classes,
    "hierarchy": _tree,
    "matching": _pair,
    "nli": _pair,
    "mrc": _answers,
    "coref": _chains,
}
