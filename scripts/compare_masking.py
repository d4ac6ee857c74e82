"""Which masks teach most: `python -m scripts.compare_masking --data STREAMS --init MODEL --out DIR`.

Every arm goes on from the same weights for the same time; what it reached is measured on the same held-back texts with
the same masks, whatever it was trained with. DIR/compare.json holds the losses, with hardware, versions and command.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Generator

from core.benchmark.environment import hardware
from core.training.corpus import SOURCE_WEIGHTS
from core.training.masking import load_streams
from core.training.pretrain import PretrainConfig, build, draw

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Arm:
    """rate: share of the tokens that is masked. span: mean length of a masked stretch, in tokens."""

    rate: float
    span: float

    @property
    def name(self) -> str:
        """Of its folder and in the report."""
        return f"rate{self.rate:g}-span{self.span:g}"


ARMS = (Arm(0.15, 2.5), Arm(0.25, 2.5), Arm(0.40, 2.5), Arm(0.25, 1.0))
ASKED = (Arm(0.15, 1.0), Arm(0.25, 2.5))
"""The masks that every arm is measured with."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the arms one after the other, measure each, write after each."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of token streams")
    parser.add_argument("--init", type=Path, required=True, help="checkpoint that every arm goes on from")
    parser.add_argument("--out", type=Path, required=True, help="folder for the arms and compare.json")
    parser.add_argument("--seconds", type=float, default=40.0, help="for each arm, preparations included")
    parser.add_argument("--batch", type=int, default=512, help="sequences of a step")
    parser.add_argument("--length", type=int, default=128, help="tokens of a sequence")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    given = parser.parse_args(words)
    device = torch.device(given.device)
    report = {
        "command": shlex.join(["python", "-m", "scripts.compare_masking", *words]),
        "hardware": hardware(device),
        "torch": torch.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": given.seconds,
        "arms": {},
    }
    for arm in ARMS:
        out = given.out / arm.name
        command = ["--data", given.data, "--init", given.init, "--out", out, "--seconds", given.seconds]
        command += ["--rate", arm.rate, "--span", arm.span, "--batch", given.batch, "--length", given.length]
        command += ["--device", given.device, "--validation-rows", given.batch, "--validate-every", 100000]
        command += ["--lr", 6e-4, "--compile" if device.type == "cuda" else "--no-compile"]
        done = subprocess.run([sys.executable, "-m", "core.training.pretrain", *map(str, command)], cwd=ROOT)
        if done.returncode:
            report["arms"][arm.name] = {"failed": done.returncode}
        else:
            last = json.loads((out / "log.jsonl").read_text("utf-8").splitlines()[-1])
            losses = {one.name: held_back_loss(out, given.data, one, given) for one in ASKED}
            report["arms"][arm.name] = {"steps": last["step"], "tokens": last["tokens"], "held_back_loss": losses}
        (given.out / "compare.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(report["arms"], indent=1) + "\n")


@torch.no_grad()
def held_back_loss(directory: Path, data: Path, asked: Arm, given: argparse.Namespace) -> float:
    """Mean loss over masked tokens of held-back texts, 2,048 sequences, the same masks for every checkpoint."""
    device = torch.device(given.device)
    config = PretrainConfig(data=data, init=directory, batch=given.batch, length=given.length, device=given.device)
    config = replace(config, rate=asked.rate, span=asked.span)
    model = build(config).to(device).eval()
    _, held = load_streams(data, weights=SOURCE_WEIGHTS, least=given.length, device=device)
    losses = []
    for number in range(max(1, 2048 // given.batch)):
        batch = draw(held, config, model.plm.config, generator=Generator(device).manual_seed(number))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses.append(float(model(batch.input_ids, batch.positions, batch.labels)))
    return round(sum(losses) / len(losses), 4)


if __name__ == "__main__":
    main()
