"""Speed, memory and steadiness as numbers: one scenario a module, every figure with the run that gave it.

Imports nothing above `core.inference`, so that a machine with only torch, numpy and the tokenizer can measure.
"""
