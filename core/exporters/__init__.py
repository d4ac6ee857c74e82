"""Annotated documents -> files."""

from core.exporters.files import FORMATS, Export, Format, find_format, write, write_file, write_to, written_paths
from core.exporters.report import About, Loss
from core.exporters.runs import VERSIONS, about_run, export_run

__all__ = [
    "FORMATS",
    "VERSIONS",
    "About",
    "Export",
    "Format",
    "Loss",
    "about_run",
    "export_run",
    "find_format",
    "write",
    "write_file",
    "write_to",
    "written_paths",
]
