"""Every error the product raises on purpose.

RexError
 ├── SchemaError       a schema that cannot be asked (blank type, wrong leaf, too long …)
 ├── InputError        a text, file line or task input that cannot be used
 ├── CheckpointError   model files that are missing, damaged or of another network
 ├── FormatError       an upload or export file that cannot be read or written
 ├── StorageError      the database refuses, is missing or is of another version
 │    └── ConflictError    somebody else has changed the same thing meanwhile
 │    └── DatabaseAwayError  the database cannot be written now (locked, disk full); jobs wait for it
 ├── DeviceError       the chosen device is absent or fails
 │    └── GpuMemoryError   a single window does not fit into the GPU memory that is left
 │    └── WorkerError  the process that holds the model ended and could not be replaced
 │    └── EngineAwayError  the engine behind REX_ENGINE_URL does not answer; jobs wait for it
 ├── BusyError         too much waits for the model already, or a user asks too much
 ├── AccessError       somebody may not do this, or is not known
 └── Cancelled         the user stopped the work

Messages say what happened, with which file or value, and what to do next. Pages show them as they are.
"""


class RexError(Exception):
    """Base of all errors meant for the user."""


class SchemaError(RexError):
    """The schema cannot be asked; `problems` lists each fault on its own line."""

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("；".join(self.problems))


class InputError(RexError):
    """A text, file line or task input cannot be used."""


class CheckpointError(RexError):
    """Model files are missing, damaged or of another network."""


class FormatError(RexError):
    """An upload or export file cannot be read or written."""


class StorageError(RexError):
    """The database refuses, is missing or is of another version."""


class ConflictError(StorageError):
    """Somebody else has changed the same thing meanwhile; nothing was written."""


class DatabaseAwayError(StorageError):
    """The database cannot be written for the moment; what waits for it goes on when it can."""


class DeviceError(RexError):
    """The chosen device is absent or fails."""


class GpuMemoryError(DeviceError):
    """A single window does not fit into what is left of the GPU memory; `row` is its place in the batch."""

    def __init__(self, message: str, row: int = 0) -> None:
        self.row = row
        super().__init__(message)


class WorkerError(DeviceError):
    """The process that holds the model ended and could not be replaced."""


class EngineAwayError(DeviceError):
    """The engine behind an address does not answer; what waits for it goes on when it does."""


class BusyError(RexError):
    """Too much waits for the model already."""


class AccessError(RexError):
    """Somebody may not do this, or is not known; nothing was done."""


class Cancelled(RexError):
    """The user stopped the work."""
