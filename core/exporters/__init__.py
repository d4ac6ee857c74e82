"""Annotated documents -> files."""

from core.exporters.files import FORMATS, Export, write

__all__ = ["FORMATS", "Export", "write"]
