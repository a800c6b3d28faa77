"""Sources: what people have of ImageNet's variants, on disk or on the Hub, as labelled examples."""

from imagenet_hard.curation.sources.exclusions import Duplicate, explain_duplicates, find_duplicates, unwanted
from imagenet_hard.curation.sources.opening import open_source, open_sources

__all__ = ["Duplicate", "explain_duplicates", "find_duplicates", "open_source", "open_sources", "unwanted"]
