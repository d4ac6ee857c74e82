"""/healthz (the process lives), /readyz (requests can be answered) and /metrics, on a port of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from core.health.collector import Readings
from core.health.readiness import Preload, readiness
from core.services import Application
from core.telemetry.logs import log, log_error
from core.telemetry.measures import REGISTRY

PATIENCE_S = 5.0
"""A client that sends or takes nothing for so long is let go."""
Answer = tuple[int, str, bytes]


class HealthServer:
    """Serves until closed; `port` is the one that was given, or chosen for 0."""

    def __init__(self, app: Application, *, address: str, port: int, preload: Preload | None = None) -> None:
        """Raises OSError when the port is taken."""
        readings = CollectorRegistry()
        readings.register(Readings(app, preload))

        def metrics(accept: str) -> Answer:
            encode, kind = choose_encoder(accept)
            counted, read = encode(REGISTRY), encode(readings)
            # One document: OpenMetrics ends with a mark of its own.
            return HTTPStatus.OK, kind, counted.removesuffix(b"# EOF\n") + read

        def alive(accept: str) -> Answer:
            return _json(HTTPStatus.OK, {"alive": True})

        def ready(accept: str) -> Answer:
            now = readiness(app, preload)
            return _json(HTTPStatus.OK if now.ready else HTTPStatus.SERVICE_UNAVAILABLE, asdict(now))

        routes = {
            "/healthz": lambda accept: _json(HTTPStatus.OK, {"alive": True}),
            "/readyz": ready,
            "/metrics": metrics,
        }
        self._server = ThreadingHTTPServer((address, port), _handler(routes))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and let the port go."""
        self._server.shutdown()
        self._server.server_close()


def start_health(app: Application, preload: Preload | None) -> HealthServer | None:
    """The server that the settings ask for; None without one, or when its port is taken: the desk serves anyhow."""
    address, port = app.settings.health_address, app.settings.health_port
    if not port:
        return None
    try:
        server = HealthServer(app, address=address, port=port, preload=preload)
    except OSError as error:
        log_error("health.failed", error, address=address, port=port)
        return None
    log("health.serves", address=address, port=server.port)
    return server


def _json(status: int, content: dict[str, Any]) -> Answer:
    return status, "application/json; charset=utf-8", json.dumps(content, ensure_ascii=False).encode()


def _handler(routes: Mapping[str, Callable[[str], Answer]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_S
        server_version, sys_version = "desk", ""

        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            try:
                answer = _json(HTTPStatus.NOT_FOUND, {}) if route is None else route(self.headers.get("Accept", ""))
            except Exception as error:  # a probe must get an answer whatever is broken
                log_error("health.error", error)
                answer = _json(HTTPStatus.INTERNAL_SERVER_ERROR, {})
            status, kind, body = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Probes come every few seconds: they are not logged."""

    return Handler
