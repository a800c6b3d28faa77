"""Answers in words: which classes they name, and how often that is right. It asks no model for them."""
