"""Boards for tests: made-up ones, small and seeded, and the 67 real models on ImageNet-V2.

Ranks and ties are the package's own, which its tests of statistics check.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_hard.base.types import BenchmarkInfo, ModelSpec
from imagenet_hard.evaluation.calibration import calibrate
from imagenet_hard.evaluation.metrics import PerClass, Rate
from imagenet_hard.leaderboard.entry import Claim, Entry, ReportedTop1
from imagenet_hard.leaderboard.plain_text import Link
from imagenet_hard.leaderboard.published import PublishedRow, PublishedTable, Release
from imagenet_hard.leaderboard.site.data import Board, Rank, Ranked, SiteData
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.ranks import ranks
from imagenet_hard.leaderboard.training import Training, TrainingSet
from imagenet_hard.leaderboard.verify.report import Report, check, tier_of

CHECKED = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
AGAIN = {"re-scored": (), "spot-checked": ("spot check",), "reproduced": ("reproduction",)}
"""Tier -> the checks that it takes besides that of the score."""

PAPER = Link(label="Paper", url="https://a.org")
ORIGINS = ("ImageNet", "ImageNet-Sketch", "ObjectNet")


def kappas(correct: np.ndarray) -> np.ndarray:
    """float (m, m): Cohen's kappa of right and wrong."""
    c, n = correct.astype(float), correct.shape[1]
    p = c.mean(1)
    observed = (c @ c.T + (1 - c) @ (1 - c).T) / n
    expected = np.outer(p, p) + np.outer(1 - p, 1 - p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


def entry_of(
    *,
    name: str,
    id: str = "lab__model",
    org: str = "lab",
    backend: str = "custom",
    architecture: str = "",
    tag: str | None = None,
    parameters: int | None = None,
    n: int = 1,
    **said: Any,
) -> Entry:
    """An entry as no check let it through: also texts that no entry may have reach the page in tests."""
    texts = {
        "submitter": "",
        "training_data": "",
        "training": None,
        "date": dt.date(2026, 1, 1),
        "predictions_sha256": "cd" * 32,
        "imagenet": None,
        "links": (),
    }
    return Entry.model_construct(
        id=id,
        name=name,
        org=org,
        model=ModelSpec(
            backend=backend, name=architecture or name, tag=tag, parameters=parameters, transform={}
        ),
        benchmark=BenchmarkInfo(name="made-up", source="a test", n=n, fingerprint="ab" * 32),
        claim=Claim(n_correct=0, n_top5=None, n_total=n),
        probabilities=False,
        **{**texts, **said},
    )


def report_of(tier: str) -> Report | None:
    """What the board checked of an entry of this tier."""
    if tier not in AGAIN:
        return None
    checks = tuple(
        check(each, "passed", "recomputed", when=CHECKED, miss=0.0).model_copy(update={"version": "0.1"})
        for each in ("score", *AGAIN[tier])
    )
    return Report(entry="an entry", tier=tier_of(checks), checks=checks)


def board_of(
    predicted: np.ndarray,
    labels: tuple[tuple[int, ...], ...],
    ids: tuple[str, ...],
    origins: tuple[str, ...],
    texts: list[dict[str, Any]],
    *,
    slug: str = "made-up",
    title: str = "Made up",
    confidence: np.ndarray | None = None,
    **more: Any,
) -> Board:
    """A board of m entries whose ``texts`` are the free fields of each."""
    right = np.zeros((len(ids), 1000), dtype=bool)
    for row, each in enumerate(labels):
        right[row, list(each)] = True
    correct = np.stack([right[np.arange(len(ids)), p] for p in predicted])
    order = np.argsort(-correct.sum(1), kind="stable")
    predicted, correct, texts = predicted[order], correct[order], [texts[i] for i in order]
    stands = ranks(Correctness.of(correct), resamples=200)
    m, n = correct.shape
    origin_of = np.array(origins, dtype=object)
    entries = []
    for i, text in enumerate(texts):

        def rates(groups: dict[str, np.ndarray], i: int = i) -> dict[str, Rate]:
            return {k: Rate.of(int(correct[i, f].sum()), int(f.sum())) for k, f in groups.items()}

        by_origin = {o: origin_of == o for o in sorted(set(origins))} if len(set(origins)) > 1 else {}
        n_labels = np.array([len(each) for each in labels])
        by_labels = {f"{k} label{'s' * (k > 1)}": n_labels == k for k in sorted(set(n_labels.tolist()))}
        text = {"tier": "re-scored", "used_in_curation": False, **text}
        report, used = report_of(text.pop("tier")), text.pop("used_in_curation")
        entry = entry_of(n=n, **text)
        entries.append(
            Ranked(
                id=entry.id,
                name=entry.name,
                record=entry,
                report=report,
                used_in_curation=used,
                imagenet=entry.imagenet,
                top5=None,
                top1=Rate.of(int(correct[i].sum()), n),
                rank=Rank(place=stands.place[i], low=stands.low[i], high=stands.high[i]),
                origins=rates(by_origin),
                n_labels=rates(by_labels) if len(by_labels) > 1 else {},
                per_class=PerClass(
                    n_total=tuple(right.sum(0).tolist()),
                    n_correct=tuple((right & correct[i][:, None]).sum(0).tolist()),
                ),
                calibration=None if confidence is None else calibrate(confidence[order[i]], correct[i]),
            )
        )
    return Board(
        slug=slug,
        title=title,
        source=more.pop("source", "a test"),
        fingerprint="ab" * 32,
        benchmark="made-up",
        entries=tuple(entries),
        image_ids=ids,
        labels=labels,
        image_origins=origins,
        correct=correct,
        predicted=predicted.astype(np.int16),
        kappa=kappas(correct),
        tied=~stands.apart,
        similar=tuple(range(m)[::-1]),
        neighbours_apart=int(stands.apart.diagonal(1).sum()),
        oracle=Rate.of(int(correct.any(0).sum()), n),
        **more,
    )


_TRAINING = (
    Training(trained_on=(TrainingSet(name="ImageNet-1k"),)),
    Training(
        trained_on=(TrainingSet(name="ImageNet-21k"),),
        fine_tuned_on=(TrainingSet(name="ImageNet-1k"),),
        said_by="tag",
    ),
    None,
)


def made_up(m: int = 12, n: int = 600, seed: int = 0, **changes: Any) -> Board:
    """m models of rising skill on n images; texts of every kind, ``changes`` replace those of all entries."""
    rng = np.random.default_rng(seed)
    labels = tuple(
        tuple(sorted(rng.choice(40, size=rng.integers(1, 4), replace=False).tolist())) for _ in range(n)
    )
    hardness = rng.random(n)
    predicted = np.full((m, n), 999)
    for i in range(m):
        solved = rng.random(n) * 0.5 + hardness * 0.6 < 0.12 + 0.6 * i / m
        wrong = rng.integers(500, 505, size=n)
        predicted[i] = np.where(solved, [each[0] for each in labels], wrong)
    backends, tiers = (
        ("timm", "torchvision", "open_clip"),
        ("re-scored", "spot-checked", "reproduced", "self-reported"),
    )
    texts = [
        {
            "id": f"lab{i % 4}__model-{i}",
            "name": f"Model {i}",
            "org": f"lab{i % 4}",
            "submitter": "a person",
            "links": (Link(label="paper", url="https://example.org/paper"),),
            "training_data": ("ImageNet-1k", "ImageNet-21k", "LAION-2B")[i % 3],
            "training": _TRAINING[i % 3],
            "date": dt.date(2021 + i % 5, 1 + i % 12, 3),
            "used_in_curation": i == 2,
            "tier": tiers[i % 4],
            "backend": backends[i % 3],
            "tag": "v1",
            "parameters": int(2e6 * 1.7**i),
            "imagenet": None if i % 3 == 2 else ReportedTop1(percent=80.0 - i, source=PAPER),
            **changes,
            **({"id": f"{changes['id']}-{i}"} if "id" in changes else {}),
        }
        for i in range(m)
    ]
    return board_of(
        predicted,
        labels,
        tuple(f"img-{i:05d}" for i in range(n)),
        tuple(ORIGINS[i] for i in rng.integers(0, 3, n)),
        texts,
        confidence=np.clip(rng.random((m, n)), 0.01, 0.99),
    )


def published(benchmark: str = "made-up") -> tuple[PublishedTable, ...]:
    """One table of a paper, three rows."""
    rows = (("AlexNet", 7.34), ("ResNet-50", 14.74), ("EfficientNet-L2-Ns", 39.0))
    return (
        PublishedTable(
            name="paper-final",
            title="The paper's final table",
            source=Link(label="arXiv 2304.05538", url="https://arxiv.org/abs/2304.05538"),
            benchmark=benchmark,
            release=Release(name="final release", n=10980, date="2023"),
            rows=tuple(PublishedRow(model=name, top1=value) for name, value in rows),
        ),
    )


def imagenet_v2(shared: Path) -> Board:
    """The 67 real models on the 10,000 images of ImageNet-V2, from their stored top-5."""
    import pyarrow.parquet as pq

    folder = shared / "data" / "predictions" / "imagenetv2-matched-frequency"
    top5, gold = pq.read_table(folder / "top5.parquet"), pq.read_table(folder / "labels.parquet")
    assert top5["id"].to_pylist() == gold["id"].to_pylist()
    names = [name for name in top5.column_names if name != "id"]
    predicted = np.stack(
        [np.asarray(top5[name].combine_chunks().flatten()).reshape(-1, 5)[:, 0] for name in names]
    )
    return board_of(
        predicted,
        tuple((label,) for label in gold["label"].to_pylist()),
        tuple(gold["id"].to_pylist()),
        ("ImageNet-V2",) * len(gold),
        [{"id": f"imagenetv2__{name}", "name": name, "org": "ImageNet-V2 authors"} for name in names],
        slug="imagenetv2",
        title="ImageNet-V2, matched frequency",
        source="the published predictions",
    )


def site(*boards: Board) -> SiteData:
    """A whole site: the boards and one published table."""
    return SiteData(boards=boards, published=published(), version="0.1")
