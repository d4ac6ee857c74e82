"""The RexUniNLU network in native torch: tensors in, link scores out.

Letters for shapes: B prompts, L tokens, H hidden size, A heads, D head size, S span of relative
positions (the table of relative embeddings has 2·S rows).
"""
