"""Beyond one process and one machine: large sets of files on Ray or here, and the engine behind HTTP."""
