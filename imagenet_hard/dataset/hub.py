"""Data sets on the Hugging Face Hub: found, resolved to a commit, loaded, or read from the cache."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.built import files_of, size_of, splits_of
from imagenet_hard.dataset.rows import from_dataset, from_stream, prepared
from imagenet_hard.dataset.splits import check_whole, choose_split
from imagenet_hard.hub.checks import Token, check_token
from imagenet_hard.hub.errors import translated_errors
from imagenet_hard.hub.read import COMMIT, cached_commit, resolve
from imagenet_hard.hub.retry import retry

log = logging.getLogger(__name__)

WAITS = (1, 4, 16)
"""Seconds before a download of gigabytes that met a busy server goes on."""

_AGAIN = "%s: %s; what is downloaded is kept"


def hub_dataset(
    repo: str,
    *,
    name: str,
    revision: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    exif: bool = False,
    token: Token = None,
) -> Benchmark:
    """A data set of the Hub at one commit, which the benchmark records as its ``revision``.

    ``revision``: a branch, tag or commit; None is the main branch. ``token``: None takes the one
    of the environment (``HF_TOKEN``) or of ``hf auth login``, False none. With ``HF_HUB_OFFLINE=1``
    what an earlier call loaded is read again, at the commit that it had then.

    Raises:
        DatasetError: not found, no access, no such revision, no network, a failing server, or
            nothing in the cache; the message says what to do and never contains the token.
        UsageError: there is no such split.
    """
    import datasets
    from datasets.packaged_modules.webdataset.webdataset import WebDataset

    check_token(token)
    guard = partial(translated_errors, repo, revision=revision, token=token)
    with guard():
        if datasets.config.HF_HUB_OFFLINE:
            return _cached(repo, name, revision, split, streaming, exif)
        commit = resolve(repo, revision, token)
        builder = datasets.load_dataset_builder(repo, revision=commit, token=token)
        if isinstance(builder, WebDataset):
            raise DatasetError(
                f"{repo} is made of webdataset shards, whose classnames.txt says what their numbers mean: "
                f"download it (hf download {repo} --repo-type dataset --local-dir DIR) and give that folder"
            )
        chosen = choose_split(split, splits_of(builder), repo)
        check_whole(files_of(builder, chosen), f"{repo} ({chosen})")
        about = Source(name, repo, commit, chosen, exif, state=commit)
        if streaming:
            rows = builder.as_streaming_dataset(chosen)
            return from_stream(rows, about, size=size_of(builder, chosen), token=token, guard=guard)
        return retry(lambda: prepared(builder, about), WAITS, lambda text: log.warning(_AGAIN, repo, text))


def _cached(
    repo: str, name: str, revision: str | None, split: str | None, streaming: bool, exif: bool
) -> Benchmark:
    """Offline: the rows that an earlier call left in the cache of ``datasets``."""
    if streaming:
        raise DatasetError(
            f"{repo} cannot be streamed offline (HF_HUB_OFFLINE is set): load it without streaming"
        )
    commits = _cached_commits(repo)
    commit = cached_commit(repo, revision)
    if commit is None and revision is None and len(commits) == 1:
        commit = next(iter(commits))
        log.warning(
            "%s: the only cached commit %s is read; offline it is unknown whether it is main's", repo, commit
        )
    if commit not in commits:
        there = (
            f"cached are the commits {', '.join(sorted(commits))}" if commits else "nothing of it is cached"
        )
        wanted = f"revision {revision or 'main'}" + (f" ({commit})" if commit not in (None, revision) else "")
        raise DatasetError(
            f"{repo} at {wanted} is not in the cache, and HF_HUB_OFFLINE is set: {there}. Load it once with "
            "the network (unset HF_HUB_OFFLINE), or choose a cached commit with revision="
        )
    folder = commits[commit]
    dataset, chosen = _read_cache(folder, repo, split)
    return from_dataset(dataset, Source(name, repo, commit, chosen, exif, state=str(commit)))


def _cached_commits(repo: str) -> dict[str, Path]:
    """Commit -> the folder with its rows, as ``datasets`` lays out its cache: config/version/commit."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    owner, name = repo.split("/")
    root = Path(datasets.config.HF_DATASETS_CACHE) / f"{owner}___{camelcase_to_snakecase(name)}"
    found = sorted(path.parent for path in root.glob("*/*/*/dataset_info.json"))
    return {path.name: path for path in found if COMMIT.fullmatch(path.name)}


def _read_cache(folder: Path, repo: str, split: str | None) -> tuple[Any, str]:
    """The rows of one split in a cache folder, and the split."""
    import datasets

    info = datasets.DatasetInfo.from_directory(str(folder))
    chosen = choose_split(split, info.splits or (), repo)
    shards = sorted([*folder.glob(f"*-{chosen}.arrow"), *folder.glob(f"*-{chosen}-?????-of-?????.arrow")])
    parts = [datasets.Dataset.from_file(str(shard)) for shard in shards]
    rows, expected = sum(map(len, parts)), info.splits[chosen].num_examples
    if not parts or rows != expected:
        raise DatasetError(
            f"the cache of {repo} is damaged: got {rows} rows of the split {chosen}, expected {expected}. "
            f"Delete {folder} and load it again with the network"
        )
    return datasets.concatenate_datasets(parts), chosen
