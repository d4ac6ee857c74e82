"""Raw text → records of entity types found by word lists and exact patterns, so that a model meets many type names.

Run as `python -m core.training.weak FILES --heldout FILE --out DIR`.
"""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.training.corpus import read_paragraphs, source_name
from core.training.gazetteers import Lists, find_kinds, in_doubt, load_lists
from core.training.heldout import load_heldout, normalised_sha1

PARAGRAPHS = 12_000
"""How many paragraphs of a file are looked at."""
SHORTEST, LONGEST = 15, 180
KIND_SHARE, WORD_SHARE, SOURCE_SHARE = 0.05, 0.003, 0.12
"""The largest parts of the records that hold one type, one word of one type, and texts of one file."""
FLOOR_SHARE = 0.015
"""Each type is first brought to this part of the records, where the texts allow."""
RARE_SHARE = 0.0015
"""A type that fewer texts hold, as a part of the records, is not asked for at all."""
MOST_TYPES = 8
ABSENT = (2, 8)
DEV_ONE_IN = 100

_SENTENCE = re.compile(r"[^。！？!?；]*(?:[。！？!?；]+[”」’』）)]*|$)")
_MARKUP = re.compile(
    r"\]\(|\]\[|```|^\s*[|>*`]|^\s*#+ |^\[\d+\]|\|.*\||\\n|</|\{\{|\t|://.*://|\ufffd|[\x00-\x08]|&[a-z]+;|\*\*|`|#idiom"
)
_TRADITIONAL = re.compile("[國這個們來時會對說為學發實經當還進過麼電動開關頭見長東車書語]")
_HAN = re.compile("[\u4e00-\u9fff]")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a source with the spans of its types; a type in doubt is in `doubtful` alone."""

    text: str
    source: str
    found: dict[int, list[tuple[int, int]]]
    doubtful: frozenset[int]
    key: str


def write_weak(files: Sequence[Path], out: Path, *, heldout: Path, records: int, seed: int = 1) -> dict[str, int]:
    """Write weak.train.jsonl and weak.dev.jsonl (every hundredth by hash); returns how many records hold each type.

    Raises InputError if the files hold nothing that can be used.
    """
    lists = load_lists()
    hidden = load_heldout(heldout)
    pool: dict[str, Text] = {}
    for path in sorted(files, key=source_name):
        before = len(pool)
        for text in _texts(path, lists, hidden=hidden, seed=seed):
            pool.setdefault(text.key, text)
        _log.info("%s: %d texts", source_name(path), len(pool) - before)
    holders = Counter(kind for text in pool.values() for kind in text.found)
    common = frozenset(kind for kind in range(len(lists.kinds)) if holders[kind] >= int(records * RARE_SHARE))
    chosen = choose(list(pool.values()), common, records=records, seed=seed)
    if not chosen:
        raise InputError("这些语料文件里没有找到可用的句子：请给出更多文本，或检查文件格式（每行一段）。")
    counts: Counter[str] = Counter()
    out.mkdir(parents=True, exist_ok=True)
    with (
        (out / "weak.train.jsonl").open("w", encoding="utf-8") as train,
        (out / "weak.dev.jsonl").open("w", encoding="utf-8") as dev,
    ):
        for number, (text, kinds) in enumerate(chosen):
            counts.update(lists.kinds[kind].names[0] for kind in kinds)
            record = {"id": f"weak-{number}", **make_record(text, kinds, lists, common=common, seed=seed)}
            file = dev if int(text.key[:8], 16) % DEV_ONE_IN == 0 else train
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return dict(counts.most_common())


def cut_text(paragraph: str, rng: random.Random) -> str:
    """One to three neighbouring sentences, chosen by chance, of 15–180 characters; "" if there are none."""
    sentences = [found.group() for found in _SENTENCE.finditer(paragraph) if found.group().strip()]
    wanted = rng.choice((1, 1, 2, 2, 3))
    start = rng.randrange(len(sentences)) if sentences else 0
    text = ""
    for sentence in sentences[start : start + wanted]:
        if text and len(text) + len(sentence) > LONGEST:
            break
        text += sentence
    text = text.strip()
    readable = SHORTEST <= len(text) <= LONGEST and 3 * len(_HAN.findall(text)) >= len(text)
    return text if readable and not _MARKUP.search(text) and not _TRADITIONAL.search(text) else ""


def choose(pool: Sequence[Text], common: frozenset[int], *, records: int, seed: int) -> list[tuple[Text, list[int]]]:
    """At most `records` texts with the types to ask for: rare types first, then whatever is below its share."""
    limit, floor = round(records * KIND_SHARE), round(records * FLOOR_SHARE)
    word_limit, source_limit = max(5, round(records * WORD_SHARE)), max(20, round(records * SOURCE_SHARE))
    ordered = _spread(pool, seed)
    holders: dict[int, list[int]] = defaultdict(list)
    for index, text in enumerate(ordered):
        for kind in common.intersection(text.found):
            holders[kind].append(index)
    kind_count: Counter[int] = Counter()
    word_count: Counter[tuple[int, str]] = Counter()
    source_count: Counter[str] = Counter()
    taken: dict[int, list[int]] = {}

    def take(index: int) -> None:
        text = ordered[index]
        if index in taken or len(taken) >= records or source_count[text.source] >= source_limit:
            return
        kinds = []
        for kind in sorted(common.intersection(text.found), key=lambda kind: (kind_count[kind], kind))[:MOST_TYPES]:
            words = {(kind, text.text[start:end]) for start, end in text.found[kind]}
            if kind_count[kind] < limit and all(word_count[word] < word_limit for word in words):
                kinds.append(kind)
        if not kinds:
            return
        for kind in kinds:
            word_count.update((kind, text.text[start:end]) for start, end in text.found[kind])
        taken[index] = sorted(kinds)
        kind_count.update(kinds)
        source_count[text.source] += 1

    for kind in sorted(holders, key=lambda kind: (len(holders[kind]), kind)):
        for index in holders[kind]:
            if kind_count[kind] >= floor:
                break
            take(index)
    for index in range(len(ordered)):
        take(index)
    picked = [(ordered[index], kinds) for index, kinds in taken.items()]
    random.Random(seed).shuffle(picked)
    return picked


def make_record(text: Text, kinds: Sequence[int], lists: Lists, *, common: frozenset[int], seed: int) -> dict[str, Any]:
    """The training form {text, info_list, schema, task, source}: types found and two to eight that are not there."""
    rng = random.Random(f"{seed} {text.key}")
    possible = [
        number
        for number in sorted(common)
        if lists.kinds[number].closed and number not in text.found and number not in text.doubtful
    ]
    absent: list[int] = []
    wanted = rng.randint(*ABSENT)
    for number in rng.sample(possible, len(possible)):
        if len(absent) == wanted:
            break
        if not in_doubt(text.text, [], lists.kinds[number]):
            absent.append(number)
    asked = [*kinds, *absent]
    rng.shuffle(asked)
    names = {number: rng.choice(lists.kinds[number].names) for number in asked}
    spans = sorted((start, end, names[kind]) for kind in kinds for start, end in text.found[kind])
    marks = [[{"type": name, "span": text.text[start:end], "offset": [start, end]}] for start, end, name in spans]
    schema = dict.fromkeys(names[number] for number in asked)
    return {"task": "ner", "source": "weak", "text": text.text, "info_list": marks, "schema": schema}


def _texts(path: Path, lists: Lists, *, hidden: frozenset[str], seed: int) -> Iterator[Text]:
    """A text of each sampled paragraph in which a type was found."""
    for paragraph in _sample(read_paragraphs(path), seed):
        text = cut_text(paragraph, random.Random(f"{seed} {paragraph}"))
        if not text:
            continue
        found, doubtful = find_kinds(text, lists)
        sure = {kind: spans for kind, spans in found.items() if kind not in doubtful}
        if not sure:
            continue
        key = normalised_sha1(text)
        if key not in hidden and normalised_sha1(paragraph) not in hidden:
            yield Text(text, source_name(path), sure, frozenset(doubtful), key)


def _sample(paragraphs: Iterable[str], seed: int) -> list[str]:
    """A part of the paragraphs drawn by their hash, so that the same ones are drawn in whatever order they come."""
    hashed = ((zlib.crc32(part.encode("utf-8", "replace"), seed), part) for part in paragraphs if len(part) >= SHORTEST)
    return [part for _, part in heapq.nsmallest(PARAGRAPHS, hashed)]


def _spread(pool: Sequence[Text], seed: int) -> list[Text]:
    """The texts of every source in turn, those of a source in the order of their hashes."""
    queues: dict[str, list[Text]] = defaultdict(list)
    for text in sorted(pool, key=lambda text: zlib.crc32(text.key.encode("ascii"), seed)):
        queues[text.source].append(text)
    places = [(place, source, text) for source in queues for place, text in enumerate(queues[source])]
    return [text for _, _, text in sorted(places, key=lambda entry: entry[:2])]


def main() -> None:
    """Find entity types in corpus files by word lists and patterns and write them as training records."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="corpus files: .txt or .jsonl, plain, .xz or .gz")
    parser.add_argument("--heldout", type=Path, required=True, help="file of SHA-1 hashes that must not be seen")
    parser.add_argument(
        "--out", type=Path, required=True, help="directory that gets weak.train.jsonl and weak.dev.jsonl"
    )
    parser.add_argument("--records", type=int, default=40_000, help="how many records to write")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    counts = write_weak(args.files, args.out, heldout=args.heldout, records=args.records, seed=args.seed)
    for name, count in counts.items():
        _log.info("%s %d", name, count)


if __name__ == "__main__":
    main()
