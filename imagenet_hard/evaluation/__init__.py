"""Results: what a classifier answered, measured, with its provenance. It knows no other people's entries."""
