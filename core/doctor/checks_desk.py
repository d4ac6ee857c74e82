"""What the facts mean for the desk: database, disk, model, packages, ports, clock (pure)."""

from __future__ import annotations

from core.doctor.compatibility import PYTHON_RANGE, dotted, version_of
from core.doctor.records import ERROR, OK, WARNING, Check, Facts

GIB = 2**30
FREE_BYTES = GIB
LITTLE_BYTES = 5 * GIB
HOST_BYTES = 2 * GIB
"""Least memory that should be free: PyTorch, the official checkpoint in float32 and the screens."""
NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "9p", "drvfs", "sshfs", "ceph", "lustre", "glusterfs")
BACKWARDS_S = 300.0
INSTALL = "请运行 pip install -r requirements.txt"


def database(facts: Facts) -> Check:
    """Is the database whole, and of this version?"""
    name, title, found = "database", "数据库", facts.database
    if found.error:
        return Check(name, title, ERROR, found.error, "请检查地址与权限；文件损坏时用 restore 恢复一份备份")
    if not found.exists:
        return Check(name, title, OK, f"{found.url} 还不存在，第一次使用时创建")
    if found.problems:
        said = "；".join(found.problems[:3])
        return Check(name, title, ERROR, f"{found.url} 已损坏：{said}", "请用 restore 恢复一份备份；先保留损坏的文件")
    if found.newer:
        said = f"{found.url} 的版本 {found.revision} 由更新的程序创建"
        return Check(name, title, ERROR, said, "请升级程序，或用 REX_DATABASE_URL 指定另一个数据库")
    if found.revision != found.head:
        said = f"{found.url} 是旧版 {found.revision or '（空）'}，下次启动时升级到 {found.head}"
        return Check(name, title, WARNING, said, "升级前请先备份：python -m core backup PATH")
    whole = "完好" if found.checked else "可以打开（没有通读内容）"
    return Check(name, title, OK, f"{found.url} {whole}，版本 {found.head}")


def disk(facts: Facts) -> Check:
    """Is there room, on a disk that suits?"""
    name, title = "disk", "磁盘空间"
    said = f"{facts.data_dir} 所在的磁盘剩 {facts.free_bytes / GIB:,.1f} GiB"
    if facts.free_bytes < FREE_BYTES:
        return Check(name, title, ERROR, f"{said}，少于 1 GiB", "请腾出空间或更换 REX_DATA_DIR")
    if any(kind in facts.filesystem.lower() for kind in NETWORK_FILESYSTEMS):
        advice = "请把 REX_DATA_DIR 放到本机磁盘（WSL：不要放在 /mnt/c 下），或改用 PostgreSQL"
        return Check(name, title, WARNING, f"{said}；文件系统 {facts.filesystem} 上 SQLite 的锁不可靠", advice)
    if facts.free_bytes < LITTLE_BYTES:
        return Check(name, title, WARNING, f"{said}，少于 5 GiB", "请尽早腾出空间")
    return Check(name, title, OK, said)


def write(facts: Facts) -> Check:
    """May the desk write its data?"""
    if facts.write_problem:
        said = f"不能写入 {facts.data_dir}：{facts.write_problem}"
        return Check("write", "写权限", ERROR, said, "请检查权限或更换 REX_DATA_DIR")
    return Check("write", "写权限", OK, f"可以写入 {facts.data_dir}")


def packages(facts: Facts) -> Check:
    """Are the packages those that were tested together?"""
    name, title = "versions", "软件包"
    missing = sorted(set(facts.required) - set(facts.packages))
    other = [
        f"{one} {facts.packages[one]}（应为 {wanted}）"
        for one, wanted in facts.required.items()
        if one in facts.packages and facts.packages[one].partition("+")[0] != wanted
    ]
    said = f"{len(facts.packages)} 个必需的软件包，sqlite {facts.sqlite}"
    if facts.optional:
        said += "；另有可选的 " + "、".join(f"{one} {number}" for one, number in facts.optional.items())
    if missing:
        return Check(name, title, ERROR, f"缺少 {'、'.join(missing)}", INSTALL)
    if other:
        return Check(name, title, WARNING, f"版本与试过的不同：{'、'.join(other)}", INSTALL)
    return Check(name, title, OK, said)


def python(facts: Facts) -> Check:
    """Is this a Python that the desk was tried with?"""
    name, title, (low, high) = "python", "Python", PYTHON_RANGE
    where = "，WSL" if facts.wsl else "，容器内" if facts.container else ""
    said = f"Python {facts.python}，{facts.system} {facts.machine}{where}"
    if version_of(facts.python)[:2] < low:
        return Check(name, title, ERROR, f"{said}；太旧", f"请用 Python {dotted(low)} 到 {dotted(high)}")
    if version_of(facts.python)[:2] > high:
        return Check(name, title, WARNING, f"{said}；没有试过", f"试过的是 Python {dotted(low)} 到 {dotted(high)}")
    return Check(name, title, OK, said)


def model(facts: Facts) -> Check:
    """Are the model's files there and unchanged?"""
    name, title, found = "model", "模型文件", facts.model
    if found.problem:
        advice = "请重新复制或下载整个模型目录，或检查 REX_MODEL"
        return Check(name, title, ERROR, f"{found.source}：{found.problem}", advice)
    if not found.directory:
        advice = "第一次使用时下载；可先运行 python -m core verify 或 sh deploy.sh"
        return Check(name, title, WARNING, f"{found.source}（版本 {found.revision}）还没有下载", advice)
    if found.damaged:
        said = f"{found.directory}：{'、'.join(found.damaged)} 与校验和不符"
        return Check(name, title, ERROR, said, "文件已损坏或被改动：请重新复制或下载整个模型目录")
    said = f"{found.source}：{found.files} 个文件，{found.size_bytes / 2**20:,.0f} MiB"
    if found.listed:
        said += f"，其中 {found.listed} 个{'与校验和相符' if found.checked else '有校验和（没有核对）'}"
    else:
        said += "，没有校验和清单，只检查了是否完整"
    if found.revision in ("master", "main"):
        advice = "生产环境请用 REX_MODEL_REVISION 固定一个标签或提交"
        return Check(name, title, WARNING, f"{said}；版本 {found.revision} 会变动", advice)
    return Check(name, title, OK, said)


def memory(facts: Facts) -> Check:
    """Has the machine memory left?"""
    said = f"内存可用 {facts.available_bytes / GIB:.1f} / {facts.total_bytes / GIB:.1f} GiB，{facts.cores} 个处理器核心"
    if facts.total_bytes and facts.available_bytes < HOST_BYTES:
        advice = "请关闭其他程序，或加大内存（容器：加大内存上限）"
        return Check("memory", "内存", WARNING, f"{said}；少于 {HOST_BYTES / GIB:.0f} GiB", advice)
    return Check("memory", "内存", OK, said)


def ports(facts: Facts) -> Check:
    """Are the ports free, or the desk's own?"""
    words = {"free": "空闲", "desk": "正在使用", "taken": "被其他程序占用"}
    said = "；".join(f"{one.name} {one.number} {words[one.state]}" for one in facts.ports) or "没有用端口"
    taken = [str(one.number) for one in facts.ports if one.state == "taken"]
    if taken:
        advice = "请换一个端口（make run PORT=…、REX_HEALTH_PORT），或停止占用它的程序"
        return Check("ports", "端口", WARNING, said, advice)
    return Check("ports", "端口", OK, said)


def clock(facts: Facts) -> Check:
    """Can the times in the database be believed?"""
    name, title = "clock", "时钟"
    if facts.newest_s is not None and facts.newest_s - facts.now_s > BACKWARDS_S:
        hours = (facts.newest_s - facts.now_s) / 3600
        said = f"系统时间比最近一次存储早 {hours:,.1f} 小时"
        return Check(name, title, WARNING, said, "请校准系统时间：作业的先后和租约按它判断")
    if facts.synchronized is False:
        return Check(name, title, WARNING, "系统时间没有与网络同步", "请启用 systemd-timesyncd 或 chrony")
    return Check(name, title, OK, "系统时间正常" if facts.synchronized else "系统时间可信（系统没有说是否同步）")


DESK_CHECKS = (database, disk, write, packages, python, model, memory, ports, clock)
