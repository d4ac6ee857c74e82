"""File bytes -> documents."""

from core.readers.files import EXTENSIONS, LIMIT_BYTES, read
from core.readers.report import ReadReport

__all__ = ["EXTENSIONS", "LIMIT_BYTES", "ReadReport", "read"]
