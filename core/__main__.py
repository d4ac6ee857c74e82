"""`python -m core`: the command line."""

import sys
from contextlib import suppress

from pydantic import ValidationError

from core.config import Settings
from core.inference.standby import start_ahead

if sys.argv[1:2] == ["annotate"] and "--help" not in sys.argv:
    with suppress(ValidationError):  # which the command tells of in its own words
        start_ahead(Settings())  # so that the process of the network imports what it needs while this one does

from core.cli import app

app(prog_name="python -m core")
