"""Patterns filled with invented names → training records in which only the sentence tells who plays which role.

    python -m core.training.templates data/training/templates.json --heldout FILE --records N --seed 1 --out DIR

The template file holds `forms` (kinds of names made of parts), `relations`, `events`, reviews (`domains` and words of
opinion) and `coreference`. In a pattern `{甲}` is a slot, `{甲+}` a list of two to four, `(一|二)` a choice, `[三]`
may be left out and `{T:买|购}` is a trigger.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import FormatError
from core.training.converters.record import Record, problem
from core.training.converters.splitting import fingerprint, identity, is_held_out
from core.training.heldout import load_heldout
from core.training.samples import read_record
from core.training.template_events import aspect_record, coreference_record, event_record, opinion_record
from core.training.template_relations import prepare_relations, relation_record

SOURCE = "templates"
DEV_ONE_IN = 100
SHARES = {"re": 0.45, "ee": 0.25, "absa": 0.15, "atsc": 0.05, "coref": 0.10}
_MAKERS = {
    "re": relation_record,
    "ee": event_record,
    "absa": opinion_record,
    "atsc": aspect_record,
    "coref": coreference_record,
}
_log = logging.getLogger(__name__)


def load_templates(path: Path) -> dict[str, Any]:
    """The templates of a file; raises FormatError when it is no JSON or a pattern lacks a slot."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        prepare_relations(data)
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"模板文件 {path} 不能用：{error}。请修正后重试。") from error
    return data


def make_records(
    data: Mapping[str, Any], *, count: int, seed: int, heldout: frozenset[str] = frozenset()
) -> Iterator[Record]:
    """`count` different records in the shares of the tasks, none of them held out; the same ones for a seed.

    Raises FormatError for a record whose spans or types do not fit: a fault of the templates.
    """
    for task, share in SHARES.items():
        rng = random.Random(f"{seed} {task}")
        seen: set[bytes] = set()
        wanted = round(count * share)
        for _ in range(20 * wanted):
            if len(seen) == wanted:
                break
            record = _MAKERS[task](data, rng, source=SOURCE)
            if fault := problem(record):
                raise FormatError(f"模板得到的记录不能用（{fault}）：{record.text[:60]}")
            name = identity(record)
            if name not in seen and not is_held_out(record, heldout):
                seen.add(name)
                yield record


def write(path: Path, out: Path, *, heldout: frozenset[str], count: int, seed: int) -> dict[str, int]:
    """Write templates.train.jsonl and templates.dev.jsonl, a hundredth by hash; returns the counts by task."""
    data = load_templates(path)
    rows: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    for record in make_records(data, count=count, seed=seed, heldout=heldout):
        counts[record.task] += 1
        row: dict[str, Any] = {"id": f"{SOURCE}-{sum(counts.values()) - 1}", "task": record.task, "source": SOURCE}
        row |= {"text": record.text, "info_list": record.info_list, "schema": record.schema}
        read_record(row)
        side = "dev" if int(fingerprint(record.key)[:8], 16) % DEV_ONE_IN == 0 else "train"
        rows.append((side, json.dumps(row, ensure_ascii=False) + "\n"))
    random.Random(seed).shuffle(rows)
    out.mkdir(parents=True, exist_ok=True)
    for side in ("train", "dev"):
        lines = (line for where, line in rows if where == side)
        (out / f"{SOURCE}.{side}.jsonl").write_text("".join(lines), encoding="utf-8")
        counts[side] = sum(where == side for where, _ in rows)
    return dict(counts)


def main() -> None:
    """Fill the templates and write them as training records."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path, help="templates in the form that this module describes")
    parser.add_argument("--heldout", type=Path, help="file of SHA-1 hashes that must not be seen")
    parser.add_argument("--records", type=int, default=60_000, help="how many records to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="directory that gets templates.{train,dev}.jsonl")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    heldout = load_heldout(args.heldout) if args.heldout else frozenset()
    _log.info("%s", write(args.file, args.out, heldout=heldout, count=args.records, seed=args.seed))


if __name__ == "__main__":
    main()
