"""Settings: the only reader of the environment. Every value can be set as REX_<NAME> or in `.env`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED_MODEL = ROOT / "data" / "models" / "rex-mini-zh"
OFFICIAL_MODEL = "iic/nlp_deberta_rex-uninlu_chinese-base"


class Settings(BaseSettings):
    """What can be set, with its default; the README's table is made from these descriptions."""

    model_config = SettingsConfigDict(env_prefix="REX_", env_file=".env", extra="ignore", protected_namespaces=())

    model: str = Field(str(EMBEDDED_MODEL), description="checkpoint directory or ModelScope id")
    model_revision: str = Field("master", description="revision of a ModelScope id; pin a tag or commit in production")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dtype: str = Field("auto", description="auto, float32, bfloat16 or float16; auto is float32")
    threshold: float = Field(0.5, ge=0.0, lt=1.0, description="lowest score kept; 0.5 is the reference's decision")
    max_length: int = Field(512, ge=32, description="tokens of one model input, schema included")
    stride: int = Field(32, ge=0, description="tokens by which two windows of a long text overlap")
    max_hint_length: int = Field(256, ge=16, description="tokens of one input that the schema may take")
    batch_tokens: int = Field(
        0, ge=0, description="tokens in one batch, padding included; 0: 1024 on the CPU, 8192 on a GPU"
    )
    data_dir: Path = Field(ROOT / "data", description="where the database, uploads, exports and downloads are kept")
    database_url: str = Field("", description="SQLAlchemy URL; empty: data_dir/app.db")
    cpu_threads: int = Field(0, ge=0, description="threads of one forward pass on the CPU; 0: torch decides")

    @model_validator(mode="after")
    def _text_has_room(self) -> Settings:
        # A full hint takes max_hint_length tokens, [SEP] and the class token two more.
        if self.max_length - self.max_hint_length - 2 <= self.stride:
            raise ValueError(
                f"REX_MAX_LENGTH={self.max_length} 太小：模式最多占 {self.max_hint_length} 个词元，"
                f"窗口重叠 {self.stride}，正文没有空间；请调大它，或调小 REX_MAX_HINT_LENGTH、REX_STRIDE"
            )
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'app.db'}"

    @property
    def download_dir(self) -> Path:
        """Where fetched checkpoints are kept."""
        return self.data_dir / "cache" / "models"
