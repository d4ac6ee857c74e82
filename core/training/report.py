"""What a fine-tuning run tells the person who started it."""

from __future__ import annotations

from core.training.options import FinetuneResult
from core.training.scoring import Score

FEW_HELD_BACK = 10


def before_after(result: FinetuneResult) -> str:
    """A table of the held-back scores before and after, then where the new model is and how to use it."""
    before = {(score.task, score.source): score for score in result.before}
    lines = ["任务\t数据集\t留出条数\t训练前 F1\t训练后 F1\t变化"] if result.after else ["没有留出记录，没有分数"]
    lines += [_row(score, before.get((score.task, score.source))) for score in result.after]
    if 0 < sum(score.rows for score in result.after) < FEW_HELD_BACK:
        lines.append(f"留出的记录不到 {FEW_HELD_BACK} 条，分数只能看个大概：请用另一个文件再评一次（core evaluate）")
    kept = f"保存了第 {result.epoch} 遍的权重；" if result.epoch else ""
    lost = f"有 {result.lost} 个标注没有对应的词元，没有学；" if result.lost else ""
    lines.append(f"{kept}{lost}共 {result.steps} 步，{result.seconds:.0f} 秒，新模型在 {result.out}")
    lines.append(f"使用：python -m core annotate --model {result.out} …，或 REX_MODEL={result.out} make run")
    return "\n".join(lines)


def _row(after: Score, before: Score | None) -> str:
    numbers = ("—", f"{after.f1:.3f}", "—")
    if before is not None:
        numbers = (f"{before.f1:.3f}", f"{after.f1:.3f}", f"{after.f1 - before.f1:+.3f}")
    return "\t".join((after.task or "—", after.source, str(after.rows), *numbers))
