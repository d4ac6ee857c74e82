"""Two hundred broken and hostile files: each gets a clear message or its documents, and none stops the others."""

from __future__ import annotations

import io
import random
import resource
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import xlsxwriter

from core.errors import FormatError
from core.readers import ANNOTATED_FORMATS, EXTENSIONS, Importer, ReadOptions, read_annotated

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"
LOCKED = ROOT / "tests" / "readers" / "files"
SOUND = {path.suffix[1:]: path.read_bytes() for path in sorted(SAMPLES.iterdir())} | {
    "md": "# 标题\n\n正文。\n".encode(),
    "tsv": "编号\t内容\n1\t宽带断线\n".encode(),
    "json": '[{"text": "宽带断线"}, "没人来"]'.encode(),
}
SECONDS_PER_FILE = 60.0
MEMORY_BYTES = 1024 * 2**20


def made_once(make: Callable[[], Iterator[tuple[str, bytes]]]) -> Callable[[], tuple[tuple[str, bytes], ...]]:
    return cache(lambda: tuple(make()))


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def word(document: str, **parts: str) -> bytes:
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
        'Target="word/document.xml"/></Relationships>'
    )
    inner = [(name.replace("__", "/").replace("_xml", ".xml"), body.encode()) for name, body in parts.items()]
    return zipped(("_rels/.rels", relations.encode()), ("word/document.xml", document.encode()), *inner)


def paragraph(text: str) -> str:
    return f'<w:document xmlns:w="w"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'


def laughs(root: str) -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "哈">{entities}]>{root.replace("宽带", "&a9;")}'


def sheet(rows: list[list[str]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        page = book.add_worksheet()
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)
    return buffer.getvalue()


def replaced(data: bytes, part: str, body: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist() if name != part]
    return zipped(*members, (part, body))


@made_once
def truncated() -> Iterator[tuple[str, bytes]]:
    for suffix, data in SOUND.items():
        for share in (0.02, 0.3, 0.6, 0.95):
            yield f"截断{share}.{suffix}", data[: int(len(data) * share)]


@made_once
def flipped() -> Iterator[tuple[str, bytes]]:
    chance = random.Random(7)
    for suffix in ("xlsx", "xls", "docx", "pdf", "csv", "jsonl"):
        for number in range(5):
            data = bytearray(SOUND[suffix])
            for _ in range(20):
                data[chance.randrange(len(data))] = chance.randrange(256)
            yield f"损坏{number}.{suffix}", bytes(data)


@made_once
def renamed() -> Iterator[tuple[str, bytes]]:
    for suffix in (*EXTENSIONS, "zip"):
        for other in ("pdf", "docx", "xls", "txt"):
            if (
                suffix != other
                and {suffix, other} != {"docx", "docm"}
                and not {suffix, other} <= {"xls", "xlsx", "xlsm"}
            ):
                yield f"原是{other}.{suffix}", SOUND[other]
    for suffix in EXTENSIONS:
        yield f"空.{suffix}", b""
        yield f"网页.{suffix}", b"<!DOCTYPE html><html><body><table><tr><td>1</td></tr></table></body></html>"
        yield f"随机.{suffix}", random.Random(suffix).randbytes(5000)


@made_once
def texts() -> Iterator[tuple[str, bytes]]:
    yield "空字符.txt", "宽带\x00断线\n".encode() * 40
    yield "空字符.csv", "编号,内容\n1,宽带\x00\n".encode()
    yield "空字符.jsonl", b'{"text": "a\\u0000b"}\n'
    yield "半个代理对.jsonl", b'{"text": "\\ud83d"}\n{"text": "\\u597d"}\n'
    yield "深.json", b"[" * 500_000
    yield "深对象.jsonl", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "深元数据.jsonl", b'{"text": "x", "m": ' + b"[" * 900 + b"]" * 900 + b"}"
    yield "大数.json", b'{"text": "x", "n": ' + b"9" * 100_000 + b"}"
    yield "无穷.json", b'{"text": "x", "n": NaN}'
    yield "大单元格.csv", ("编号,内容\n1," + "很长" * 5_000_000 + "\n").encode("gb18030")
    yield "引号不闭合.csv", ('编号,内容\n1,"' + "没有结束\n" * 100_000).encode()
    yield "太长的记录.csv", b'a,text\n1,"' + b"x\n" * 17_000_000
    yield "全是逗号.csv", b"text" + b"," * 2_000_000 + b"\n" + b"x" + b"," * 2_000_000
    yield "同名的列.csv", b"text," + b"a," * 15_000 + b"a\n" + b"x," * 15_000 + b"x\n"
    yield "没有表头.csv", b"1,2,3\n4,5,6\n"
    yield "只有表头.csv", "编号,内容\n".encode()
    yield "公式.csv", "编号,内容\n1,=cmd|' /C calc'!A0\n".encode()
    yield "无换行.txt", "字".encode() * 4_000_000
    yield "混合编码.txt", "前面是中文。".encode() * 50 + "后面是国标。".encode("gb18030") * 50
    yield "单独的尾字节.txt", b"\x80\x81\x82" * 400
    yield "假标记.txt", b"\xff\xfe" + "宽带".encode()
    yield "假标记32.txt", b"\xff\xfe\x00\x00abc"
    yield "方向符.txt", "\u202e坏名字\u202c 宽带断线\n".encode()
    yield "控制符.txt", bytes(range(1, 32)) * 50
    yield "宽带\u202e\x07断线<script>.txt", "宽带断线\n".encode()
    yield "..\\..\\逃逸.txt", "宽带断线\n".encode()
    yield "名" * 70 + ".txt", "宽带断线\n".encode()


@made_once
def packages() -> Iterator[tuple[str, bytes]]:
    body = paragraph("宽带")
    yield "哈哈.docx", word(laughs(body))
    yield "外部实体.docx", word('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + body.replace("宽带", "&e;"))
    yield "坏.docx", word(body[:60])
    yield "编码.docx", word(f'<?xml version="1.0" encoding="UTFz8"?>{body}')
    yield "不是word.docx", zipped(("a.txt", b"x"))
    yield "空部件.docx", word("")
    yield "宏.docx", word(body, word__vbaProject_bin="x").replace(b"vbaProject_bin", b"vbaProject.bin")
    yield "深.docx", word(body.replace("宽带", "<w:x>" * 200_000 + "</w:x>" * 200_000))
    yield "炸弹.docx", word(body.replace("宽带", "啊" * 23_000_000))
    yield "没有文字.docx", word(paragraph(""))
    plain = sheet([["编号", "内容"], ["1", "宽带"]])
    page = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        xml = archive.read(page).decode()
    yield "哈哈.xlsx", replaced(plain, page, laughs(xml[xml.index("<worksheet") :]).encode())
    yield "无表.xlsx", replaced(plain, page, b"")
    yield "炸弹.xlsx", replaced(plain, page, xml.replace("</sheetData>", " " * 60_000_000 + "</sheetData>").encode())
    yield "远方.xlsx", replaced(plain, page, xml.replace('r="A2"', 'r="XFD1048576"').encode())
    yield "没有类型.xlsx", replaced(plain, "[Content_Types].xml", b"")
    yield "没有正文列.xlsx", sheet([["问", "答"], ["你好吗", "我很好"]])
    yield "空表.xlsx", sheet([])
    yield "宏.xlsm", replaced(plain, "xl/vbaProject.bin", b"x")
    yield "加密.xlsx", (LOCKED / "locked.xlsx").read_bytes()
    yield "加密.docx", (LOCKED / "locked.xlsx").read_bytes()
    yield "加密.pdf", (LOCKED / "locked.pdf").read_bytes()
    yield "没有页.pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    yield (
        "循环.pdf",
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 1 0 R/Kids[1 0 R]/Count 9>>endobj\ntrailer<</Root 1 0 R>>",
    )
    many = b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Count 99999999/Kids[]>>endobj"
    yield "很多页.pdf", b"%PDF-1.4\n" + many + b"\ntrailer<</Root 1 0 R>>"
    yield "旧.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    yield "旧.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    yield "坏.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 600


@made_once
def archives() -> Iterator[tuple[str, bytes]]:
    good = ("好.txt", "宽带断线\n".encode())
    yield "逃逸.zip", zipped(("../../../etc/逃.txt", good[1]), ("/绝对.txt", good[1]), ("C:\\a\\b.txt", good[1]), good)
    yield "炸弹.zip", zipped(("零.txt", b"0" * 30_000_000), good)
    yield "不支持.zip", zipped(("a.exe", b"MZ"), ("b.mp4", b"x"), good)
    yield "空.zip", zipped()
    yield "系统.zip", zipped(("__MACOSX/._a.txt", b"x"), (".DS_Store", b"x"), good)
    nested = zipped(good)
    for _ in range(6):
        nested = zipped(("里面.zip", nested))
    yield "套娃.zip", nested
    yield "很多.zip", zipped(*((f"{n}.bin", b"") for n in range(10_050)))
    link = zipfile.ZipInfo("链接.txt")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr(*good)
    yield "链接.zip", buffer.getvalue()
    locked = bytearray(zipped(("密.txt", good[1])))
    for start in (locked.index(b"PK\x03\x04") + 6, locked.index(b"PK\x01\x02") + 8):
        locked[start] |= 1
    yield "加密.zip", bytes(locked)
    lying = bytearray(zipped(("谎.txt", good[1] * 1000)))
    struct.pack_into("<I", lying, lying.index(b"PK\x01\x02") + 24, 0xFFFFFFF0)
    yield "谎报大小.zip", bytes(lying)
    broken = bytearray(zipped(("坏.txt", good[1] * 1000), good))
    broken[60:80] = b"\0" * 20
    yield "坏成员.zip", bytes(broken)
    yield "重名.zip", b"PK\x05\x06" + b"\0" * 18
    for number, (name, data) in enumerate(packages()):
        if len(data) < 100_000:
            yield f"包{number}.zip", zipped((name, data), good)


def hostile() -> dict[str, bytes]:
    """Every file by its name."""
    return {name: data for make in (truncated, flipped, renamed, texts, packages, archives) for name, data in make()}


def test_two_hundred_hostile_files_give_messages_and_no_crash(tmp_path: Path) -> None:
    files = hostile()
    assert len(files) >= 200
    importer = Importer(lambda batch: None)
    slow, unclear = [], []
    for number, (name, data) in enumerate(files.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / name.replace("/", "_")
        path.write_bytes(data)
        begun = time.monotonic()
        reports = list(importer.paths([path]))
        if time.monotonic() - begun > SECONDS_PER_FILE:
            slow.append(name)
        assert reports
        for report in reports:
            said = report.error or report.documents or report.notes
            if not said or (report.error and not any("\u4e00" <= character <= "\u9fff" for character in report.error)):
                unclear.append((name, report))
        path.unlink()
    assert not slow
    assert not unclear
    # the parents of all readers, whatever their children did: far below what the bombs unpack to
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2 * MEMORY_BYTES


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("哈哈.docx", "DTD"),
        ("外部实体.docx", "DTD"),
        ("炸弹.docx", "压缩炸弹"),
        ("编码.docx", "XML 已损坏（unknown encoding: UTFz8）"),
        ("加密.xlsx", "已加密"),
        ("加密.docx", "已加密"),
        ("加密.pdf", "密码"),
        ("旧.doc", "另存为 docx"),
        ("网页.xls", "像是网页"),
        ("原是pdf.docx", "像是PDF"),
        ("空.pdf", "空文件"),
        ("没有正文列.xlsx", "无法确定哪一列是正文"),
        ("截断0.3.pdf", "PDF"),
        ("太长的记录.csv", "太长"),
        ("全是逗号.csv", "超过上限 20000"),
        ("没有文字.docx", "没有可用的内容"),
    ],
)
def test_what_is_wrong_is_said_in_words(name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(hostile_file(name))
    (report,) = Importer(lambda batch: None).paths([path])
    assert message in report.error
    assert report.documents == 0


def hostile_file(name: str) -> bytes:
    for make in (truncated, renamed, texts, packages, archives):
        for known, data in make():
            if known == name:
                return data
    raise KeyError(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("炸弹.zip", "压缩炸弹"),
        ("套娃.zip", "超过 3 层"),
        ("链接.zip", "符号链接"),
        ("加密.zip", "压缩包有密码"),
        ("很多.zip", "超过 10000 个"),
        ("空.zip", "没有文件"),
        ("不支持.zip", "不支持"),
        ("坏成员.zip", "无法解压"),
    ],
)
def test_a_bad_file_in_an_archive_is_named_and_the_good_one_kept(name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(hostile_file(name))
    reports = list(Importer(lambda batch: None).paths([path]))
    assert any(message in report.error for report in reports)
    if name in ("炸弹.zip", "链接.zip", "不支持.zip", "坏成员.zip"):
        assert sum(report.documents for report in reports) == 1


def test_no_name_in_an_archive_leads_out_of_it(tmp_path: Path) -> None:
    path = tmp_path / "内" / "逃逸.zip"
    path.parent.mkdir()
    path.write_bytes(hostile_file("逃逸.zip"))
    kept = []
    reports = list(Importer(kept.extend, ReadOptions(split="file")).paths([path]))
    assert len(kept) == 4
    assert all(report.name.startswith("逃逸.zip/") for report in reports)
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["内", "逃逸.zip"]


@pytest.mark.parametrize("format", ANNOTATED_FORMATS)
def test_hostile_files_are_refused_as_annotations_too(format: str, tmp_path: Path) -> None:
    values = [
        "[]", "{}", "1", '"x"', "null", "[1]", "[[]]", '{"text": 5}', '{"text": "x", "annotations": [1]}',
        '{"text": "x", "annotations": [{"type": "a", "start": "0", "end": 1}]}',
        '{"data": {"text": "x"}, "annotations": 5}',
        '{"text": "x", "info_list": [[{"type": "", "offset": [0]}]]}', '{"text": "x", "entities": [{"id": []}]}',
        '{"text": "x", "label": [[0, 1]]}', '{"text": "x", "relations": [{"from_id": {}}]}',
        '{"content": "x", "prompt": 1}',
        '{"content": "x", "prompt": "a[b]", "result_list": [5]}', '{"text": "x", "spans": []}',
        '{"text": "x", "rels": [[1]]}',
        '{"data": {"text": "x"}, "annotations": [{"result": [{"type": "labels", "id": {}, "value": 1}]}]}',
        '{"text": "x", "annotations": ' + '[{"type": "a", "children": ' * 400 + "[]" + "}]" * 400 + "}",
    ]  # fmt: skip
    files = {f"{number}.json": value.encode() for number, value in enumerate(values)}
    files |= {name: data for name, data in texts() if len(data) < 1_000_000 and "\\" not in name}
    files |= {name: data for name, data in archives() if len(data) < 1_000_000}
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        try:
            documents, _ = read_annotated(path, format)
        except FormatError as error:
            assert path.name in str(error)
        else:
            for one in documents:
                for found in one.annotations:
                    assert found.start is None or one.document.text[found.start : found.end] == found.text
