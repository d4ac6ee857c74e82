"""Which profile a card gets, what the settings change, and that the documentation shows the same table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.config import MemoryBudget, Settings, parse_budget
from core.errors import DeviceError
from core.gpu import profiles
from core.gpu.profiles import (
    CPU,
    GIB,
    PROFILES,
    Card,
    budget_bytes,
    choose_profile,
    derive_profile,
    find_profile,
    settle,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "gpu.md"


def card(name: str, gib: float, capability: tuple[int, int] = (8, 0)) -> Card:
    return Card(name, int(gib * GIB), capability)


def given_settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "gib", "capability", "profile"),
    [
        ("NVIDIA H200", 139.8, (9, 0), "H100"),
        ("NVIDIA H100 80GB HBM3", 79.1, (9, 0), "H100"),
        ("NVIDIA GH200 480GB", 94.5, (9, 0), "H100"),
        ("NVIDIA A100 80GB PCIe", 79.2, (8, 0), "A100-80"),
        ("NVIDIA A100-SXM4-40GB", 39.4, (8, 0), "A100-40"),
        ("NVIDIA A10", 22.1, (8, 6), "A10"),
        ("NVIDIA A10G", 22.1, (8, 6), "A10"),
        ("NVIDIA L4", 22.0, (8, 9), "L4"),
        ("Tesla T4", 14.6, (7, 5), "T4"),
        ("NVIDIA GeForce RTX 5090", 31.4, (12, 0), "RTX-32"),
        ("NVIDIA GeForce RTX 4090", 23.6, (8, 9), "RTX-24"),
        ("NVIDIA GeForce RTX 4080 SUPER", 15.7, (8, 9), "RTX-16"),
        ("NVIDIA GeForce RTX 3060", 11.7, (8, 6), "RTX-12"),
        ("NVIDIA GeForce RTX 3070 Laptop GPU", 7.7, (8, 6), "RTX-8"),
        ("NVIDIA GeForce RTX 3050 Laptop GPU", 3.7, (8, 6), "unknown"),
        ("NVIDIA GeForce GTX 1080", 7.9, (6, 1), "unknown"),
        ("NVIDIA L40S", 44.4, (8, 9), "unknown"),
        ("NVIDIA A16", 14.5, (8, 6), "unknown"),
        ("NVIDIA RTX 4000 Ada Generation", 19.6, (8, 9), "unknown"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 9.5, (9, 0), "MIG"),
    ],
)
def test_a_card_gets_the_row_of_its_name_and_memory(name, gib, capability, profile):
    assert choose_profile(card(name, gib, capability)).name == profile


def test_the_cpu_gets_its_physical_cores_and_small_batches():
    profile = choose_profile(None, cores=6)
    assert (profile.name, profile.cpu_threads, profile.batch_tokens, profile.allocator) == ("CPU", 6, 1024, "")


def test_an_unknown_card_gets_smaller_batches_the_less_memory_it_has():
    sizes = [derive_profile(card("Card", gib)).batch_tokens for gib in (1, 2, 4, 8, 16, 100)]
    assert sizes == sorted(sizes) and sizes[0] == 1024 and sizes[-1] == 8192


def test_half_precision_is_one_decision_and_never_reaches_a_card_without_it(monkeypatch):
    assert derive_profile(card("Card", 24)).dtype == profiles.CARD_DTYPE
    monkeypatch.setattr(profiles, "CARD_DTYPE", "bfloat16")
    assert derive_profile(card("Card", 24, (8, 6))).dtype == "bfloat16"
    assert derive_profile(card("Card", 24, (7, 5))).dtype == "float32"
    assert find_profile("T4").dtype == "float32"


def test_every_value_of_a_profile_can_be_set():
    written = given_settings(
        dtype="bfloat16", batch_tokens=777, max_length=400, cpu_threads=3, attention="sdpa", graphs="off"
    )
    profile = settle(written, card("NVIDIA A10", 22.1))
    assert (profile.name, profile.dtype, profile.batch_tokens) == ("A10", "bfloat16", 777)
    assert (profile.attention, profile.graphs) == ("sdpa", False)
    assert (profile.max_length, profile.cpu_threads) == (400, 3)
    untouched = settle(given_settings(), card("NVIDIA A10", 22.1))
    assert untouched == find_profile("A10")


def test_cards_compute_in_float16_with_graphs_and_the_cpu_in_float32_without():
    for row in PROFILES:
        assert row.dtype == ("float32" if row.name == "T4" else "float16"), row.name
        assert (row.attention, row.graphs) == ("auto", True), row.name
    assert (CPU.dtype, CPU.graphs) == ("float32", False)
    assert settle(given_settings(graphs="on"), None).graphs  # what is written is kept; without a card it means nothing


def test_an_unknown_way_to_record_graphs_is_refused_in_words():
    with pytest.raises(ValueError, match="REX_GRAPHS=maybe.*auto"):
        given_settings(graphs="maybe")


def test_a_named_profile_and_a_budget_imitate_another_card():
    written = given_settings(profile="a10", memory_budget="24GiB")
    h200 = card("NVIDIA H200", 139.8, (9, 0))
    profile = settle(written, h200)
    assert profile == find_profile("A10")
    assert budget_bytes(profile, written.budget, total_bytes=h200.total_bytes) == 24 * GIB


def test_without_a_written_budget_the_profile_s_share_holds():
    profile = find_profile("T4")
    assert budget_bytes(profile, MemoryBudget(), total_bytes=10 * GIB) == int(0.7 * 10 * GIB)
    assert budget_bytes(profile, parse_budget("50%"), total_bytes=10 * GIB) == 5 * GIB
    assert budget_bytes(profile, parse_budget("64GiB"), total_bytes=10 * GIB) == 10 * GIB


@pytest.mark.parametrize(("name", "on"), [("H300", None), ("A10", None), ("CPU", card("NVIDIA A10", 22.1))])
def test_a_profile_that_does_not_exist_or_suits_another_device_is_refused_in_words(name, on):
    with pytest.raises(DeviceError, match=f"{name}.*REX_") as caught:
        settle(given_settings(profile=name), on)
    assert "auto" in str(caught.value)


def test_a_written_profile_with_half_precision_stays_whole_on_an_old_card(monkeypatch):
    half = profiles.replace(find_profile("A10"), dtype="bfloat16")
    monkeypatch.setattr(profiles, "PROFILES", (half,))
    assert settle(given_settings(profile="A10"), card("Tesla T4", 14.6, (7, 5))).dtype == "float32"


def test_every_pattern_is_a_regular_expression_that_needs_its_word():
    for row in PROFILES:
        assert not re.search(row.matches, "NVIDIA Card"), row.name


def table() -> str:
    """The table of profiles as the documentation must have it."""
    rows = [
        "| 配置 | 显卡 | 显存至少 | 精度 | 批次词元 | 显存预算 | 窗口 | CPU 线程 | 分配器 | 注意力 | 图 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in (*PROFILES, CPU):
        words = "、".join(part.replace(r"\b", "") for part in row.matches.split("|")) or "—"
        memory = f"{row.at_least_gib:g} GiB" if row.at_least_gib else "—"
        budget = f"{row.memory_budget:.0%}" if row != CPU else "—"
        threads = str(row.cpu_threads or "物理核心数")
        cells = [row.name, f"`{words}`", memory, row.dtype, str(row.batch_tokens), budget, str(row.max_length), threads]
        cells += [f"`{row.allocator}`" if row.allocator else "—", row.attention, "开" if row.graphs else "关"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_the_table_of_profiles_in_the_documentation_is_the_code_s():
    assert table() in DOCS.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("", MemoryBudget()),
        ("2GiB", MemoryBudget(size_bytes=2 * GIB)),
        (" 1.5 gib ", MemoryBudget(size_bytes=3 * GIB // 2)),
        ("800MB", MemoryBudget(size_bytes=800_000_000)),
        ("0.5", MemoryBudget(share=0.5)),
        ("50%", MemoryBudget(share=0.5)),
    ],
)
def test_a_budget_is_a_size_or_a_share(text, budget):
    assert parse_budget(text) == budget
    assert given_settings(memory_budget=text).budget == budget


@pytest.mark.parametrize("text", ["2", "0", "-1GiB", "150%", "0%", "much", "2TB", "10MB", "1e3MB", "٣GiB", "."])
def test_a_budget_that_cannot_be_meant_is_refused_in_words(text):
    with pytest.raises(ValueError, match="REX_MEMORY_BUDGET"):
        given_settings(memory_budget=text)


def test_an_unknown_worker_is_refused_in_words():
    with pytest.raises(ValueError, match="REX_WORKER=robot.*process"):
        given_settings(worker="robot")
