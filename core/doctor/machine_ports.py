"""The facts of the ports that the desk wants."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Mapping

import psutil

from core.doctor.records import PortFacts

HOST = "127.0.0.1"
PATIENCE_S = 1.0
SIGNS = ("_stcore/health", "healthz")
"""Paths that answer with 200 where a desk serves."""


def read_ports(wanted: Mapping[str, int]) -> tuple[PortFacts, ...]:
    """Whether each port is free on this machine, a desk's, or somebody else's; 0 is no port."""
    return tuple(PortFacts(name, number, _state(number)) for name, number in wanted.items() if number)


def _state(number: int) -> str:
    if number in _own():
        return "desk"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return "desk" if _is_desk(number) else "taken"
    return "free"


def _own() -> set[int]:
    """The ports on which this process listens: of the doctor's page, the desk's own."""
    try:
        listening = psutil.Process().net_connections(kind="tcp")
    except psutil.Error:
        return set()
    return {one.laddr.port for one in listening if one.status == psutil.CONN_LISTEN}


def _is_desk(number: int) -> bool:
    for path in SIGNS:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{number}/{path}", timeout=PATIENCE_S) as answer:
                if answer.status == 200:
                    return True
        except (OSError, ValueError):
            continue
    return False
