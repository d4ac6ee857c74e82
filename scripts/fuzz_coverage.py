"""Coverage-guided fuzzing of what reads untrusted input: `python -m scripts.fuzz_coverage --minutes 3`.

The properties are those of `tests/fuzz`. atheris watches which branches of `core` an input reaches and keeps those that
reach new ones; each target runs in a process of its own, from sound files and schemas on. Ends with status 1 when a
property does not hold; the input is then kept in `build/fuzz`, and `--again FILE` tries it once more.
Needs `pip install -r requirements-fuzz.txt`.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from core.config import ROOT

FOUND = ROOT / "build" / "fuzz"
INSTRUMENTED = ("readers", "extraction", "schemas", "tasks", "inference", "model.tokenizer", "model.characters")
Target = Callable[[bytes], None]


def properties(name: str) -> ModuleType:
    """A file of `tests/fuzz` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "fuzz" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def readers() -> tuple[Target, list[bytes]]:
    """The first byte chooses the extension, the rest is the file."""
    tests = properties("test_fuzz_readers")
    kinds = sorted(tests.SOUND)

    def target(data: bytes) -> None:
        if data:
            tests.read_or_refused(kinds[data[0] % len(kinds)], data[1:])

    return target, [bytes([number]) + tests.SOUND[kind] for number, kind in enumerate(kinds)]


def annotated() -> tuple[Target, list[bytes]]:
    """The first byte chooses the form of the annotated file."""
    tests = properties("test_fuzz_readers")
    kinds = sorted(tests.ANNOTATED_FORMATS)
    holds = tests.test_any_annotated_file_has_its_spans_in_its_text_or_is_refused.hypothesis.inner_test

    def target(data: bytes) -> None:
        if data:
            holds(data=data[1:], format=kinds[data[0] % len(kinds)])

    lines = tests.ANNOTATED.splitlines(keepends=True)
    return target, [bytes([number]) + line for number in range(len(kinds)) for line in lines]


def docx() -> tuple[Target, list[bytes]]:
    """The bytes are the main part of a Word document, read in this process: so its branches are seen."""
    from core.errors import FormatError
    from core.extraction.docx import extract

    def target(data: bytes) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("word/document.xml", data)
        try:
            for kind, *rest in extract(buffer):  # type: ignore[arg-type]  # zipfile takes both
                assert kind in ("text", "note") and rest
        except FormatError as error:
            assert str(error)

    with zipfile.ZipFile(ROOT / "data" / "samples" / "notice.docx") as archive:
        return target, [archive.read("word/document.xml")]


def schemas() -> tuple[Target, list[bytes]]:
    """The bytes are text that somebody pastes as a schema."""
    tests = properties("test_fuzz_schemas")
    holds = tests.test_any_pasted_text_is_mended_or_refused_with_reasons.hypothesis.inner_test
    seeds = [
        '{"人物": {"配偶(人物)": null}, "地点": null}',
        '{"人名": "",}',
        "{'a': None, “b”：[]}",
        "标签1,标签2|正文",
        '["人物", "地点"]',
        "人物、地点",
    ]
    # bytes that are no UTF-8 become half surrogate pairs, which are pasted too
    return lambda data: holds(text=data.decode("utf-8", "surrogateescape")), [seed.encode() for seed in seeds]


def prompts() -> tuple[Target, list[bytes]]:
    """Windows and prompts; the bytes are the choices that Hypothesis makes texts, types and bounds of."""
    tests = properties("test_fuzz_inference")
    windows = tests.test_tokens_keep_their_places_and_windows_leave_none_out.hypothesis.fuzz_one_input
    asked = tests.test_every_type_is_asked_once_within_the_bound_or_named.hypothesis.fuzz_one_input

    def target(data: bytes) -> None:
        if data:
            (windows if data[0] % 2 else asked)(data[1:])

    return target, [os.urandom(size) for size in (16, 64, 256, 1024)]


def decoding() -> tuple[Target, list[bytes]]:
    """Whole documents over random logits; the bytes are the choices that Hypothesis makes the case of."""
    tests = properties("test_fuzz_inference")
    whole = tests.test_whatever_the_network_says_every_span_is_that_part_of_its_text.hypothesis.fuzz_one_input
    return lambda data: whole(data) and None, [os.urandom(size) for size in (64, 256, 1024, 4096)]


TARGETS: dict[str, Callable[[], tuple[Target, list[bytes]]]] = {
    one.__name__: one for one in (readers, annotated, docx, schemas, prompts, decoding)
}


def child(name: str, arguments: Sequence[str]) -> None:
    """Run one target until libFuzzer ends the process; `arguments` are its own."""
    import atheris

    with atheris.instrument_imports(include=[f"core.{one}" for one in INSTRUMENTED]):
        target, seeds = TARGETS[name]()
    corpus = next((Path(one) for one in arguments if not one.startswith("-") and Path(one).is_dir()), None)
    for number, seed in enumerate(seeds if corpus else []):
        (corpus / f"seed{number}").write_bytes(seed)  # type: ignore[operator]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


def run(name: str, *, seconds: int) -> dict[str, Any]:
    """Fuzz one target in a process of its own; its counts, and what did not hold."""
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        command = [sys.executable, "-m", "scripts.fuzz_coverage", "--child", name, corpus]
        command += [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=60", "-rss_limit_mb=4096"]
        command += ["-print_final_stats=1", f"-artifact_prefix={FOUND}/{name}-"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    said = done.stderr
    inputs = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
    branches = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", said)
    covered, features, kept = map(int, branches[-1]) if branches else (0, 0, 0)
    began = int(branches[0][0]) if branches else 0
    counts = {"inputs": int(inputs[1]) if inputs else 0, "branches_at_first": began, "branches": covered}
    failed = (done.stdout + said)[-6000:] if done.returncode else ""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return counts | {"features": features, "kept": kept, "seconds": seconds, "date": when, "failed": failed}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all targets or those named, show the counts and perhaps keep them."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--child"]:
        child(words[1], words[2:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--minutes", type=float, default=3.0, help="for each target")
    parser.add_argument("--out", type=Path, help="write the counts here; targets that were not run keep theirs")
    parser.add_argument("--again", type=Path, help="give the one target named this file alone")
    chosen = parser.parse_args(words)
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if chosen.again is not None:
        for name in chosen.targets:
            TARGETS[name]()[0](chosen.again.read_bytes())
        return
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit("atheris is not installed: pip install -r requirements-fuzz.txt")
    before = json.loads(chosen.out.read_text("utf-8"))["targets"] if chosen.out and chosen.out.exists() else {}
    new = {name: run(name, seconds=round(chosen.minutes * 60)) for name in chosen.targets or TARGETS}
    found = {name: (before | new)[name] for name in TARGETS if name in before or name in new}
    report = {
        "command": f"python -m scripts.fuzz_coverage --minutes {chosen.minutes:g}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "inputs": sum(one["inputs"] for one in found.values()),
        "targets": found,
    }
    text = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    if chosen.out is not None:
        chosen.out.write_text(text, "utf-8")
    sys.stdout.write(text)
    if any(one["failed"] for one in found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
