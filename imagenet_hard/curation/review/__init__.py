"""``imagenet-hard curate review``: a local page on which people keep, drop or relabel survivors."""
