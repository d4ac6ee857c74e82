"""Files with annotations -> annotated documents, their offsets checked against the text and repaired."""

from core.readers.annotated.align import UNITS
from core.readers.annotated.files import ANNOTATED_FORMATS, AnnotatedFormat, read_annotated
from core.readers.annotated.ledger import ImportReport

__all__ = ["ANNOTATED_FORMATS", "UNITS", "AnnotatedFormat", "ImportReport", "read_annotated"]
