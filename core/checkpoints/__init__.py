"""Checkpoints as things to keep: which are installed, whether they are whole, where they come from, which answers."""
