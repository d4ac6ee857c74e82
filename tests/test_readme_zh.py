"""The Chinese README says what the English one says: sections, commands, pictures, links, figures of every table."""

from __future__ import annotations

import re
from collections import Counter

from core.config import ROOT, Settings
from core.schemas.presets import find_preset
from streamlit_app.i18n import catalogue

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md")}
ENGLISH, CHINESE = PAGES.values()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def headings(page: str) -> list[str]:
    return re.findall(r"^#{1,6} .+$", FENCE.sub("", page), re.M)


def sections(page: str) -> list[str]:
    """What stands below each heading, the top included."""
    return re.split(r"^## .+$", page, flags=re.M)


def blocks(page: str) -> list[tuple[str, list[str]]]:
    """Language and lines of every block, comments of the shell left out."""
    return [
        (language, [re.sub(r"\s+# .*$", "", line) for line in body.splitlines()])
        for language, body in FENCE.findall(page)
    ]


def tables(page: str) -> list[list[str]]:
    return [found.splitlines() for found in re.findall(r"(?:^\|.*\n)+", FENCE.sub("", page), re.M)]


def figures(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"`[^`]*`", "", text)))


def targets(page: str) -> Counter[str]:
    return Counter(one for one in re.findall(r"\]\(([^)\s]+)\)", page) if not one.startswith("#"))


def test_both_have_the_same_sections_in_the_same_order() -> None:
    levels = [[len(line.partition(" ")[0]) for line in headings(page)] for page in PAGES.values()]
    assert levels[0] == levels[1]
    assert all(re.search(r"[\u4e00-\u9fff]", line) for line in headings(CHINESE))


def test_commands_and_answers_are_the_same() -> None:
    english, chinese = blocks(ENGLISH), blocks(CHINESE)
    assert len(english) == len(chinese)
    for (_, here), (language, there) in zip(english, chinese, strict=True):
        if re.search(r"python|make|deploy\.sh|\{", here[0]):
            assert here == there
        else:  # a drawing: its names are the same, its words are not
            assert [re.findall(r"^ *[\w/.]+|[\w*]+\.py|\w+/", line) for line in here[1:] if "/" in line] == [
                re.findall(r"^ *[\w/.]+|[\w*]+\.py|\w+/", line) for line in there[1:] if "/" in line
            ], language


def test_every_command_in_running_text_is_the_same() -> None:
    def commands(page: str) -> Counter[str]:
        text = re.sub(r"^\|.*\n", "", FENCE.sub("", page), flags=re.M)
        return Counter(
            re.findall(r"`((?:python -m|make|pip|sh) [^`]+|--[\w-]+[^`]*|REX_[^`]+)`", " ".join(text.split()))
        )

    assert commands(ENGLISH) == commands(CHINESE)


def test_pictures_and_links_are_the_same_and_alive() -> None:
    english, chinese = targets(ENGLISH), targets(CHINESE)
    assert english.pop("README.zh-CN.md") == chinese.pop("README.md") == 1
    assert english == chinese
    for target in chinese:
        assert target.startswith("https://") or (ROOT / target).is_file(), target
    anchors = {re.sub(r"[^\w\- ]", "", line.partition(" ")[2]).replace(" ", "-") for line in headings(CHINESE)}
    inner = re.findall(r"\]\(#([^)\s]+)\)", CHINESE)
    assert len(inner) == len(re.findall(r"\]\(#([^)\s]+)\)", ENGLISH)) and set(inner) <= anchors


def test_tables_have_the_same_rows_codes_and_figures() -> None:
    english, chinese = tables(ENGLISH), tables(CHINESE)
    assert [len(rows) for rows in english] == [len(rows) for rows in chinese]
    for here, there in zip(english, chinese, strict=True):
        for mine, other in zip(here[2:], there[2:], strict=True):
            assert mine.count("|") == other.count("|")
            assert figures(mine) == figures(other), other
            assert re.findall(r"`[^`]*`", mine.split("|")[1]) == re.findall(r"`[^`]*`", other.split("|")[1]), other
            assert mine.count("✓") == other.count("✓")


def test_figures_of_every_section_are_the_same() -> None:
    """Small whole numbers may be words in one of them; all others stand in both."""
    for here, there in zip(sections(ENGLISH), sections(CHINESE), strict=True):
        mine, other = (set(figures(FENCE.sub("", text))) for text in (here, there))
        large = {one for one in mine ^ other if "." in one or len(one) > 2}
        assert not large, there[:80]


def test_the_table_of_settings_is_the_code_s() -> None:
    words = catalogue("zh")
    for name, field in Settings.model_fields.items():
        value = str(field.default).replace(f"{ROOT}/", "")
        shown = f"`{value}`" if value else "空"
        assert f"| `REX_{name.upper()}` | {shown} | {words[f'settings.meaning.{name}']} |" in CHINESE


def test_presets_and_messages_are_the_product_s() -> None:
    for task, preset in re.findall(r"^\| `([a-z]+)` \| [^|]+ \| ([^|`]+) \|$", CHINESE, re.M):
        assert find_preset(preset.strip()).task == task
    said = [re.findall(r"^\| `([^`]*[\u4e00-\u9fff][^`]*)` \|", page, re.M) for page in PAGES.values()]
    assert said[0] == said[1] and len(said[0]) >= 10
