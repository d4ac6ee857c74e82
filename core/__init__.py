"""RexUniNLU desk: reads Chinese text with one schema-driven model, stores and exports what it finds."""

__version__ = "0.1.0"
