"""Composition root: settings → the running application."""

from __future__ import annotations

from collections.abc import Callable

from core.access.principal import LOCAL, Principal
from core.config import Settings, visible_devices
from core.gpu.monitor import GpuMonitor
from core.gpu.visible import Visible
from core.health.readiness import Preload
from core.health.server import start_health
from core.services import Application
from core.storage.database import migrate, open_database
from core.storage.store import Store
from core.telemetry.logs import log, start_logging
from core.tuning_services import take_up


def build(settings: Settings | None = None, *, identify: Callable[[], Principal] = lambda: LOCAL) -> Application:
    """Open and migrate the database, start the memory monitor; the model waits for its first use.

    `identify` says who acts, whenever somebody does; the machine's own user where nothing is said.
    """
    settings = settings or Settings()
    database = open_database(settings.resolved_database_url)
    migrate(database)
    app = Application(
        settings, database=database, monitor=GpuMonitor(visible=Visible(*visible_devices())), identify=identify
    )
    Store(database).close_abandoned_imports()
    return app


def serve(settings: Settings | None = None, *, identify: Callable[[], Principal] = lambda: LOCAL) -> Application:
    """The application of a desk that others use: with its log, its health port, what a stopped process left taken up
    again, and the model loaded ahead if that is set."""
    settings = settings or Settings()
    start_logging(
        settings.log_level, settings.log_file, turn_over_bytes=settings.log_bytes, keep_files=settings.log_files
    )
    app = build(settings, identify=identify)
    preload = Preload(app) if settings.preload else None
    health = start_health(app, preload)
    app.closers += [one.close for one in (preload, health) if one is not None]
    app.runner.start()
    take_up(app)
    if preload is not None:
        preload.start()
    log("start", model=app.settings.model_source, device=settings.device)
    return app
