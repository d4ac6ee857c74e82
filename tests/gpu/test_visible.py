"""CUDA's numbers of the cards: what CUDA_VISIBLE_DEVICES means for the cards that the driver lists."""

from __future__ import annotations

import pytest

from core.gpu.cards import read_cards
from core.gpu.visible import Part, Visible, cuda_numbers
from scripts.scripted_cards import torch_on

CARDS = [Part(0, "GPU-aa11", "A"), Part(1, "GPU-aa22", "A"), Part(2, "GPU-bb33", "A")]
UNLIKE = [Part(0, "GPU-aa11", "A"), Part(1, "GPU-aa22", "B")]
INSTANCES = [Part(0, f"MIG-c{n}", "A", "GPU-aa11", n) for n in (0, 3)]


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (None, {0: 0, 1: 1, 2: 2}),
        ("", {}),
        ("-1", {}),
        ("2,0", {2: 0, 0: 1}),
        (" 1 ", {1: 0}),
        ("GPU-bb33,GPU-aa22", {2: 0, 1: 1}),
        ("GPU-bb", {2: 0}),
        ("GPU-aa", {}),  # names two cards: CUDA takes none
        ("0,7,1", {0: 0}),  # the list ends at the first entry that names nothing
        ("0,0", {0: 0}),
    ],
)
def test_cards_are_numbered_as_cuda_numbers_them(devices, expected):
    assert cuda_numbers(CARDS, Visible(devices)) == expected


def test_the_order_of_unlike_cards_is_not_guessed():
    assert cuda_numbers(UNLIKE, Visible(None)) == {0: None, 1: None}
    assert cuda_numbers(UNLIKE, Visible("1")) is None
    assert cuda_numbers(UNLIKE, Visible("1", "PCI_BUS_ID")) == {1: 0}
    assert cuda_numbers(UNLIKE, Visible("GPU-aa22")) == {1: 0}


def test_a_mig_instance_is_found_by_its_uuid_and_without_one_the_first_is_used():
    assert cuda_numbers(INSTANCES, Visible("MIG-c3")) == {1: 0}
    assert cuda_numbers(INSTANCES, Visible(None)) == {0: 0}
    assert cuda_numbers(INSTANCES[:1], Visible("MIG-GPU-aa11/1/0")) == {0: 0}


def test_a_card_that_is_hidden_from_this_process_says_so(scripted):
    cards = read_cards(scripted(nvmlDeviceGetCount=2), {}, visible=Visible("1"))
    assert [(card.visible, card.cuda_index) for card in cards] == [(False, None), (True, 0)]


def test_what_cuda_itself_says_comes_before_what_the_environment_says(scripted):
    cards = read_cards(scripted(nvmlDeviceGetCount=2), {"abc-card-0": torch_on(3, 1, 2)}, visible=Visible("1"))
    assert [(card.visible, card.cuda_index) for card in cards] == [(True, 3), (False, None)]
