"""Models by name: weights, transforms, zero-shot heads. It sees no labels and scores nothing."""
