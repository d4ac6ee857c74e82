"""Settings: the only reader of the environment. Every value can be set as REX_<NAME> or in `.env`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED_MODEL = ROOT / "data" / "models" / "rex-mini-zh"
OFFICIAL_MODEL = "iic/nlp_deberta_rex-uninlu_chinese-base"
SWITCH = ("auto", "on", "off")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
WORKERS = ("auto", "process", "thread")
AUTH = ("none", "accounts", "oidc", "proxy")
SHARING = ("all", "project", "user")
UNKNOWN_USERS = ("refuse", "viewer")
UNITS = {
    **{"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9},
    **{"k": 2**10, "m": 2**20, "g": 2**30, "kib": 2**10, "mib": 2**20, "gib": 2**30},
}
MIN_BUDGET_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """How much of a card may be used: `size_bytes`, or else the `share` of it; both 0: the profile decides."""

    size_bytes: int = 0
    share: float = 0.0

    def of(self, total_bytes: int) -> int:
        """Bytes on a card of `total_bytes`, never more than it has; 0 where the profile decides."""
        return min(self.size_bytes or int(self.share * total_bytes), total_bytes)


def parse_budget(text: str) -> MemoryBudget:
    """Read "2GiB", "800MB", "0.5", "50%" or "". Raises ValueError with a message for the user."""
    written = text.strip().lower().replace(" ", "")
    if not written:
        return MemoryBudget()
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(%|[a-z]*)", written, re.ASCII)
    unit = match[2] if match else "?"
    if match and unit == "%" and 0 < float(match[1]) <= 100:
        return MemoryBudget(share=float(match[1]) / 100)
    if match and not unit and 0 < float(match[1]) <= 1:
        return MemoryBudget(share=float(match[1]))
    if match and unit in UNITS and float(match[1]) * UNITS[unit] >= MIN_BUDGET_BYTES:
        return MemoryBudget(size_bytes=int(float(match[1]) * UNITS[unit]))
    raise ValueError(
        f"REX_MEMORY_BUDGET={text} 无法使用：请写带单位的大小（如 2GiB、800MB，至少 64MiB），"
        "或整张卡的比例（如 0.5、50%）；留空由显卡配置决定"
    )


class Settings(BaseSettings):
    """What can be set, with its default; the README's table is made from these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="REX_", env_file=".env", extra="ignore", populate_by_name=True, protected_namespaces=()
    )

    model: str = Field(str(EMBEDDED_MODEL), description="checkpoint directory or ModelScope id")
    model_revision: str = Field("master", description="revision of a ModelScope id; pin a tag or commit in production")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dtype: str = Field("auto", description="auto, float32, bfloat16 or float16; auto: the profile decides")
    threshold: float = Field(0.5, ge=0.0, lt=1.0, description="lowest score kept; 0.5 is the reference's decision")
    max_length: int = Field(512, ge=32, description="tokens of one model input, schema included")
    stride: int = Field(32, ge=0, description="tokens by which two windows of a long text overlap")
    max_hint_length: int = Field(256, ge=16, description="tokens of one input that the schema may take")
    batch_tokens: int = Field(
        0, ge=0, description="tokens in one batch, padding included; 0: the profile decides, 1024 on the CPU"
    )
    data_dir: Path = Field(ROOT / "data", description="where the database, uploads, exports and downloads are kept")
    database_url: str = Field(
        "",
        validation_alias=AliasChoices("REX_DATABASE_URL", "DATABASE_URL"),
        description="SQLAlchemy URL, SQLite or PostgreSQL; `DATABASE_URL` is read too; empty: data_dir/app.db",
    )
    cpu_threads: int = Field(0, ge=0, description="threads of one forward pass on the CPU; 0: the physical cores")
    profile: str = Field("auto", description="auto: by the card found; or a name of the table in docs/gpu.md")
    attention: str = Field("auto", description="auto, eager, sdpa or triton: how attention is computed")
    graphs: str = Field(
        "auto", description="on: small batches run as recorded CUDA graphs; off; auto: the profile decides"
    )
    memory_budget: str = Field(
        "", description="GPU memory never exceeded: 2GiB, 800MB, 0.5 or 50% of the card; empty: the profile decides"
    )
    worker: str = Field(
        "auto", description="process: the model has a process of its own; thread: not; auto: process on a GPU"
    )
    trim_after_s: int = Field(60, ge=0, description="idle seconds after which cached GPU memory is given back")
    unload_after_s: int = Field(0, ge=0, description="idle seconds after which the model is unloaded; 0: never")
    queue_tokens: int = Field(
        2_000_000, ge=1, description="tokens that may wait for the model before more are held back"
    )
    preload: bool = Field(False, description="load the model when the desk starts instead of at its first use")
    health_port: int = Field(
        9464, ge=0, le=65535, description="port of /healthz, /readyz and /metrics once the desk serves; 0: none"
    )
    health_address: str = Field("127.0.0.1", description="address of that port; others only behind a firewall")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_file: str = Field("", description="file of the log, JSON lines, never with text of documents; empty: stderr")
    log_bytes: int = Field(10_000_000, ge=0, description="size at which that file is turned over; 0: never")
    log_files: int = Field(5, ge=1, description="old files of the log that are kept")
    auth: str = Field("none", description="none: only this machine may connect; accounts, oidc or proxy: who signs in")
    sharing: str = Field("all", description="who sees documents, runs and schemas: all, project or user")
    unknown_users: str = Field("refuse", description="of oidc and proxy, users without an account: refuse or viewer")
    session_hours: int = Field(24, ge=1, le=24 * 30, description="hours until who has signed in must do so again")
    proxy_header: str = Field("X-Forwarded-Email", description="in which the proxy of REX_AUTH=proxy names the user")
    proxy_secret: SecretStr = Field(
        SecretStr(""), description="what the proxy sends as X-Rex-Proxy-Secret, so that nobody passes it by"
    )
    requests_per_minute: int = Field(
        120, ge=0, description="analyses that a signed-in user may start in a minute; 0: no limit"
    )
    documents_per_day: int = Field(
        0, ge=0, description="documents a signed-in user may have read in 24 hours; 0: no limit"
    )

    engine_url: str = Field(
        "",
        validation_alias=AliasChoices("REX_ENGINE_URL", "ENGINE_URL"),
        description="address of `python -m core serve`, which then reads instead of this process; "
        "`ENGINE_URL` is read too",
    )
    engine_token: SecretStr = Field(SecretStr(""), description="what that engine asks for, and what `serve` asks for")
    batch_dir: str = Field("", description="folder whose files the desk may give to a batch; empty: data_dir/batch")

    @field_validator("engine_url")
    @classmethod
    def _address_can_be_called(cls, value: str) -> str:
        address = value.strip().rstrip("/")
        if address and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", address):
            raise ValueError(f"REX_ENGINE_URL={value} 无法使用：请写成 http://主机:端口")
        return address

    @field_validator("worker")
    @classmethod
    def _worker_is_known(cls, value: str) -> str:
        if value not in WORKERS:
            raise ValueError(f"REX_WORKER={value} 无效：可选 {'、'.join(WORKERS)}")
        return value

    @field_validator("log_level")
    @classmethod
    def _level_is_known(cls, value: str) -> str:
        if value.upper() not in LEVELS:
            raise ValueError(f"REX_LOG_LEVEL={value} 无效：可选 {'、'.join(LEVELS)}")
        return value.upper()

    @field_validator("graphs")
    @classmethod
    def _graphs_is_known(cls, value: str) -> str:
        if value not in SWITCH:
            raise ValueError(f"REX_GRAPHS={value} 无效：可选 {'、'.join(SWITCH)}")
        return value

    @field_validator("auth", "sharing", "unknown_users")
    @classmethod
    def _choice_is_known(cls, value: str, info: ValidationInfo) -> str:
        known = {"auth": AUTH, "sharing": SHARING, "unknown_users": UNKNOWN_USERS}[str(info.field_name)]
        if value not in known:
            raise ValueError(f"REX_{str(info.field_name).upper()}={value} 无效：可选 {'、'.join(known)}")
        return value

    @field_validator("memory_budget")
    @classmethod
    def _budget_can_be_read(cls, value: str) -> str:
        parse_budget(value)
        return value.strip()

    @model_validator(mode="after")
    def _text_has_room(self) -> Settings:
        # A full hint takes max_hint_length tokens, [SEP] and the class token two more.
        if self.max_length - self.max_hint_length - 2 <= self.stride:
            raise ValueError(
                f"REX_MAX_LENGTH={self.max_length} 太小：模式最多占 {self.max_hint_length} 个词元，"
                f"窗口重叠 {self.stride}，正文没有空间；请调大它，或调小 REX_MAX_HINT_LENGTH、REX_STRIDE"
            )
        return self

    def shown(self, name: str) -> str:
        """A setting for the screen: secrets, and the password in an address, are stars."""
        return re.sub(r"(?<=://)([^:/@]*):[^@]*@", r"\1:***@", str(getattr(self, name)))

    @property
    def budget(self) -> MemoryBudget:
        """The memory budget as it was written."""
        return parse_budget(self.memory_budget)

    @property
    def model_source(self) -> str:
        """The checkpoint asked for, as jobs note it: a directory, id@revision, or the address of the engine."""
        if self.engine_url:
            return self.engine_url
        folder = Path(self.model)
        return str(folder.resolve()) if folder.is_dir() else f"{self.model}@{self.model_revision}"

    def with_model(self, source: str) -> Settings:
        """These settings with the checkpoint of a `model_source`, or of anything that REX_MODEL may be."""
        if source.startswith(("http://", "https://")):
            return self.model_copy(update={"engine_url": source})
        if self.engine_url:
            return self.model_copy(update={"engine_url": ""}).with_model(source)
        name, at, revision = source.rpartition("@")
        if not at or Path(source).is_dir():
            return self.model_copy(update={"model": source})
        return self.model_copy(update={"model": name, "model_revision": revision})

    @property
    def resolved_database_url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'app.db'}"

    @property
    def download_dir(self) -> Path:
        """Where fetched checkpoints are kept."""
        return self.data_dir / "cache" / "models"


def allocator_setting() -> str:
    """The PyTorch allocator settings that the user has given, empty without any."""
    return os.environ.get("PYTORCH_ALLOC_CONF") or os.environ.get("PYTORCH_CUDA_ALLOC_CONF") or ""


def caching_off() -> bool:
    """Whether PyTorch is told to keep no GPU memory, a switch for debugging."""
    return os.environ.get("PYTORCH_NO_CUDA_MEMORY_CACHING", "0") not in ("", "0")


def c_compiler() -> str:
    """The C compiler that Triton is told to use, empty when it is to look for one."""
    return os.environ.get("CC", "")


def visible_devices() -> tuple[str | None, str]:
    """CUDA_VISIBLE_DEVICES, None where it is not set, and CUDA_DEVICE_ORDER."""
    return os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER", "")


def hub_endpoint() -> str | None:
    """The address of the ModelScope hub where the user has given another one; asked anew each time."""
    return os.environ.get("MODELSCOPE_ENDPOINT") or None
