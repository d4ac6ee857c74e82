"""A data directory filled as after a day's work: documents, finished jobs of every task, corrections, saved schemas.

Everything is computed here by the included model through the product's own services; nothing is made up but the texts,
which are those of data/samples and of the presets. `python -m scripts.demo_data DIR` fills DIR (about a minute).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from core import bootstrap, job_services, reviews, services
from core.bootstrap import Application
from core.config import Settings
from core.review.actions import Action
from core.schemas.presets import list_presets
from core.storage import schema_store
from core.storage.review_queries import CERTAINTY, QueueFilter, get_review, queue_ids
from core.tasks import TASKS
from core.types import Document

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
PATIENCE_S = 600
AUTHOR = "陈静"


@dataclass
class Demo:
    """Where to look: the job of each task's page, three runs over many documents, and one document under review."""

    jobs: dict[str, int] = field(default_factory=dict)
    news: int = 0
    complaints: int = 0
    feelings: int = 0
    document: int = 0
    schema: str = "投诉要素"


def fill(data_dir: Path) -> Demo:
    """Fill `data_dir`, waiting for every job."""
    app = bootstrap.build(Settings(data_dir=data_dir, _env_file=None))
    try:
        demo = Demo()
        _libraries(app, demo)
        _tasks(app, demo)
        _many(app, demo)
        _corrections(app, demo)
        return demo
    finally:
        app.close()


def _libraries(app: Application, demo: Demo) -> None:
    """A schema of two versions, and another one."""
    services.save_schema(app, demo.schema, task="ner", schema={"产品": None, "门店": None, "金额": None, "日期": None})
    services.save_schema(
        app, demo.schema, task="ner", note="门店改名，加上人员",
        schema={"产品": None, "门店名称": None, "金额": None, "日期": None, "人员": None},
    )  # fmt: skip
    services.save_schema(
        app, "企业关系", task="re", schema={"组织机构": {"董事长(人物)": None, "总部地点(地点)": None}}
    )


def _tasks(app: Application, demo: Demo) -> None:
    for task in (name for name in TASKS if name != "rex"):
        preset = list_presets(task)[0]
        demo.jobs[task] = _run(app, [preset.sample], task, preset.schema, preset.name)


def _many(app: Application, demo: Demo) -> None:
    news = services.import_file(app, "news.txt", (SAMPLES / "news.txt").read_bytes())
    preset = list_presets("ner")[0]
    demo.news = _run(app, list(news.documents), "ner", preset.schema, preset.name)
    table = (SAMPLES / "complaints.csv").read_bytes()
    told = services.import_file(app, "complaints.csv", table, text_column="内容")
    version = schema_store.versions(app.database, demo.schema)[0]
    demo.complaints = _run(app, list(told.documents), "ner", version.schema.to_dict(), demo.schema)
    demo.feelings = _run(app, list(told.documents), "sentiment", list_presets("sentiment")[0].schema, "")


def _run(app: Application, documents: list[Document], task: str, schema: object, name: str) -> int:
    job = job_services.start_job(app, documents, task=task, schema=schema, schema_name=name or None)
    if not job_services.wait_for_jobs(app, [job], PATIENCE_S):
        raise RuntimeError(f"job {job} ({task}) did not end within {PATIENCE_S} s")
    return job


def _corrections(app: Application, demo: Demo) -> None:
    """Some documents approved, some corrected, one begun."""
    ids = queue_ids(app.database, demo.news, QueueFilter(order=CERTAINTY))
    # The one that is begun is the one with most to see.
    begun = max(ids[4:], key=lambda one: len(get_review(app.database, demo.news, one).nodes))
    for number, document in enumerate([*ids[:4], begun]):
        review = get_review(app.database, demo.news, document)
        tops = [node for node in review.nodes if node.parent is None]
        for place, node in enumerate(tops[: 2 if number == 4 else None]):
            wrong = number % 2 == 1 and place == len(tops) - 1
            action = Action("reject" if wrong else "accept", id=node.id)
            review = reviews.perform(app.database, review, action, author=AUTHOR)
        if number != 4:
            review = reviews.perform(app.database, review, Action("finish"), author=AUTHOR)
    demo.document = begun


def main() -> None:
    """Fill the directory given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print(fill(folder))


if __name__ == "__main__":
    main()
