"""Serves the desk: `python -m streamlit_app.serve [options of streamlit run]`.

Streamlit alone builds the application with the first visitor. Here it is built at the start, so that the health port
answers, jobs go on, and the model can be loaded before anybody comes.
"""

from __future__ import annotations

import sys
import threading
from itertools import pairwise
from pathlib import Path

from streamlit import config
from streamlit.web import cli

from core.access.binding import check_binding
from core.config import Settings
from core.errors import AccessError, RexError
from core.telemetry.logs import log_error, take_over
from streamlit_app.resources import application

ENTRY = Path(__file__).resolve().parent / "app.py"


def _build() -> None:
    try:
        application()
    except RexError as error:  # the visitors are told too; the next one tries again
        log_error("start.failed", error)
        sys.stderr.write(f"错误：{error}\n")
    take_over("streamlit")  # its tracebacks may quote texts


def _address(arguments: list[str]) -> str | None:
    """Where the server is to listen: as the arguments say, else as the configuration does."""
    given = [after for one, after in pairwise([*arguments, ""]) if one == "--server.address"]
    given += [one.partition("=")[2] for one in arguments if one.startswith("--server.address=")]
    return given[-1] if given else config.get_option("server.address")


def main() -> None:
    """Build the application beside the server's start, then serve until the process is told to stop.

    Refuses to start where others could reach a desk that asks nobody who they are.
    """
    try:
        check_binding(Settings(), _address(sys.argv[1:]))
    except AccessError as error:
        sys.exit(f"错误：{error}")
    threading.Thread(target=_build, name="start", daemon=True).start()
    cli.main(["run", str(ENTRY), *sys.argv[1:]], prog_name="desk")


if __name__ == "__main__":
    main()
