"""Documents and a schema in, annotations out; see engine.py for the loop."""
