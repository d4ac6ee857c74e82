"""What the script that measures installations would install, and how it counts."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.install_size import TARGET, size, ways

ROOT = Path(__file__).resolve().parents[2]


def test_the_desk_is_measured_with_its_pinned_packages_beside_the_usual_ways(tmp_path: Path) -> None:
    found = {way.name: way for way in ways(ROOT)}
    assert list(found) == ["desk", "desk, the model alone", "transformers", "modelscope[nlp] and transformers"]
    torch = {way.packages[0] for way in found.values()}
    assert len(torch) == 1 and torch.pop().startswith("torch==")
    assert all("==" in package for way in found.values() for package in way.packages)
    assert not any("transformers" in package for package in found["desk"].packages)
    assert set(found["desk, the model alone"].packages) < set(found["desk"].packages)


def test_compiled_files_and_the_targets_of_links_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "a.pyc").write_bytes(b"x" * 100)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b").write_bytes(b"x" * 5)
    assert size(tmp_path) == 15


def test_the_figures_in_the_docs_are_those_of_the_file() -> None:
    report = json.loads(TARGET.read_text("utf-8"))
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for one in report["ways"]:
        assert f"| {one['name']} | {one['size_bytes'] / 1e6:,.0f} MB | {one['packages']} |" in page
        assert one["problem"] or f"| {one['import_s']:.1f} s, {one['rss_bytes'] / 1e6:,.0f} MB |" in page, one["name"]
