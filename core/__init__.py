"""RexUniNLU desk: reads Chinese text with one schema-driven model, stores and exports what it finds."""

import os

# Read once, when torch loads its thread pool, so it stands before any import of torch. By default idle threads spin for
# long; with another program on the same cores a pass of 0.06 s took 3 s. This short spin keeps the speed of a quiet
# machine and costs little on a busy one.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.1.0"
