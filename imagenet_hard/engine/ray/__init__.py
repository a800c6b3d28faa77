"""Jobs on the workers of a Ray cluster. Only this room imports Ray, and no number depends on it."""
