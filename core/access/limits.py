"""How often a user may ask: a sliding minute, in the memory of this process."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque

from core.errors import BusyError

WINDOW_S = 60.0


class RequestLimit:
    """Counts the requests of each user in the last minute; safe to share between threads."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._times: defaultdict[int, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def count(self, user_id: int) -> None:
        """Count one request. Raises BusyError, and counts nothing, when the user had `most` within a minute."""
        if not self.most:
            return
        now = time.monotonic()
        with self._lock:
            times = self._times[user_id]
            while times and times[0] <= now - WINDOW_S:
                times.popleft()
            if len(times) >= self.most:
                wait_s = int(times[0] + WINDOW_S - now) + 1
                raise BusyError(f"一分钟内已提交 {self.most} 次，达到每位用户的上限；请 {wait_s} 秒后再试。")
            times.append(now)
