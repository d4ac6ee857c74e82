"""What the facts mean for the card: driver, build of PyTorch, memory, allocator, compiler (pure)."""

from __future__ import annotations

from core.doctor.compatibility import (
    ARTICLE,
    MIN_CAPABILITY,
    MIN_TORCH,
    TESTED_TORCH,
    compiles_ptx,
    dotted,
    least_driver,
    runs_on,
    version_of,
)
from core.doctor.records import ERROR, OK, WARNING, Check, Facts

GIB = 2**30
FREE_CARD_BYTES = 2 * GIB
"""Weights of the official checkpoint, context and one small batch."""
ON_CPU = "模型在 CPU 上运行"
OTHER_BUILD = "PyTorch 官网的安装页按 CUDA 版本给出命令"


def _wants_card(facts: Facts) -> bool:
    return facts.wanted_device.startswith("cuda")


def torch_build(facts: Facts) -> Check:
    """Is PyTorch there, in a version that is safe and tried?"""
    name, title, torch = "torch", "PyTorch", facts.torch
    if not torch.version:
        return Check(
            name, title, ERROR, f"不能载入：{torch.problem or '没有安装'}", "请运行 pip install -r requirements.txt"
        )
    found, build = version_of(torch.version)[:2], f"CUDA {torch.cuda}" if torch.cuda else "CPU 版"
    said = f"{torch.version}（{build}）"
    if found < MIN_TORCH:
        advice = f"请升级到 {facts.required.get('torch') or dotted(TESTED_TORCH[1])}"
        return Check(name, title, ERROR, f"{said}；早于 {dotted(MIN_TORCH)}：读权重时有执行代码的漏洞", advice)
    low, high = TESTED_TORCH
    if not low <= found <= high:
        advice = f"可用，但请先用 make test 检查；试过的是 {dotted(low)} 到 {dotted(high)}"
        return Check(name, title, WARNING, f"{said}；没有在这个版本上试过", advice)
    return Check(name, title, OK, said)


def driver(facts: Facts) -> Check:
    """Does the driver run the CUDA that PyTorch was built with?"""
    name, title, torch = "driver", "驱动与 CUDA", facts.torch
    if facts.driver is None:
        reason = facts.driver_problem or "没有 NVIDIA 驱动"
        if _wants_card(facts):
            return Check(name, title, ERROR, reason, "请安装 NVIDIA 驱动，或设 REX_DEVICE=auto")
        return Check(name, title, OK, f"{reason}；{ON_CPU}")
    said = f"驱动 {facts.driver}（最高 CUDA {facts.driver_cuda or '未知'}）"
    if torch.cuda is None:
        level = ERROR if _wants_card(facts) else WARNING
        return Check(
            name, title, level, f"{said}；PyTorch 是 CPU 版，用不上显卡", f"请安装 CUDA 版的 torch：{OTHER_BUILD}"
        )
    windows = facts.wsl or facts.system == "Windows"
    least = least_driver(torch.cuda, windows=windows)
    said += f"，PyTorch 用 CUDA {torch.cuda} 构建"
    if least is None:
        return Check(
            name, title, OK if torch.sees_cards else WARNING, f"{said}；表中没有这个 CUDA 版本", "请以实际运行为准"
        )
    if version_of(facts.driver) < version_of(least):
        if torch.sees_cards:
            return Check(name, title, OK, f"{said}；驱动早于 {least}，但 CUDA 能启动（兼容包）")
        major = version_of(torch.cuda)[0]
        advice = f"请把驱动升级到 {least} 或更新"
        if windows:
            advice += "（在 Windows 一侧升级）" if facts.wsl else ""
        older = [one for one in (12, 11) if one < major and (low := least_driver(f"{one}.0", windows=windows))
                 and version_of(facts.driver) >= version_of(low)]  # fmt: skip
        if older:
            advice += f"，或安装为 CUDA {older[0]} 构建的 torch（{OTHER_BUILD}）"
        return Check(name, title, ERROR, f"{said}；CUDA {major}.x 至少需要驱动 {least}", advice)
    if not torch.sees_cards and facts.cards:
        advice = "请检查 CUDA_VISIBLE_DEVICES、容器的 --gpus 设置，或在升级驱动后重启机器"
        return Check(
            name, title, ERROR if _wants_card(facts) else WARNING, f"{said}；版本相配，但 CUDA 没有启动", advice
        )
    if not windows and not compiles_ptx(torch.cuda, facts.driver):
        return Check(name, title, OK, f"{said}；按次版本兼容运行，驱动不能现编译 PTX")
    return Check(name, title, OK, said)


def card(facts: Facts) -> Check:
    """Are there cards, and does PyTorch have code for them?"""
    name, title = "card", "显卡"
    if not facts.cards:
        if _wants_card(facts):
            return Check(
                name, title, ERROR, f"REX_DEVICE={facts.wanted_device}，但没有可见的显卡", "请设 REX_DEVICE=auto"
            )
        return Check(name, title, OK, f"没有可见的显卡；{ON_CPU}")
    problems, notes, level = [], [], OK
    for one in facts.cards:
        label = f"{one.name} {one.capability or ''}".strip()
        if one.problem:
            problems.append(f"{one.name}：{one.problem}")
            continue
        if one.mig_enabled and one.mig_instance is None:
            problems.append(f"{label} 已开启 MIG，但没有可见的切片：请创建切片并用 CUDA_VISIBLE_DEVICES 选中")
            continue
        if one.mig_instance is not None:
            label += f"（MIG 切片 {one.mig_instance}，{(one.total_bytes or 0) / GIB:.0f} GiB）"
        if one.capability and version_of(one.capability)[:2] < MIN_CAPABILITY:
            problems.append(f"{label}：计算能力低于 {dotted(MIN_CAPABILITY)}，请设 REX_DEVICE=cpu")
            continue
        if one.capability and facts.torch.archs:
            way = runs_on(one.capability, facts.torch.archs)
            if not way:
                kinds = "、".join(facts.torch.archs)
                problems.append(f"{label}：这个 PyTorch 只有 {kinds} 的代码，请安装支持此卡的 torch（{OTHER_BUILD}）")
                continue
            if way == "ptx":
                if facts.torch.cuda and facts.driver and not compiles_ptx(facts.torch.cuda, facts.driver):
                    problems.append(f"{label}：需要驱动现编译 PTX，而驱动 {facts.driver} 太旧，请升级驱动")
                    continue
                label += "（由驱动现编译，第一次启动较慢）"
                level = WARNING
        notes.append(label)
    if len([one for one in facts.cards if one.mig_instance is None]) > 1:
        notes.append("工作台只用一张：REX_DEVICE=cuda:N 选择")
    if problems:
        return Check(name, title, ERROR, "；".join([*notes, *problems]), "请按上面所说处理，或设 REX_DEVICE=cpu")
    return Check(name, title, level, "；".join(notes), "若有带此卡代码的 torch，请改用它" if level == WARNING else "")


def card_memory(facts: Facts) -> Check:
    """Is there room on the card?"""
    name, title = "card_memory", "显存"
    known = [one for one in facts.cards if one.free_bytes is not None and one.total_bytes]
    if not known:
        return Check(name, title, OK, "没有显卡" if not facts.cards else "驱动不提供显存读数")
    said = "；".join(
        f"{one.name} 空闲 {(one.free_bytes or 0) / GIB:.1f} / {(one.total_bytes or 0) / GIB:.1f} GiB" for one in known
    )
    if max(one.free_bytes or 0 for one in known) < FREE_CARD_BYTES:
        advice = "请结束占用显存的进程（nvidia-smi），或用 REX_DEVICE=cuda:N 换一张卡"
        return Check(name, title, WARNING, f"{said}；少于 {FREE_CARD_BYTES / GIB:.0f} GiB，模型可能放不下", advice)
    return Check(name, title, OK, said)


def allocator(facts: Facts) -> Check:
    """Do the allocator's settings suit?"""
    name, title = "allocator", "显存分配"
    if facts.caching_off:
        advice = "请去掉这个环境变量：它只用于查错"
        return Check(name, title, WARNING, "PYTORCH_NO_CUDA_MEMORY_CACHING 关闭了缓存，推理会慢得多", advice)
    if not facts.allocator:
        return Check(name, title, OK, "未设置，由显卡配置决定" if facts.cards else f"未设置；{ON_CPU}")
    parts = [part.partition(":") for part in facts.allocator.replace(" ", "").split(",") if part]
    if not all(key and colon and value for key, colon, value in parts):
        advice = "写法如 expandable_segments:True,max_split_size_mb:128；或去掉它"
        return Check(name, title, ERROR, f"PYTORCH_ALLOC_CONF={facts.allocator} 不能识别，CUDA 启动时会出错", advice)
    chosen = {key: value.lower() for key, _, value in parts}
    said = f"PYTORCH_ALLOC_CONF={facts.allocator}"
    if chosen.get("backend") == "cudamallocasync":
        return Check(name, title, WARNING, f"{said}；此后端的显存读数与释放不完整", "建议去掉 backend，用默认的分配器")
    if chosen.get("expandable_segments") == "true" and (facts.wsl or facts.system == "Windows"):
        return Check(name, title, WARNING, f"{said}；Windows 与 WSL 不支持 expandable_segments", "它会被忽略，可以去掉")
    return Check(name, title, OK, said)


def compiler(facts: Facts) -> Check:
    """Can the attention kernel be compiled?"""
    name, title = "compiler", "Triton 编译器"
    if not facts.cards or not facts.torch.cuda:
        return Check(name, title, OK, "不需要：没有用显卡")
    if facts.triton is None:
        return Check(name, title, WARNING, "没有 triton；注意力改用 SDPA，较慢", "请随 CUDA 版 torch 安装 triton")
    if not facts.compiler:
        advice = "请安装 gcc 与 Python 头文件（Debian：apt-get install gcc libc6-dev python3-dev）"
        return Check(name, title, WARNING, f"triton {facts.triton}；没有 C 编译器，注意力改用 SDPA，较慢", advice)
    if not facts.headers:
        advice = "请安装 Python 头文件（Debian：apt-get install python3-dev）"
        return Check(
            name, title, WARNING, f"triton {facts.triton}，{facts.compiler}；缺少 Python.h，注意力改用 SDPA", advice
        )
    return Check(name, title, OK, f"triton {facts.triton}，{facts.compiler}")


def article(facts: Facts) -> Check:
    """Older versions that the model is often set up with, and what is asked today; information alone."""
    torch = facts.torch
    found = {"driver": facts.driver, "cuda": torch.cuda, "torch": torch.version.partition("+")[0] or None}
    words = {"driver": "驱动", "cuda": "CUDA", "torch": "torch"}
    parts = [
        f"{words[key]} {wanted}（{'相同' if found[key] == wanted else f'这里 {found[key] or chr(0x2014)}'}）"
        for key, wanted in ARTICLE.items()
    ]
    today = f"如今：torch {dotted(TESTED_TORCH[0])} 到 {dotted(TESTED_TORCH[1])}"
    if torch.cuda and (least := least_driver(torch.cuda, windows=facts.wsl or facts.system == "Windows")):
        today += f"，CUDA {torch.cuda} 需驱动 {least} 起"
    return Check("article", "常见的旧版本", OK, f"网上的部署教程多用 {'、'.join(parts)}；{today}。不必换成旧版本。")


CARD_CHECKS = (torch_build, driver, card, card_memory, allocator, compiler, article)
