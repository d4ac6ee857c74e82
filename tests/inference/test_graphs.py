"""Small batches as recorded graphs: sizes, padding, answers, and what happens where recording fails.

Without a card the recording is acted: a graph remembers what it is to compute and does it again when replayed, into
the same memory, as a real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from core.config import Settings
from core.errors import DeviceError
from core.inference import graphs
from core.inference.decoding import Fired
from core.inference.forward import run
from core.inference.graphs import MAX_TOKENS, ROWS, WIDTHS, Graphs, fitting
from core.inference.matching import match, unpack
from core.inference.owner import from_settings
from core.inference.packing import Packed, pack
from core.inference.prompts import Group, PieceEncoder, Prompt, assemble, build_hints
from core.model.checkpoint import Checkpoint, load_checkpoint

CPU = torch.device("cpu")
TEXTS = ("陈静出生于杭州。", "画家林涛一九七二年三月在北京成立了公司，他的丈夫毕业于大学。", "她说。")


@pytest.fixture(scope="module")
def tiny(checkpoint_dir) -> Checkpoint:  # type: ignore[no-untyped-def]
    return load_checkpoint(str(checkpoint_dir), device="cpu")


def _prompts(tiny: Checkpoint, texts: tuple[str, ...] = TEXTS) -> list[Prompt]:
    hint = build_hints([Group((), ("人物", "时间", "地点"))], PieceEncoder(tiny.tokenizer))[0][0]
    encoded = [tiny.tokenizer.encode_text(text) for text in texts]
    return [assemble(hint, one.ids, one.offsets, tiny.tokenizer) for one in encoded]


def _packed(tiny: Checkpoint, texts: tuple[str, ...] = TEXTS, threshold: float = 0.01) -> Packed:
    return pack(_prompts(tiny, texts), [threshold] * len(texts), pad_id=tiny.tokenizer.pad_id)


def _assert_same(found: list[Fired], wanted: list[Fired]) -> None:
    for one, other in zip(found, wanted, strict=True):
        for links in ("heads", "tails", "markers"):
            np.testing.assert_array_equal(getattr(one, links), getattr(other, links))
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


class ActedGraph:
    """Stands for torch.cuda.CUDAGraph; `graphs` holds all that were made, `replays` counts."""

    made: list[ActedGraph] = []

    def __init__(self) -> None:
        self.replays = 0
        self.again: Callable[[], None] = lambda: None
        ActedGraph.made.append(self)

    def pool(self) -> object:
        return "the pool"

    def replay(self) -> None:
        self.replays += 1
        self.again()


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Graphs on the CPU; the pools that recordings were given."""
    pools: list[Any] = []
    ActedGraph.made.clear()
    real = Graphs._recorded

    def recorded(self: Graphs, rows: int, width: int):  # type: ignore[no-untyped-def]
        held = real(self, rows, width)
        graph, ids, lengths, out = held

        def again() -> None:
            with torch.inference_mode():
                keep = torch.arange(width) < lengths[:, None]
                out.copy_(self._model(*ids, keep, width - 1))

        graph.again = again  # type: ignore[attr-defined]
        return held

    class Stream:
        def __init__(self, device: object = None) -> None: ...
        def wait_stream(self, other: object) -> None: ...

    @contextmanager
    def nothing(*given: object, pool: object = None, capture_error_mode: str = "") -> Iterator[None]:
        if given and isinstance(given[0], ActedGraph):
            pools.append(pool)
        yield

    monkeypatch.setattr(Graphs, "_recorded", recorded)
    for name, value in {
        "CUDAGraph": ActedGraph,
        "Stream": Stream,
        "current_stream": Stream,
        "stream": nothing,
        "graph": nothing,
    }.items():
        monkeypatch.setattr(graphs.torch.cuda, name, value)
    return pools


def test_a_batch_goes_into_the_smallest_size_that_holds_it() -> None:
    assert fitting(1, 1) == (1, 64) and fitting(3, 65) == (4, 96)
    assert fitting(8, 256) == (8, 256) and fitting(8, 257) is None  # more tokens than a graph is for
    assert fitting(9, 64) is None and fitting(1, 513) is None
    for rows in range(1, 9):
        for width in (1, 64, 100, 512):
            found = fitting(rows, width)
            if found is not None:
                assert found[0] in ROWS and found[1] in WIDTHS and found[0] * found[1] <= MAX_TOKENS
                assert found[0] >= rows and found[1] >= width


def test_padding_asks_nothing_and_changes_no_answer(tiny: Checkpoint) -> None:
    packed = _packed(tiny)
    wide = Graphs(tiny.model, CPU, record=lambda kind, text: None).padded(packed)
    assert wide is not None and (wide.rows, wide.width) == (4, 64)
    assert np.array_equal(wide.ids[:, : packed.rows, : packed.width], packed.ids)
    assert wide.bars[3] == np.inf and wide.lengths[3] == 1
    prompts = _prompts(tiny)
    plain = unpack(match(run(tiny.model, packed, CPU), packed), prompts)
    padded = unpack(match(run(tiny.model, wide, CPU), packed), prompts)
    assert any(len(one.heads) for one in plain)
    _assert_same(padded, plain)


def test_a_recorded_size_gives_what_the_network_gives_and_is_recorded_once(tiny: Checkpoint, acted: list[Any]) -> None:
    told: list[tuple[str, str]] = []
    held = Graphs(tiny.model, CPU, record=lambda kind, text: told.append((kind, text)))
    for texts in (TEXTS, TEXTS[:1], TEXTS[::-1], ("北京。",)):
        packed, prompts = _packed(tiny, texts), _prompts(tiny, texts)
        wanted, found = (
            unpack(match(run(tiny.model, packed, CPU, graphs=one), packed), prompts) for one in (None, held)
        )
        _assert_same(found, wanted)
    assert held.count == 2 == len(ActedGraph.made) and not told  # 4 × 64 and 1 × 64
    assert [graph.replays for graph in ActedGraph.made] == [2, 2]
    assert acted == [None, "the pool"]  # the second recording shares the memory of the first


def test_where_recording_fails_the_batch_is_answered_and_no_other_is_tried(
    tiny: Checkpoint, acted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def broken(self: Graphs, rows: int, width: int) -> None:
        tries.append((rows, width))
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Graphs, "_recorded", broken)
    told: list[tuple[str, str]] = []
    held = Graphs(tiny.model, CPU, record=lambda kind, text: told.append((kind, text)))
    packed, prompts = _packed(tiny), _prompts(tiny)
    for _ in range(2):
        found = unpack(match(run(tiny.model, packed, CPU, graphs=held), packed), prompts)
        assert any(len(one.heads) for one in found)
    assert tries == [(4, 64)] and held.count == 0
    assert len(told) == 1 and told[0][0] == "error" and "not permitted" in told[0][1]
    assert held.padded(packed) is None


def test_large_batches_go_their_own_way(tiny: Checkpoint, acted: list[Any]) -> None:
    held = Graphs(tiny.model, CPU, record=lambda kind, text: None)
    assert held.padded(_packed(tiny, TEXTS * 3)) is None
    run(tiny.model, _packed(tiny, TEXTS * 3), CPU, graphs=held)
    assert held.count == 0


def test_on_the_cpu_no_graphs_are_made_even_when_asked_for(checkpoint_dir) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(_env_file=None, model=str(checkpoint_dir), device="cpu", graphs="on")  # type: ignore[call-arg]
    assert from_settings(settings)(lambda kind, text: None).graphs is None


def test_numbers_beyond_the_range_of_the_type_are_an_error_and_never_an_empty_answer(tiny: Checkpoint) -> None:
    class Overflowing(torch.nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.ffnq = torch.nn.Linear(1, 1, dtype=torch.float16)
            self.place = place

        def forward(self, ids: torch.Tensor, *rest: object, **more: object) -> torch.Tensor:
            out = torch.zeros(*ids.shape, ids.shape[1])
            out[-1, self.place] = float("nan")
            return out

    packed = _packed(tiny)
    with pytest.raises(DeviceError, match="float16.*REX_DTYPE"):
        run(Overflowing(0), packed, CPU)  # type: ignore[arg-type]
    assert packed.lengths[-1] < packed.width
    run(Overflowing(packed.width - 1), packed, CPU)  # type: ignore[arg-type]  # padding may hold anything


@pytest.mark.gpu
def test_a_graph_on_the_card_gives_the_logits_of_the_network(tiny: Checkpoint, checkpoint_dir) -> None:  # type: ignore[no-untyped-def]
    card = torch.device("cuda")
    network = load_checkpoint(str(checkpoint_dir), device="cuda", dtype="float16").model
    told: list[tuple[str, str]] = []
    held = Graphs(network, card, record=lambda kind, text: told.append((kind, text)))
    for texts in (TEXTS, TEXTS[:1], TEXTS[::-1]):
        packed = _packed(tiny, texts)
        plain, graph = run(network, packed, card), run(network, packed, card, graphs=held)
        assert len(plain.values) > 0 and np.array_equal(np.sort(plain.values), np.sort(graph.values))
    assert held.count == 2 and not told
