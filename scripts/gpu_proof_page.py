"""The second half of the proof: the GPU page on the real driver, its buttons pressed, and the page kept as HTML.

Started by `scripts.gpu_proof` in a process of its own, so that what the first half held does not count.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parent.parent
ALERTS = ("alert", "error", "warning", "info", "success")


def drawn(page: AppTest) -> str:
    """The page's texts, tables and tiles in their order, with its style; charts by their title only."""
    style = (ROOT / "streamlit_app" / "frontend" / "gpu.css").read_text("utf-8")
    parts = [f'<!doctype html><meta charset="utf-8"><style>body{{font:14px sans-serif;margin:2em}}{style}</style>']
    one: Any
    for one in page.main:
        proto = getattr(one, "proto", None)
        if one.type == "html":
            parts.append(str(getattr(proto, "body", "")))
        elif one.type in ("header", "subheader", "title"):
            parts.append(f"<h3>{escape(str(one.value))}</h3>")
        elif one.type in ("caption", "markdown", *ALERTS):
            parts.append(f"<p>{escape(str(one.value)).replace(chr(92), '')}</p>")
        elif one.type == "button":
            parts.append(f"<p>[{escape(str(one.label))}]</p>")
        elif one.type == "arrow_data_frame":
            parts.append(one.value.to_html(index=False, escape=True))
    return "\n".join(parts)


def main() -> None:
    """Open the page, press every button, note what held."""
    out = Path(sys.argv[1])
    os.environ |= {"REX_DATA_DIR": tempfile.mkdtemp(), "REX_DEVICE": "cuda"}
    from core.gpu.records import GpuSnapshot
    from core.memory_services import Release
    from streamlit_app.components.gpu_release import REPORT_KEY
    from streamlit_app.resources import application

    app = application()
    checks: list[dict[str, Any]] = []
    page = AppTest.from_file(str(ROOT / "pages" / "gpu.py"), default_timeout=180).run()

    def check(name: str, held: object, detail: str = "") -> None:
        problems = [str(one.value) for one in [*page.exception, *page.error]]
        checks.append(
            {
                "name": f"页面：{name}",
                "held": bool(held) and not page.exception,
                "detail": detail or "；".join(problems),
            }
        )

    def report() -> Release:
        found: Release = page.session_state[REPORT_KEY]
        return found

    def card() -> GpuSnapshot:
        sample = app.monitor.refresh()
        return next((one for one in sample.cards if one.torch), sample.cards[0])

    check("画出卡的名称", card().name and any(str(card().name) in str(one.value) for one in page.subheader))
    page.button(key="gpu-load").click().run()
    held = card()
    check("加载模型后卡上有权重", held.torch and held.torch.allocated_bytes > 0, f"{held.own_source}，{held.torch}")
    (out / "page-loaded.html").write_text(drawn(page), "utf-8")
    page.button(key="gpu-flush").click().run()
    check("释放缓存不卸载模型", app.engine.scheduler.owner.loaded and report().after.allocated_bytes, f"{report()}")
    page.button(key="gpu-restart").click().run()
    middle = report().lowest
    check("重启时卡上的模型归零", middle is not None and not middle.allocated_bytes, f"{report()}")
    page.button(key="gpu-peak-reset").click().run()
    check("峰值重置", any(event.kind == "peak_reset" for event in app.monitor.events()))
    page.button(key="gpu-unload").click().run()
    before, after = report().before.card_bytes, report().after.card_bytes
    check("卸载后整卡已用减少", before is not None and after is not None and after < before, f"{before} → {after}")
    (out / "page.html").write_text(drawn(page), "utf-8")
    events = [(event.kind, event.text) for event in app.monitor.events()]
    (out / "page.json").write_text(json.dumps({"checks": checks, "events": events}, ensure_ascii=False), "utf-8")
    application.clear()


if __name__ == "__main__":
    main()
