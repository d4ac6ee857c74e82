"""Passwords: made, checked for length, hashed with argon2id."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import AccessError

SHORTEST, LONGEST = 10, 256
# No l, I, O, 0 or 1: a generated password is read from a terminal and typed once.
ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
GENERATED = 16

_hasher = PasswordHasher()
# A hash takes 64 MiB: a crowd at the door must not take all memory.
_at_once = threading.BoundedSemaphore(2)
# What a password is checked against when there is no such user, so that the answer takes as long.
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


def generate() -> str:
    """A random password of 16 letters and digits, about 93 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(GENERATED))


def check_rules(password: str, *, name: str) -> None:
    """Raise AccessError for a password that is too short, too long, or holds the name."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccessError(f"密码要有 {SHORTEST} 到 {LONGEST} 个字符，现在是 {len(password)} 个。请换一个。")
    if name.casefold() in password.casefold() or len(set(password)) < 4:
        raise AccessError("密码不能包含用户名，也不能只由两三种字符组成。请换一个，几个不相干的词连在一起就很好。")


def hash_password(password: str) -> str:
    """The argon2id hash with its salt and parameters."""
    with _at_once:
        return _hasher.hash(password)


def matches(password: str, stored: str) -> bool:
    """Whether a password belongs to a stored hash; an empty hash belongs to none, and takes as long to say so."""
    with _at_once:
        try:
            return _hasher.verify(stored or _NOBODY, password[: LONGEST + 1]) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False


def outdated(stored: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)
