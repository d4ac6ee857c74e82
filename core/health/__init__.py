"""Whether the desk can answer, and its numbers, over HTTP on a port of their own."""
