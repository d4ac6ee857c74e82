"""What is known of a machine (`Facts`, as JSON in both directions), and what a check makes of it (`Check`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card or a MIG slice by the driver; None is what it does not tell. `problem`: it is lost."""

    name: str
    capability: str | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    mig_enabled: bool | None = None
    mig_instance: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class TorchFacts:
    """The build of PyTorch: `cuda` is None in one for the CPU, `archs` what its kernels are compiled for.

    `sees_cards`: whether CUDA starts with it; `problem`: why the package cannot even be imported.
    """

    version: str = ""
    cuda: str | None = None
    archs: tuple[str, ...] = ()
    sees_cards: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`url` without its password; `problems` are of the content, `error` says why it cannot be read at all.

    `checked`: whether the whole content was read; `newer`: made by a later program.
    """

    url: str
    exists: bool = True
    checked: bool = True
    problems: tuple[str, ...] = ()
    error: str = ""
    revision: str = ""
    head: str = ""
    newer: bool = False


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The checkpoint asked for: `directory` is empty while it is still to be fetched.

    `damaged`: files whose content is not the listed one; `listed`: files with a known checksum; `checked`: compared.
    """

    source: str
    directory: str = ""
    revision: str = ""
    problem: str = ""
    files: int = 0
    size_bytes: int = 0
    listed: int = 0
    checked: bool = True
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortFacts:
    """A port that the desk wants: `state` is free, desk (one answers there), or taken."""

    name: str
    number: int
    state: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks look at; sizes in bytes, times in seconds since 1970.

    `packages`: installed version by name, `required`: pinned version by name, `optional`: installed extras.
    `wanted_device`: as set. `compiler`: what compiles the launcher of a Triton kernel; `headers`: Python's are there.
    `filesystem`: kind of the one that holds the data; `newest_s`: when something was last stored.
    `synchronized`: whether the clock is kept by the network, None where the system does not say.
    """

    python: str
    system: str
    machine: str = ""
    wsl: bool = False
    container: bool = False
    driver: str | None = None
    driver_cuda: str | None = None
    driver_problem: str | None = None
    cards: tuple[CardFacts, ...] = ()
    torch: TorchFacts = TorchFacts()
    wanted_device: str = "auto"
    allocator: str = ""
    caching_off: bool = False
    triton: str | None = None
    compiler: str = ""
    headers: bool = False
    total_bytes: int = 0
    available_bytes: int = 0
    cores: int = 0
    data_dir: str = "data"
    write_problem: str = ""
    free_bytes: int = 0
    filesystem: str = ""
    sqlite: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    database: DatabaseFacts = DatabaseFacts("sqlite:///data/app.db")
    model: ModelFacts = ModelFacts("")
    ports: tuple[PortFacts, ...] = ()
    now_s: float = 0.0
    newest_s: float | None = None
    synchronized: bool | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found: `name` for programs, `title`, `detail` and `advice` (what to do) for people."""

    name: str
    title: str
    level: str
    detail: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether the desk can work with it."""
        return self.level != ERROR


FACTS: TypeAdapter[Facts] = TypeAdapter(Facts)
"""Reads and writes facts as JSON."""
