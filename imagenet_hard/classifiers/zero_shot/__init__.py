"""Zero-shot heads: words in, a linear classifier on image features out. It loads no model."""
