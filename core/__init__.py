"""RexUniNLU desk: reads Chinese text with one schema-driven model, stores and exports what it finds."""

import os

# Read once, when torch loads its thread pool, so it stands before any import of torch. By default idle threads spin for
# long; with another program on the same cores a pass of 0.06 s took 3 s. This short spin keeps the speed of a quiet
# machine and costs little on a busy one.
#
# oneDNN keeps what it made for each shape of input, 1,024 of them, and every length of text is one: on the CPU memory
# grew by a megabyte for each new length. Few are met again, so few are kept.
DEFAULTS = {"GOMP_SPINCOUNT": "10000", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8"}
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)

__version__ = "0.1.0"
