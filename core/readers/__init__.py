"""File bytes -> documents."""

from core.readers.annotated import ANNOTATED_FORMATS, ImportReport, read_annotated
from core.readers.encoding import Preview, preview
from core.readers.files import ARCHIVES, EXTENSIONS, FORMATS, LIMIT_BYTES, read, read_documents
from core.readers.importing import FileReport, Importer
from core.readers.options import SPLITS, ReadOptions, Split
from core.readers.report import Account, ReadReport
from core.readers.sample import Sample, sample
from core.readers.source import Source, from_bytes, from_path

__all__ = [
    "ANNOTATED_FORMATS",
    "ARCHIVES",
    "EXTENSIONS",
    "FORMATS",
    "LIMIT_BYTES",
    "SPLITS",
    "Account",
    "FileReport",
    "ImportReport",
    "Importer",
    "Preview",
    "ReadOptions",
    "ReadReport",
    "Sample",
    "Source",
    "Split",
    "from_bytes",
    "from_path",
    "preview",
    "read",
    "read_annotated",
    "read_documents",
    "sample",
]
