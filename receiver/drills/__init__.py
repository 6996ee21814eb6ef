"""A marked test through the whole chain."""
