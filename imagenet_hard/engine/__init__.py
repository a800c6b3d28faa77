"""Classifiers over images, fast, here or on Ray, resumed. It does not know which answer is right."""
