"""Corrections of annotations by people: pure functions over frozen nodes, and what they come to."""
