"""From bytes to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FormatError
from core.readers.encoding import decode

SIMPLIFIED = "客户反映宽带经常断线，希望尽快上门维修。"
TRADITIONAL = "客戶反映寬頻經常斷線，希望盡快派人維修。"
SHORT_TRADITIONAL = [
    "台北市政府",
    "捷運站",
    "我要退貨",
    "請問營業時間",
    "服務態度很差",
    "冷氣不冷",
    "訂單編號",
    "帳單金額錯誤",
]
SHORT_SIMPLIFIED = [
    "北京市政府",
    "地铁站",
    "我要退货",
    "请问营业时间",
    "服务态度很差",
    "空调不制冷",
    "订单编号",
    "账单金额错误",
    "屏幕碎了",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "gbk"])
def test_simplified_text_is_read_in_every_usual_encoding(encoding: str) -> None:
    assert decode(SIMPLIFIED.encode(encoding)).text == SIMPLIFIED


def test_utf16_with_a_mark_is_read_in_both_byte_orders() -> None:
    assert decode(b"\xff\xfe" + SIMPLIFIED.encode("utf-16-le")).text == SIMPLIFIED
    assert decode(b"\xfe\xff" + SIMPLIFIED.encode("utf-16-be")).text == SIMPLIFIED


@pytest.mark.parametrize("text", [TRADITIONAL, *SHORT_TRADITIONAL])
def test_big5_is_not_read_as_gbk_nonsense(text: str) -> None:
    decoded = decode(text.encode("cp950"))
    assert (decoded.text, decoded.encoding) == (text, "cp950")


@pytest.mark.parametrize("text", [SIMPLIFIED, *SHORT_SIMPLIFIED, TRADITIONAL, *SHORT_TRADITIONAL])
def test_gb18030_is_not_read_as_big5_nonsense(text: str) -> None:
    decoded = decode(text.encode("gb18030"))
    assert (decoded.text, decoded.encoding) == (text, "gb18030")


def test_a_close_call_is_told() -> None:
    assert "若内容是乱码，请改选 cp950" in decode("订单编号".encode("gb18030")).note
    assert decode(SIMPLIFIED.encode("gb18030")).note == ""


def test_gb18030_keeps_rare_characters_and_emoji() -> None:
    text = "这是𠮷野家的订单😀，请尽快处理"
    assert decode(text.encode("gb18030")).text == text


def test_ascii_is_utf8() -> None:
    assert decode(b"hello") == decode(b"hello", encoding="utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00\ufeff"), min_size=1))
def test_any_utf8_text_without_control_noise_comes_back(text: str) -> None:
    marked = "投诉" * 200 + text
    assert decode(marked.encode("utf-8")).text == marked


def test_line_ends_become_line_feeds_and_the_change_is_told() -> None:
    decoded = decode("一\r\n二\r三\n".encode())
    assert decoded.text == "一\n二\n三\n"
    assert "CRLF 1 处" in decoded.note and "CR 1 处" in decoded.note
    assert decode("一\n二".encode()).note == ""


def test_a_cut_off_utf8_file_is_read_and_the_fault_is_told() -> None:
    data = (SIMPLIFIED * 10).encode()[:-1]
    decoded = decode(data)
    assert decoded.encoding == "utf-8"
    assert decoded.text.startswith((SIMPLIFIED * 10)[:-1])
    assert "1 处字节不是有效的 UTF-8" in decoded.note
    assert decoded.text.endswith("\ufffd")


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02", b"abc\x00def", bytes(range(1, 32)) * 4, "中文".encode("utf-16-le") + b"a\x00"]
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="二进制"):
        decode(data)


def test_a_renamed_workbook_is_called_by_its_kind() -> None:
    with pytest.raises(FormatError, match="Office"):
        decode(b"PK\x03\x04" + b"x" * 50)


def test_a_named_encoding_is_obeyed() -> None:
    assert decode("ｶﾀｶﾅテスト".encode("shift_jis"), encoding="shift_jis").text == "ｶﾀｶﾅテスト"
    assert decode(SIMPLIFIED.encode("utf-8-sig"), encoding="utf-8").text == SIMPLIFIED


def test_a_wrong_or_unknown_encoding_name_is_told() -> None:
    with pytest.raises(FormatError, match="无法按 utf-8 解码"):
        decode(SIMPLIFIED.encode("gbk"), encoding="utf-8")
    with pytest.raises(FormatError, match="不认识编码“火星文”"):
        decode(b"abc", encoding="火星文")


def test_an_encoding_beyond_chinese_is_marked_as_a_guess() -> None:
    text = "Привет, это жалоба на качество обслуживания в магазине. " * 20
    decoded = decode(text.encode("cp1251"))
    assert decoded.text == text
    assert "推测" in decoded.note


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_read_when_it_is_long_enough_to_tell(encoding: str) -> None:
    text = (SIMPLIFIED + "\n") * 3
    decoded = decode(text.encode(encoding))
    assert (decoded.text, decoded.encoding) == (text, encoding)
    assert "没有字节顺序标记" in decoded.note
