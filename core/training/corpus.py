"""Raw text files -> one token stream a source, ready for pre-training.

Paragraphs that are held out or that were seen before are dropped and counted. A stream holds one [SEP] after each
paragraph and one more between documents. Run as `python -m core.training.corpus FILES --tokenizer DIR --out DIR`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import lzma
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from core.errors import InputError
from core.training.heldout import load_heldout, normalised_sha1

SEP = 2
GENERATED = ("smile", "emollm", "alpaca_open", "huatuo_med", "dotnet_docs", "debian_docs", "poetry_sample")
SOURCE_WEIGHTS = dict.fromkeys(GENERATED, 0.3)
"""How often a token of a source is drawn, relative to other sources; 1 where nothing is said."""

_OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open}
_MARKERS = ("[CLASSIFY]", "[MULTICLASSIFY]")
_CHUNK_CHARS = 500_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SourceCounts:
    """What became of a source: paragraphs read, dropped as held out, dropped as seen before, and tokens written."""

    paragraphs: int = 0
    held_out: int = 0
    duplicates: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Encoded paragraphs: `lengths[i]` tokens each; a document boundary has hash 0, a held-out paragraph length 0."""

    source: str
    tokens: np.ndarray
    lengths: np.ndarray
    hashes: np.ndarray


def read_paragraphs(path: Path) -> Iterator[str]:
    """The paragraphs of a corpus file, stripped; an empty string stands between two documents.

    `.txt` holds a paragraph a line and blank lines between documents, `.jsonl` one document a line in the field
    "text"; either may be packed as `.xz` or `.gz`. Raises InputError for a file that cannot be read.
    """
    opener = _OPENERS.get(path.suffix, open)
    is_json = ".jsonl" in path.suffixes
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not is_json:
                    yield line.strip()
                    continue
                yield from (part.strip() for part in _json_text(line, path, number).split("\n"))
                yield ""
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(f"无法读取语料文件 {path}：{error}。请检查文件是否完整、是否为 UTF-8。") from error


def _json_text(line: str, path: Path, number: int) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"语料文件 {path} 第 {number} 行不是带 text 字段的 JSON：{error!r}。") from error
    if not isinstance(text, str):
        raise InputError(f"语料文件 {path} 第 {number} 行的 text 字段不是字符串。")
    for marker in _MARKERS:  # a marker asks for a task; it is no text
        text = text.removeprefix(marker)
    return text


def source_name(path: Path) -> str:
    """The file name without what tells its format: `laws.txt.xz` is the source `laws`."""
    name = path.name
    for suffix in (".xz", ".gz", ".txt", ".jsonl"):
        name = name.removesuffix(suffix)
    return name


def prepare_corpus(
    files: Iterable[Path], out: Path, *, tokenizer: Path, heldout: Path, processes: int | None = None
) -> dict[str, SourceCounts]:
    """Write `<source>.npy` (uint16 token ids) for each file, `counts.json` and a copy of the tokenizer.

    `tokenizer` is a directory with tokenizer.json. Returns the counts by source. Of equal paragraphs (in the normal
    form of `heldout`) the first file in the given order keeps its copy, whatever the number of processes.
    """
    files = list(files)
    names = [source_name(path) for path in files]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"有多个语料文件的来源名相同：{'、'.join(doubled)}。请改名后再试。")
    out.mkdir(parents=True, exist_ok=True)
    counts = {name: SourceCounts() for name in names}
    streams: dict[str, list[np.ndarray]] = {name: [] for name in names}
    seen: set[int] = set()
    workers = processes or os.cpu_count() or 1
    setup = (tokenizer / "tokenizer.json", heldout)
    with ExitStack() as stack:
        if workers == 1:
            _start_worker(*setup)
            encoded: Iterator[_Chunk] = map(_encode, _chunks(files))
        else:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(workers, _start_worker, setup))
            encoded = pool.imap(_encode, _chunks(files))
        for chunk in encoded:
            streams[chunk.source].append(_keep_new(chunk, seen, counts[chunk.source]))
    for name, parts in streams.items():
        stream = np.concatenate([np.zeros(0, dtype=np.uint16), *parts])
        counts[name].tokens = len(stream)
        np.save(out / f"{name}.npy", stream)
        _log.info("%s %s", name, asdict(counts[name]))
    table = {name: asdict(count) for name, count in counts.items()}
    for name in ("tokenizer.json", "tokenizer_config.json"):  # ids mean nothing without their tokenizer
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, out / name)
    (out / "counts.json").write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return counts


def _chunks(files: Iterable[Path]) -> Iterator[tuple[str, list[str]]]:
    """Lists of paragraphs with their source; runs of boundaries become one."""
    for path in files:
        kept: list[str] = []
        size = 0
        before = ""
        for paragraph in read_paragraphs(path):
            if paragraph or before:
                kept.append(paragraph)
                size += len(paragraph)
            before = paragraph
            if size >= _CHUNK_CHARS:
                yield source_name(path), kept
                kept, size = [], 0
        if kept:
            yield source_name(path), kept


_worker: tuple[Tokenizer, frozenset[str]]


def _start_worker(tokenizer_file: Path, heldout: Path) -> None:
    """Load what every chunk needs, once a process."""
    global _worker
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.encode_special_tokens = True  # a marker in raw text is text
    _worker = tokenizer, load_heldout(heldout)


def _encode(chunk: tuple[str, list[str]]) -> _Chunk:
    source, paragraphs = chunk
    tokenizer, heldout = _worker
    ids: list[int] = []
    lengths = np.zeros(len(paragraphs), dtype=np.int64)
    hashes = np.zeros(len(paragraphs), dtype=np.uint64)
    for number, paragraph in enumerate(paragraphs):
        before = len(ids)
        if paragraph:
            digest = normalised_sha1(paragraph)
            hashes[number] = int(digest[:16], 16)
            if digest in heldout:
                continue
            ids += tokenizer.encode(paragraph, add_special_tokens=False).ids
        ids.append(SEP)
        lengths[number] = len(ids) - before
    return _Chunk(source, np.array(ids, dtype=np.uint16), lengths, hashes)


def _keep_new(chunk: _Chunk, seen: set[int], counts: SourceCounts) -> np.ndarray:
    """The tokens of boundaries and of paragraphs not seen before; `seen` and `counts` are brought up to date."""
    keep = np.ones(len(chunk.lengths), dtype=bool)
    for number, (length, key) in enumerate(zip(chunk.lengths.tolist(), chunk.hashes.tolist(), strict=True)):
        if not key:
            continue
        counts.paragraphs += 1
        if not length:
            counts.held_out += 1
        elif key in seen:
            counts.duplicates += 1
            keep[number] = False
        else:
            seen.add(key)
    kept: np.ndarray = chunk.tokens[np.repeat(keep, chunk.lengths)]
    return kept


def main() -> None:
    """Turn corpus files into token streams."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="corpus files: .txt or .jsonl, plain, .xz or .gz")
    parser.add_argument("--tokenizer", type=Path, required=True, help="directory with tokenizer.json")
    parser.add_argument("--heldout", type=Path, required=True, help="file of SHA-1 hashes that must not be seen")
    parser.add_argument("--out", type=Path, required=True, help="directory that gets <source>.npy and counts.json")
    parser.add_argument("--processes", type=int, default=None, help="worker processes; all cores if not given")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    prepare_corpus(args.files, args.out, tokenizer=args.tokenizer, heldout=args.heldout, processes=args.processes)


if __name__ == "__main__":
    main()
