"""Large exports: documents go through one by one, so memory does not grow with their number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import FormatError
from core.exporters import FORMATS, write_file
from core.types import AnnotatedDocument, Annotation, Document

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = 20_000
# The documents alone would take some 300 MB; a zip keeps an entry a file in memory.
GROWTH_MB = {"brat": 120}
ALLOWED_MB = 60
SCRIPT = """
import json, resource, sys
from pathlib import Path
from core.exporters import write_file
from core.types import AnnotatedDocument, Annotation, Document

TEXT = "张伟在南京大学工作，妻子是李娜。" * 40

def results(count):
    for number in range(count):
        text = f"{number}" + TEXT
        start = text.index("张伟")
        spouse = Annotation("配偶(人物)", start + 13, start + 15, "李娜", 0.5)
        trees = tuple(Annotation("人物", start, start + 2, "张伟", 0.9, (spouse,)) for _ in range(10))
        topic = Annotation("社会", None, None, "", 0.5)
        yield AnnotatedDocument(Document(text, id=str(number), metadata={"n": str(number)}), "re", (*trees, topic))

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

form, path, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
write_file(results(600), form, path=path)
before = peak_mb()
write_file(results(count), form, path=path)
print(json.dumps({"growth_mb": peak_mb() - before, "bytes": path.stat().st_size}))
"""


def one(number: int) -> AnnotatedDocument:
    return AnnotatedDocument(Document(f"张伟{number}"), "ner", (Annotation("人物", 0, 2, "张伟", 0.5),))


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_memory_stays_bounded_over_twenty_thousand_documents(format: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, format, str(tmp_path / "out"), str(DOCUMENTS)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    measured = json.loads(done.stdout)
    assert measured["bytes"] > 100_000
    assert measured["growth_mb"] < GROWTH_MB.get(format, ALLOWED_MB), measured


@pytest.mark.parametrize("format", ["native", "doccano", "csv", "conll", "html", "rex", "uie", "spacy"])
def test_a_document_is_written_before_the_next_but_one_is_asked_for(format: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    seen = []

    def results():
        for number in range(2000):
            seen.append(sum(part.stat().st_size for part in tmp_path.glob("out.*.part")))
            yield one(number)

    write_file(results(), format, path=path)
    assert seen[1900] > seen[1000] > seen[0], "nothing reaches the file until the end"
    assert path.stat().st_size >= seen[-1]


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.jsonl"

    def results():
        yield one(1)
        raise FormatError("坏了")

    with pytest.raises(FormatError, match="坏了"):
        write_file(results(), "native", path=path)
    assert list(path.parent.iterdir()) == []


def test_an_older_file_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_file([one(1)], "native", path=path)
    before = path.read_bytes()
    with pytest.raises(FormatError, match="没有可导出的结果"):
        write_file([], "native", path=path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(FormatError, match="无法写入 .*out.jsonl"):
        write_file([one(1)], "native", path=blocked / "out.jsonl")
