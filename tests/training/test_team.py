"""Several processes that train one network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from core.training.team import join

ROOT = Path(__file__).parents[2]
MEMBER = """
import torch
from core.training.team import join
team = join("cpu")
weight = torch.nn.Parameter(torch.zeros(2, 3))
bias = torch.nn.Parameter(torch.zeros(3))
(weight.sum() * (team.member + 1) + bias.sum() * 4 * team.member).backward()
team.average([weight, bias])
print(f"member {team.member} of {team.size}: {weight.grad.unique().tolist()} {bias.grad.unique().tolist()} "
      f"{team.largest(0.25 + team.member)}", flush=True)
team.leave()
"""


def test_a_process_started_plainly_is_alone() -> None:
    team = join("cpu")
    assert (team.member, team.size, team.leads, team.device) == (0, 1, True, torch.device("cpu"))
    assert team.largest(0.5) == 0.5


def test_two_processes_share_the_mean_of_their_gradients_and_the_largest_number(tmp_path: Path) -> None:
    script = tmp_path / "member.py"
    script.write_text(MEMBER)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment)
    assert ended.returncode == 0, ended.stderr[-2000:]
    for member in (0, 1):
        assert f"member {member} of 2: [1.5] [2.0] 1.25" in ended.stdout
