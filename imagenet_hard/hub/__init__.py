"""The Hugging Face Hub: read, written, and worded where it refuses. It knows no data set and no model."""
