"""`python -m core.access ADDRESS`: whether the desk may listen there; says why not and leaves with status 1.

It reads the settings and little else: it stands before every start of the desk.
"""

from __future__ import annotations

import sys

from pydantic import ValidationError

from core.access.binding import check_binding
from core.config import Settings
from core.errors import AccessError

try:
    check_binding(Settings(), sys.argv[1] if len(sys.argv) > 1 else "")
except AccessError as error:
    sys.exit(f"错误：{error}")
except ValidationError as error:
    sys.exit("设置无效：" + "；".join(one["msg"] for one in error.errors()))
