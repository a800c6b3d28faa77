"""Statistics of a board: pure functions over who got which image right."""
