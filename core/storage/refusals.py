"""Why a database refused, in words that say what is kept and what to do."""

from __future__ import annotations

import sqlite3

from core.errors import DatabaseAwayError, StorageError

KEPT = "这一步没有保存，以前保存的都在。"
FULL = ("database or disk is full", "no space left on device", "could not extend file", "file too large")
"""What SQLite, the system and PostgreSQL say; the last is a limit of the process or the user (EFBIG)."""


def refusal(place: str, cause: BaseException) -> StorageError:
    """The error to raise for what a driver raised; DatabaseAwayError when waiting or making room helps.

    place: the address of the database, without its password.
    """
    said, name = str(cause), getattr(cause, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseAwayError(
            f"数据库 {place} 正被另一个程序写入，等了很久仍轮不到（{said}）。{KEPT}"
            "请稍后再试；若一直如此，请关闭打开着这个文件的其他程序（数据库工具、同步或复制）。"
        )
    if name == "SQLITE_FULL" or any(words in said.lower() for words in FULL):
        return DatabaseAwayError(
            f"磁盘已满，数据库 {place} 写不进去（{said}）。{KEPT}请腾出空间后再试；作业会自己接着进行。"
        )
    if name.startswith("SQLITE_IOERR"):
        return DatabaseAwayError(
            f"数据库 {place} 所在的磁盘读写失败（{said}）。{KEPT}"
            "请检查磁盘：可能已满、已断开或出了故障；运行 python -m core doctor 查看。"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StorageError(
            f"数据库 {place} 已损坏，或不是数据库（{said}）。请停止工作台，不要删除这个文件："
            "运行 python -m core doctor 查看损坏之处，用 python -m core restore 恢复备份，损坏的文件会留在旁边。"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")):
        return StorageError(
            f"数据库 {place} 打不开或不可写（{said}）。请检查文件和它的文件夹是否存在、当前用户能否写入。"
        )
    if isinstance(cause, UnicodeEncodeError):
        return StorageError(f"文字中有不成对的代理字符，数据库 {place} 存不了（{said}）。请改正原文后再试。")
    if isinstance(cause, sqlite3.Error):
        return StorageError(f"数据库 {place} 无法完成操作：{said}。请运行 python -m core doctor 检查。")
    return StorageError(f"数据库 {place} 无法完成操作：{said}。请检查它是否在运行、能否连上。")
