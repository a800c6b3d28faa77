"""Sources: what people have of ImageNet's variants, on disk or on the Hub, as labelled examples."""

from imagenet_hard.curation.sources.exclusions import Duplicate, find_duplicates, told, unwanted
from imagenet_hard.curation.sources.opening import open_source, open_sources

__all__ = ["Duplicate", "find_duplicates", "open_source", "open_sources", "told", "unwanted"]
