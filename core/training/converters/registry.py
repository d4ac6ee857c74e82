"""Every converter by name, and the command that runs them over a directory of published sets.

    python -m core.training.converters.registry --datasets DIR --out DIR

writes `<set>.train.jsonl`, `<set>.dev.jsonl` and `stats.json`. Two passes: the first finds the groups of every
set that go to dev, the second writes, so that a text is on the same side in all sets.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError, RexError
from core.training.converters import classes, dialogue, events, ner, opinions, pairs, reading, relations
from core.training.converters.record import Record, Tally, problem
from core.training.converters.splitting import choose_dev, fingerprint, group_of, identity, is_held_out
from core.training.heldout import load_heldout

PERMISSIVE, SHARE_ALIKE, RESTRICTED, UNSTATED = "permissive", "share-alike", "restricted", "unstated"
LICENCE_CLASSES = (PERMISSIVE, SHARE_ALIKE, RESTRICTED, UNSTATED)


@dataclass(frozen=True, slots=True)
class ConverterInfo:
    """A set: its converter, the tasks it yields, its licence as published and that licence's class."""

    name: str
    function: Callable[[Path, Tally], Iterator[Record]]
    tasks: tuple[str, ...]
    licence: str
    licence_class: str


def _info(
    function: Callable[[Path, Tally], Iterator[Record]], tasks: str, *, licence: str, kind: str
) -> tuple[str, ConverterInfo]:
    name = function.__name__.removeprefix("convert_")
    return name, ConverterInfo(name, function, tuple(tasks.split()), licence, kind)


_NONE = {"licence": "unstated", "kind": UNSTATED}
_RESEARCH = {"licence": "research", "kind": RESTRICTED}
_ACADEMIC = {"licence": "academic", "kind": RESTRICTED}
_NON_COMMERCIAL = {"licence": "non-commercial", "kind": RESTRICTED}
_MIT = {"licence": "MIT", "kind": PERMISSIVE}
_BY_SA_4 = {"licence": "CC BY-SA 4.0", "kind": SHARE_ALIKE}

CONVERTERS: dict[str, ConverterInfo] = dict(
    [
        _info(ner.convert_cluener, "ner", **_NONE),
        _info(ner.convert_msra, "ner", **_NONE),
        _info(ner.convert_peoples_daily_1998, "ner", licence="package MIT, text unstated", kind=UNSTATED),
        _info(ner.convert_resume, "ner", **_NONE),
        _info(ner.convert_cmeee, "ner", **_NON_COMMERCIAL),
        _info(ner.convert_video_music_book, "ner", **_NONE),
        _info(ner.convert_tcm_leaflets, "ner", **_NONE),
        _info(dialogue.convert_crosswoz, "ner multilabel hierarchy", licence="Apache-2.0", kind=PERMISSIVE),
        _info(dialogue.convert_kgclue, "ner", **_NONE),
        _info(dialogue.convert_smp2019, "ner classification hierarchy", **_NONE),
        _info(relations.convert_finre, "re", **_MIT),
        _info(relations.convert_sanwen, "re", **_MIT),
        _info(relations.convert_cmeie, "re", **_NON_COMMERCIAL),
        _info(events.convert_fewfc, "ee", **_BY_SA_4),
        _info(events.convert_duee, "ee multilabel hierarchy", **_RESEARCH),
        _info(opinions.convert_zhang_aste, "absa atsc", **_RESEARCH),
        _info(opinions.convert_gdcq, "absa atsc multilabel", **_NONE),
        _info(opinions.convert_bdci_car, "multilabel hierarchy atsc absa", **_NONE),
        _info(opinions.convert_diaasq, "absa", **_MIT),
        _info(opinions.convert_apc_products, "atsc", **_RESEARCH),
        _info(classes.convert_chnsenticorp, "sentiment", **_NONE),
        _info(classes.convert_hotel, "sentiment", **_NONE),
        _info(classes.convert_online_shopping, "sentiment classification hierarchy", **_NONE),
        _info(classes.convert_book_review, "sentiment", **_NONE),
        _info(classes.convert_smp2020, "classification", **_NONE),
        _info(classes.convert_toutiao, "classification", **_NONE),
        _info(classes.convert_thucnews_titles, "classification", **_RESEARCH),
        _info(classes.convert_fewclue_topics, "classification hierarchy", **_NONE),
        _info(classes.convert_cail_elements, "multilabel", **_NONE),
        _info(pairs.convert_afqmc, "matching", **_ACADEMIC),
        _info(pairs.convert_lcqmc, "matching", **_ACADEMIC),
        _info(pairs.convert_bq, "matching", licence="application only", kind=RESTRICTED),
        _info(pairs.convert_pawsx, "matching", licence="free for any purpose", kind=PERMISSIVE),
        _info(pairs.convert_sts_b, "matching", **_ACADEMIC),
        _info(pairs.convert_simclue, "matching", **_NONE),
        _info(pairs.convert_ocnli, "nli", licence="CC BY-NC 2.0", kind=RESTRICTED),
        _info(pairs.convert_cmnli_dev, "nli", **_ACADEMIC),
        _info(pairs.convert_snli_zh_dev, "nli", licence="academic (SNLI CC BY-SA 4.0)", kind=RESTRICTED),
        _info(pairs.convert_cluewsc, "coref", **_NONE),
        _info(reading.convert_c3, "choice", licence="CC BY-SA 4.0 (ExpMRC copy)", kind=SHARE_ALIKE),
        _info(reading.convert_cmrc2018, "mrc", **_BY_SA_4),
        _info(reading.convert_drcd_dev, "mrc", licence="CC BY-SA 3.0", kind=SHARE_ALIKE),
        _info(reading.convert_cail_mrc, "mrc choice", **_NONE),
    ]
)


def select(names: Collection[str] | None = None, *, licences: Collection[str] | None = None) -> list[ConverterInfo]:
    """The converters of these names and licence classes (None: all); raises InputError for an unknown one."""
    unknown = sorted(set(names or ()) - set(CONVERTERS)) + sorted(set(licences or ()) - set(LICENCE_CLASSES))
    if unknown:
        raise InputError(
            f"未知的数据集或许可类别：{'、'.join(unknown)}。数据集可选 {'、'.join(CONVERTERS)}；"
            f"许可类别可选 {'、'.join(LICENCE_CLASSES)}。"
        )
    return [
        info
        for info in CONVERTERS.values()
        if (names is None or info.name in names) and (licences is None or info.licence_class in licences)
    ]


def convert_all(
    datasets_dir: Path,
    heldout: frozenset[str],
    out_dir: Path,
    *,
    names: Collection[str] | None = None,
    licences: Collection[str] | None = None,
) -> dict[str, Any]:
    """Convert the chosen sets; returns, by set: rows by task and side, what was dropped and why, the licence.

    A set whose directory is absent is reported as missing, not an error. Raises FormatError for damaged files.
    """
    chosen = select(names, licences=licences)
    present = [info for info in chosen if (datasets_dir / info.name).is_dir()]
    dev = _dev_hashes(present, datasets_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    stats: dict[str, Any] = {"sets": {}, "missing": sorted({info.name for info in chosen} - {i.name for i in present})}
    seen: set[bytes] = set()
    for info in present:
        stats["sets"][info.name] = _write(info, datasets_dir, out_dir=out_dir, heldout=heldout, seen=seen, dev=dev)
    (out_dir / "stats.json").write_text(json.dumps(stats, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return stats


def _dev_hashes(infos: Iterable[ConverterInfo], datasets_dir: Path) -> set[str]:
    """The hashes of the groups for dev (of each set those that it ships, else a share) and of all their keys."""
    groups: set[str] = set()
    keys_of: dict[str, set[str]] = {}
    for info in infos:
        shipped: set[str] = set()
        others: set[str] = set()
        for record in info.function(datasets_dir / info.name, Tally()):
            group = group_of(record)
            (shipped if record.split == "dev" else others).add(group)
            if record.group:
                keys_of.setdefault(group, set()).add(fingerprint(record.key))
        groups |= shipped or choose_dev(others)
    return groups.union(*(keys_of.get(group, ()) for group in groups))


def _write(
    info: ConverterInfo,
    datasets_dir: Path,
    *,
    out_dir: Path,
    heldout: frozenset[str],
    seen: set[bytes],
    dev: set[str],
) -> dict[str, Any]:
    """Write one set's two files and return its counts."""
    left_out: Tally = Counter()
    dropped: Counter[str] = Counter()
    counts: dict[str, Counter[str]] = {task: Counter() for task in info.tasks}
    parts = {side: out_dir / f"{info.name}.{side}.jsonl.part" for side in ("train", "dev")}
    with parts["train"].open("w", encoding="utf-8") as train, parts["dev"].open("w", encoding="utf-8") as development:
        for number, record in enumerate(info.function(datasets_dir / info.name, left_out)):
            reason = problem(record) or _reason(record, heldout=heldout, seen=seen)
            if reason:
                dropped[reason] += 1
                continue
            side = "dev" if group_of(record) in dev or fingerprint(record.key) in dev else "train"
            counts[record.task][side] += 1
            (development if side == "dev" else train).write(json_line(record, number) + "\n")
    for part in parts.values():
        part.replace(part.with_suffix(""))  # a reader never sees a file half written
    return {
        "tasks": {task: dict(sides) for task, sides in counts.items()},
        "dropped": dict(dropped),
        "left_out_by_converter": {reason: count for reason, count in left_out.items() if count},
        "licence": info.licence,
        "licence_class": info.licence_class,
    }


def _reason(record: Record, *, heldout: frozenset[str], seen: set[bytes]) -> str:
    """Why a sound record is left out, or nothing; remembers those that stay."""
    if is_held_out(record, heldout):
        return "held out"
    key = identity(record)
    if key in seen:
        return "duplicate"
    seen.add(key)
    return ""


def json_line(record: Record, number: int) -> str:
    """The record as one line of JSON, with an id of set and running number."""
    return json.dumps(
        {
            "id": f"{record.source}-{number}",
            "task": record.task,
            "source": record.source,
            "text": record.text,
            "info_list": record.info_list,
            "schema": record.schema,
        },
        ensure_ascii=False,
    )


def main(arguments: Iterable[str] | None = None) -> None:
    """The command line; what was done stands in `stats.json`, an error ends the program with its message."""
    parser = argparse.ArgumentParser(description="把公开的标注数据集转换成 RexUniNLU 训练格式")
    parser.add_argument("--datasets", type=Path, required=True, help="数据集目录，每个数据集一个子目录")
    parser.add_argument("--out", type=Path, required=True, help="输出目录")
    parser.add_argument("--heldout", type=Path, help="留出集哈希文件，默认是数据集目录里的 heldout_sha1.txt")
    parser.add_argument("--names", nargs="+", help="只转换这些数据集")
    parser.add_argument("--licences", nargs="+", choices=LICENCE_CLASSES, help="只转换这些许可类别的数据集")
    options = parser.parse_args(None if arguments is None else list(arguments))
    try:
        heldout = load_heldout(options.heldout or options.datasets / "heldout_sha1.txt")
        convert_all(options.datasets, heldout, options.out, names=options.names, licences=options.licences)
    except RexError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
