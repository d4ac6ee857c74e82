"""Proof on a real card: `python -m scripts.gpu_proof --out DIR` reads it, fills it, empties it, and draws the page.

The first half needs torch, psutil and nvidia-ml-py. The second, in a process of its own, runs the GPU page under
Streamlit's test driver and is left out, with the reason, where Streamlit or SQLAlchemy is missing. DIR gets
`proof.json`, the readings; `monitor.html`, their picture; and `page.html`, the page as it was drawn. Without a card it
says why and what it would do. Ends with 0 when everything held, 1 when something did not, 2 without a card.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.gpu.flush import flush
from core.gpu.monitor import GpuMonitor
from core.gpu.records import GpuSnapshot, Sample, memory_segments
from core.gpu.torch_view import new_window
from core.gpu.visible import Visible
from scripts.gpu_proof_picture import monitor_html

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024**2
BLOCK = 2048 * MIB
SLACK = 96 * MIB
"""What the driver's figures may differ by: others come and go on the card meanwhile."""
BUSY_S = 6.0
PLAN = (
    "读取每张卡的全部数值，核对各段之和等于总显存",
    "分配 2 GiB、释放、归还缓存，每一步核对 PyTorch 与驱动的数字",
    "交替释放小块制造碎片，再归还",
    "持续计算 6 秒，核对利用率、功耗、能耗上升",
    "超出上限申请显存，核对显存不足的计数",
    "在一个作业里核对显存峰值与能耗，再重置峰值",
    "打开 GPU 页面：加载模型、释放缓存、重启、卸载，每一步核对前后数字",
)


class Proof:
    """What was read and what held."""

    def __init__(self) -> None:
        self.checks: list[dict[str, Any]] = []
        self.readings: list[dict[str, Any]] = []

    def check(self, name: str, held: bool, detail: str = "") -> None:
        """Note whether something held, and say it."""
        self.checks.append({"name": name, "held": bool(held), "detail": detail})
        print(("ok    " if held else "FAILED"), name, detail, flush=True)

    def read(self, monitor: GpuMonitor, step: str) -> GpuSnapshot:
        """A reading of the card that PyTorch uses, kept under a name."""
        monitor.mark("step", step)
        sample = monitor.sample()
        self.readings.append({"step": step, **asdict(sample)})
        return ours(sample)


def ours(sample: Sample) -> GpuSnapshot:
    """The card that PyTorch uses, else the first."""
    return next((card for card in sample.cards if card.torch), sample.cards[0])


def prove_memory(proof: Proof, monitor: GpuMonitor) -> None:
    """A block comes and goes, in the figures of PyTorch and of the driver."""
    import torch

    torch.zeros(1, device="cuda")  # starts CUDA
    start = proof.read(monitor, "CUDA 启动")
    block = torch.empty(BLOCK, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    full = proof.read(monitor, "分配 2 GiB")
    del block
    freed = proof.read(monitor, "释放")
    report = flush()
    empty = proof.read(monitor, "归还缓存")
    assert start.torch and full.torch and freed.torch and empty.torch
    grown = full.torch.allocated_bytes - start.torch.allocated_bytes
    proof.check("分配后 PyTorch 使用量增加", abs(grown - BLOCK) <= MIB, f"{grown / MIB:.0f} MiB")
    used = (full.used_bytes or 0) - (start.used_bytes or 0)
    proof.check("分配后驱动的已用量增加", abs(used - BLOCK) <= SLACK, f"{used / MIB:.0f} MiB")
    kept = freed.torch.reserved_bytes - full.torch.reserved_bytes
    proof.check("释放后缓存不变", kept == 0 and freed.torch.allocated_bytes < full.torch.allocated_bytes)
    back = (freed.used_bytes or 0) - (empty.used_bytes or 0)
    proof.check("归还后驱动的已用量减少", abs(back - BLOCK) <= SLACK, f"{back / MIB:.0f} MiB")
    proof.check("归还的报告与驱动一致", abs((report.freed_card_bytes or 0) - back) <= SLACK)
    for card in (start, full, freed, empty):
        total = sum(one.size_bytes for one in memory_segments(card))
        proof.check("各段之和等于总显存", total == card.total_bytes, f"来源 {card.own_source}")
    ever, _ = monitor.peaks()
    peak = ever.cards[full.uuid or ""].allocated_bytes if full.uuid in ever.cards else 0
    proof.check("峰值不小于最大的一块", peak >= BLOCK, f"{peak / MIB:.0f} MiB")


def prove_fragments(proof: Proof, monitor: GpuMonitor) -> None:
    """Every second block freed leaves memory that is held and not used."""
    import torch

    blocks = [torch.empty(3 * MIB, dtype=torch.uint8, device="cuda") for _ in range(200)]
    del blocks[::2]
    broken = proof.read(monitor, "碎片")
    assert broken.torch
    share, split = broken.torch.unused_share, broken.torch.inactive_split_bytes
    # Expandable segments are not split: PyTorch then counts no fragments, and what is unused says it alone.
    expandable = "expandable_segments:true" in os.environ.get("PYTORCH_ALLOC_CONF", "").lower()
    told = f"未用 {share:.0%}，碎片 {split / MIB:.0f} MiB{'（可扩展的段不计碎片）' if expandable else ''}"
    proof.check("碎片看得到", share > 0.2 and (split > 0 or expandable), told)
    blocks.clear()
    flush()


def prove_load(proof: Proof, monitor: GpuMonitor) -> None:
    """Work shows in load, power and energy, and in what a job took."""
    import torch

    before = proof.read(monitor, "空闲")
    watch = monitor.watch(exact=True)
    left = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
    ends = time.monotonic() + BUSY_S
    highest = before
    while time.monotonic() < ends:
        for _ in range(20):
            left = torch.nn.functional.normalize(left @ left)
        torch.cuda.synchronize()
        busy = proof.read(monitor, "计算中")
        highest = max(highest, busy, key=lambda card: card.utilisation_percent or 0)
    taken = watch.take()
    watch.close()
    if highest.utilisation_percent is None:
        proof.check("利用率读不到时给出原因", bool(highest.missing.get("utilisation_percent")))
    else:
        proof.check("计算时利用率上升", highest.utilisation_percent > 20, f"{highest.utilisation_percent} %")
    if highest.power_w is not None and before.power_w is not None:
        proof.check("计算时功耗上升", highest.power_w > before.power_w, f"{before.power_w} → {highest.power_w} W")
    if before.energy_j is not None:
        proof.check("作业有能耗", bool(taken.energy_j and taken.energy_j > 0), f"{taken.energy_j:.0f} J")
    least = left.element_size() * left.nelement()
    proof.check(
        "作业有显存峰值", bool(taken.gpu_bytes and taken.gpu_bytes >= least), f"{(taken.gpu_bytes or 0) / MIB:.0f} MiB"
    )
    del left
    flush()
    monitor.reset_peaks()
    monitor.sample()
    ever, recent = monitor.peaks()
    key = before.uuid or ""
    held = key in recent.cards and recent.cards[key].allocated_bytes < ever.cards[key].allocated_bytes
    proof.check("重置后峰值重新计", held)


def prove_oom(proof: Proof, monitor: GpuMonitor) -> None:
    """More than the allocator may hold is refused and counted."""
    import torch

    before = proof.read(monitor, "上限之前")
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        torch.empty(int((before.total_bytes or 0) * 0.5), dtype=torch.uint8, device="cuda")
        refused = False
    except torch.OutOfMemoryError:
        refused = True
    torch.cuda.set_per_process_memory_fraction(1.0)
    after = proof.read(monitor, "显存不足")
    assert before.torch and after.torch
    proof.check("显存不足被计数", refused and after.torch.ooms > before.torch.ooms, f"{after.torch.ooms} 次")


def prove_values(proof: Proof, sample: Sample) -> None:
    """Every value is there or says why not."""
    for card in sample.cards:
        asked = [
            name for name in asdict(card) if name not in ("missing", "problem", "torch", "mig_instance", "cuda_index")
        ]
        silent = [name for name in asked if getattr(card, name) is None and name not in card.missing]
        silent = [name for name in silent if name not in ("visible", "own_bytes", "remap_failed")]
        proof.check(f"卡 {card.index} 的每个值都有读数或原因", not silent, "、".join(silent))
        print(json.dumps(asdict(card), ensure_ascii=False, default=str, indent=1), flush=True)


def prove_page(out: Path) -> dict[str, Any]:
    """The page in a process of its own; what it said, or why it could not be run."""
    missing = [name for name in ("streamlit", "sqlalchemy", "alembic", "plotly") if find_spec(name) is None]
    if missing:
        return {"skipped": f"没有安装 {'、'.join(missing)}，没有画页面"}
    command = [sys.executable, "-m", "scripts.gpu_proof_page", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=420)
    result = out / "page.json"
    if not result.is_file():
        return {"checks": [{"name": "页面", "held": False, "detail": (done.stderr or done.stdout)[-2000:]}]}
    found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    return found


def why_not(sample: Sample) -> str:
    """Why nothing can be proven here; empty when it can."""
    if sample.reason:
        return sample.reason
    if find_spec("torch") is None:
        return "没有安装 torch"
    import torch

    return "" if torch.cuda.is_available() else "PyTorch 看不到这张卡（CPU 版的 torch，或驱动太旧）"


def main() -> int:
    """Run everything that this machine can run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for proof.json and the pictures")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    visible = Visible(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER", ""))
    monitor, proof = GpuMonitor(0.5, visible=visible), Proof()
    monitor.follow(Own(), new_window=new_window)
    sample = monitor.snapshot("proof")
    reason = why_not(sample)
    page: dict[str, Any] = {}
    if reason:
        print(f"这里不能证明：{reason}\n在有显卡的机器上会做：")
        print("\n".join(f"  {number}. {step}" for number, step in enumerate(PLAN, 1)))
    else:
        prove_values(proof, sample)
        steps: tuple[Callable[[Proof, GpuMonitor], None], ...] = (prove_memory, prove_fragments, prove_load, prove_oom)
        for step in steps:
            try:
                step(proof, monitor)
            except Exception as error:  # the rest is worth knowing too
                proof.check(step.__name__, False, f"{type(error).__name__}: {error}")
    history, events = monitor.history(), monitor.events()
    monitor.close()
    if not reason:
        page = prove_page(out)
        proof.checks += page.get("checks", [])
        print(page.get("skipped", ""))
    result = {
        "reason": reason,
        "checks": proof.checks,
        "page": page,
        "readings": proof.readings or [asdict(sample)],
    }
    (out / "proof.json").write_text(json.dumps(result, ensure_ascii=False, indent=1, default=str), "utf-8")
    (out / "monitor.html").write_text(monitor_html(history, events, proof.checks, reason), "utf-8")
    failed = [one["name"] for one in proof.checks if not one["held"]]
    print(f"{len(proof.checks) - len(failed)} / {len(proof.checks)} 项成立；结果在 {out}")
    return 2 if reason else 1 if failed else 0


class Own:
    """This process as the one that holds the network."""

    info = None

    def cards(self) -> dict[str, Any]:
        """PyTorch of this process is read anyway."""
        return {}


if __name__ == "__main__":
    sys.exit(main())
