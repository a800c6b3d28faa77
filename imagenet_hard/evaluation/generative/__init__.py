"""Answers in words: asked for, kept, read as classes, counted. No model decides what they name."""
