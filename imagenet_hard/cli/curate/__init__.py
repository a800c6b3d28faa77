"""``imagenet-hard curate``: from sources to a published data set, one command a step."""
