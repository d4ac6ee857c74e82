"""What it costs to install and to import: `python -m scripts.install_size` writes data/benchmarks/desk/install.json.

Each set of packages goes into a virtual environment of its own in a temporary folder, which is deleted afterwards;
PyTorch with what it needs is installed once, shared by all, and counted apart. Import time is processor time, the
median of some fresh processes; memory is the peak of one. Needs pip, what pip is configured to fetch from, and some
gigabytes of free disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "data" / "benchmarks" / "desk" / "install.json"
REPEATS = 5
MEASURE = """import resource, sys
{}
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, len(sys.modules))"""


# Newer ones do not go with what else modelscope[nlp] asks for, which pip finds out only by trying hundreds of versions.
FITTING = ("python-dateutil==2.9.0.post0", "datasets==4.8.4", "boto3==1.44.8", "spacy==3.7.0", "protobuf==3.20.3")


@dataclass(frozen=True, slots=True)
class Way:
    """A set of packages: what pip is given, and what a program imports to answer with the model."""

    name: str
    packages: tuple[str, ...]
    imports: str


@dataclass(frozen=True, slots=True)
class Cost:
    """`size_bytes`: of all files but those of PyTorch and its own needs; `packages`: how many, without those.

    `import_s`: processor time, median of fresh processes; `rss_bytes`: their peak; `modules`: loaded by then;
    `problem`: why there is none of these.
    """

    name: str
    packages: int = 0
    size_bytes: int = 0
    import_s: float = 0.0
    rss_bytes: int = 0
    modules: int = 0
    install_s: float = 0.0
    largest: tuple[tuple[str, int], ...] = ()
    problem: str = ""


def ways(repository: Path) -> list[Way]:
    """The desk whole, its model part alone, and the two usual ways to this model."""
    lines = (repository / "requirements.txt").read_text("utf-8").splitlines()
    pins = {match[1]: match[0].strip() for one in lines if (match := re.match(r"([A-Za-z0-9._-]+)(\[.*\])?==\S+", one))}
    torch = pins["torch"]
    model = ("torch", "tokenizers", "safetensors", "numpy", "pydantic", "pydantic-settings", "nvidia-ml-py", "psutil")
    peer = next(
        one for one in (repository / "requirements-bench.txt").read_text("utf-8").split() if "transformers==" in one
    )
    return [
        Way(
            "desk", tuple(pins.values()), f"import sys; sys.path.insert(0, {str(repository)!r}); import core.bootstrap"
        ),
        Way(
            "desk, the model alone",
            (*(pins[one] for one in model), pins["prometheus-client"], pins["structlog"]),
            f"import sys; sys.path.insert(0, {str(repository)!r}); import core.inference.assembly",
        ),
        Way("transformers", (torch, peer), "from transformers import DebertaV2Model, BertTokenizerFast"),
        Way(
            "modelscope[nlp] and transformers",
            (torch, peer, f"modelscope[nlp]=={pins['modelscope'].partition('==')[2]}", *FITTING),
            "from modelscope.pipelines import pipeline; from transformers import DebertaV2Model",
        ),
    ]


def install_torch(pin: str, folder: Path) -> int:
    """Put PyTorch and what it needs into a folder; returns its size."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder), pin]
    subprocess.run(command, check=True)
    return size(folder)


def measure(way: Way, folder: Path, shared: Path, *, repeats: int) -> Cost:
    """Install one set into `folder` beside the `shared` PyTorch and look at it."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "shared.pth").write_text(f"{shared}\n", "utf-8")
    bare, before = size(folder), packages(python)
    began = time.perf_counter()
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", *way.packages]
    done = subprocess.run(command, capture_output=True, text=True)
    install_s = round(time.perf_counter() - began, 1)
    if done.returncode:
        return Cost(way.name, problem=f"pip: {done.stderr.strip().splitlines()[-1]}", install_s=install_s)
    parts = sorted(((path.name, size(path)) for path in site.iterdir()), key=lambda one: -one[1])
    # Sizes come first: importing writes compiled files.
    cost = Cost(
        way.name,
        packages=packages(python) - before,
        size_bytes=size(folder) - bare,
        install_s=install_s,
        largest=tuple(parts[:8]),
    )
    times: list[float] = []
    words: list[str] = []
    for number in range(repeats + 1):
        run = subprocess.run(
            [str(python), "-c", MEASURE.format(way.imports)], capture_output=True, text=True, cwd=folder
        )
        if run.returncode:
            return replace(cost, problem=f"import: {run.stderr.strip().splitlines()[-1]}")
        words = run.stdout.split()[-3:]
        times += [float(words[0])] if number else []  # the first one compiles the files
    return replace(cost, import_s=round(statistics.median(times), 2), rss_bytes=int(words[1]), modules=int(words[2]))


def packages(python: Path) -> int:
    """How many packages an environment has."""
    command = [str(python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    return len(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def size(path: Path) -> int:
    """Bytes of a file or of all files below a folder, compiled ones of Python left out."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if not one.is_dir() and one.suffix != ".pyc")


def main() -> None:
    """Measure all ways, or those named on the command line, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=TARGET, help="file to write")
    parser.add_argument(
        "--torch", type=Path, help="folder into which pip has put PyTorch with --target; else it is made"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, help="fresh processes of which the median is taken")
    parser.add_argument("only", nargs="*", help="names of ways; all when none is given")
    given = parser.parse_args()
    costs = []
    with tempfile.TemporaryDirectory() as made:
        shared = given.torch or Path(made)
        chosen = [way for way in ways(ROOT) if not given.only or way.name in given.only]
        torch_bytes = size(shared) if given.torch else install_torch(chosen[0].packages[0], shared)
        for way in chosen:
            with tempfile.TemporaryDirectory() as folder:
                costs.append(measure(way, Path(folder), shared, repeats=given.repeats))
            print(json.dumps(asdict(costs[-1]), ensure_ascii=False), flush=True)
    report = {
        "command": "python -m scripts.install_size " + " ".join(map(repr, given.only)),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch": ways(ROOT)[0].packages[0],
        "torch_bytes": torch_bytes,
        "ways": [asdict(one) for one in costs],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
