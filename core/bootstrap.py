"""Composition root: settings → the running application."""

from __future__ import annotations

from core.config import Settings
from core.gpu.monitor import GpuMonitor
from core.services import Application
from core.storage.database import migrate, open_database


def build(settings: Settings | None = None) -> Application:
    """Open and migrate the database, start the memory monitor; the model waits for its first use."""
    settings = settings or Settings()
    database = open_database(settings.resolved_database_url)
    migrate(database)
    app = Application(settings, database=database, monitor=GpuMonitor())
    app.store.close_abandoned_imports()
    return app
