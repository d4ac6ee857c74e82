"""Published labelled sets, each turned into RexUniNLU records: one small module per family."""
