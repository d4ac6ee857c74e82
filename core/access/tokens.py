"""Session tokens: random, signed with the desk's own key, and stored only as a hash."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from core.errors import StorageError

KEY_FILE = "session.key"
_RANDOM_BYTES = _KEY_BYTES = 32


def load_key(data_dir: Path) -> bytes:
    """The key of the desk in `data_dir`, made at its first use and readable by its owner only.

    To remove the file signs everybody out. Raises StorageError when it can be neither read nor made.
    """
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            # written aside and linked: of two processes one is first, and nobody reads half a key
            part = data_dir / f"{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
            try:
                if not path.exists():
                    os.link(part, path)
            finally:
                part.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise StorageError(f"无法读写会话密钥 {path}：{error}。请检查 REX_DATA_DIR 的权限。") from error
    if len(key) != _KEY_BYTES:
        raise StorageError(f"会话密钥 {path} 已损坏。请删除它，所有用户重新登录一次即可。")
    return key


def make_token(key: bytes) -> str:
    """A new token: 256 random bits and their signature."""
    body = secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{body}.{_signature(key, body)}"


def is_signed(key: bytes, token: str) -> bool:
    """Whether the desk made this token; one that it did not make never reaches the database."""
    body, _, signature = token.partition(".")
    return len(token) < 200 and token.isascii() and hmac.compare_digest(signature, _signature(key, body))


def hashed(token: str) -> str:
    """What is stored of a token; the token cannot be had back from it."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def _signature(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode("ascii", "replace"), hashlib.sha256).hexdigest()
