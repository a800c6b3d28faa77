"""Test-time augmentation: one prediction from several views of an image. It scores nothing."""
