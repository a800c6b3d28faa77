"""Models that are run again: a real one, and ones that must never be."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.types import DropClass
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.gold import make_gold, write_gold
from imagenet_hard.leaderboard.submit import make_submission, write_submission
from imagenet_hard.leaderboard.verify.report import Report
from imagenet_hard.leaderboard.verify.rerun import CannotRerun, Rerun, choose, rerun
from imagenet_hard.leaderboard.verify.run import verify
from tests.classifiers.small_transformers import save_classifier
from tests.hub.server import LoopbackHub
from tests.leaderboard.boards import Board, change, put_predictions, standard, without_result

pytest.importorskip("foolbox")

SECRET = b"nobody knows"
IDS = [f"image-{i}" for i in range(500)]


def submitted(root: Path) -> tuple[Path, Path]:
    """efficientnet_lite0 on the sample set, submitted: the entry's folder and the gold's."""
    from imagenet_hard.evaluation.run import evaluate

    write_gold(root / "benchmarks", make_gold(load_dataset("sample")))
    evaluate("efficientnet_lite0", "sample", device="cpu", out=root / "results")
    (result,) = (root / "results").glob("*/*.json")
    submission = make_submission(result, root / "benchmarks", name="EfficientNet-Lite0", org="Google")
    write_submission(root / "entries", submission)
    return root / "entries" / submission.entry.id, root / "benchmarks"


@pytest.fixture
def scored(small_networks: None, tmp_path: Path) -> tuple[Path, Path]:
    return submitted(tmp_path / "board")


def again(folder: Path, golds: Path, n: int | None) -> Report:
    how = Rerun(load_dataset("sample"), n, secret=SECRET, origin="a kept secret", device="cpu")
    (report,) = verify([folder], golds=golds, again=how, trusted=True)
    return report


@pytest.mark.slow
def test_a_real_model_is_spot_checked_and_reproduced(tmp_path: Path) -> None:
    """EfficientNet-Lite0 as it is."""
    checked_and_reproduced(submitted(tmp_path))


def test_a_model_is_spot_checked_and_reproduced(scored: tuple[Path, Path]) -> None:
    """The same top-1 on the chosen images, and on all."""
    checked_and_reproduced(scored)


def checked_and_reproduced(scored: tuple[Path, Path]) -> None:
    report = again(*scored, 20)
    assert report.tier == "spot-checked", report.checks[-1]
    said = report.checks[-1]
    assert "20 of 20 images agree in all five places, log probabilities within 0.01" in said.detail
    assert "images chosen by a kept secret; where 1 % of all answers are made up, it passes" in said.detail
    assert said.miss == 0
    report = again(*scored, None)
    assert report.tier == "reproduced", report.checks[-1]
    assert "20 of 20 images agree" in report.checks[-1].detail
    assert report.checks[-1].miss is None


def turned_images(exif: bool = False) -> Benchmark:
    """Twenty photographs, each with an EXIF orientation that says: lying on its side."""
    from PIL import Image

    from tests.engine.small import jpeg

    def photograph(i: int) -> bytes:
        said, out = Image.Exif(), io.BytesIO()
        said[0x0112] = 6
        Image.open(io.BytesIO(jpeg(i))).save(out, "JPEG", quality=95, exif=said)
        return out.getvalue()

    ids = [f"{i:02}.jpg" for i in range(20)]
    return Benchmark(
        Source("turned", "folder", exif=exif), ids, [(i,) for i in range(20)], [""] * 20, photograph
    )


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``bundled:small``, one more published model, of 1000 outputs; ``bundled:background`` has 1001."""
    from imagenet_hard.classifiers import backends, bundled
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.classifiers.examine import examine
    from tests.engine.small import classifier

    def load(name: str, options: backends.LoadOptions) -> Classifier:
        made = classifier(classes=1001 if name == "background" else 1000)
        with torch.no_grad():
            made.module[-1].weight.mul_(40)  # so that it tells images apart
        spec = made.spec.model_copy(update={"backend": "bundled", "name": name})
        return examine(replace(made, spec=spec), options.drop_class)

    monkeypatch.setattr(bundled, "BACKEND", replace(bundled.BACKEND, load=load))
    backends._own.cache_clear()
    yield
    backends._own.cache_clear()


@pytest.mark.parametrize(
    ("name", "drop_class", "turned"),
    [("background", 0, False), ("background", 1000, True), ("small", None, True), ("small", None, False)],
)
def test_background_class_and_rotation_are_asked_for_again(
    small_model: None, tmp_path: Path, name: str, drop_class: DropClass | None, turned: bool
) -> None:
    """Whatever the maintainer's data set says of rotation, which is the other thing here."""
    from imagenet_hard.evaluation.run import evaluate

    write_gold(tmp_path / "benchmarks", make_gold(turned_images()))
    result = evaluate(
        f"bundled:{name}",
        turned_images(turned),
        drop_class=drop_class,
        device="cpu",
        out=tmp_path / "results",
    )
    assert (result.protocol.drop_class, result.protocol.decode["exif_rotation"]) == (drop_class, turned)
    (path,) = (tmp_path / "results").glob("*/*.json")
    submission = make_submission(path, tmp_path / "benchmarks", name="Small", org="Lab")
    write_submission(tmp_path / "entries", submission)
    how = Rerun(turned_images(not turned), None, device="cpu")
    folder = tmp_path / "entries" / submission.entry.id
    (report,) = verify([folder], golds=tmp_path / "benchmarks", again=how, trusted=True)
    assert report.tier == "reproduced", report.checks[-1]
    assert "20 of 20 images agree in all five places" in report.checks[-1].detail


def copied(scored: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    import shutil

    folder = tmp_path / scored[0].name
    shutil.copytree(scored[0], folder)
    return folder, scored[1]


def test_predictions_that_the_model_does_not_make(scored: tuple[Path, Path], tmp_path: Path) -> None:
    """First and second place exchanged: the files hold together, the model disagrees."""
    from imagenet_hard.evaluation.metrics import hits
    from imagenet_hard.evaluation.predictions import read_predictions
    from imagenet_hard.leaderboard.gold import read_gold

    folder, golds = copied(scored, tmp_path)
    entry = read_entry(folder)
    p = read_predictions(folder / "predictions.parquet")
    swapped = replace(p, top5=np.ascontiguousarray(p.top5[:, [1, 0, 2, 3, 4]]))
    put_predictions(folder, swapped)
    right = hits(swapped.top5, read_gold(golds, entry.benchmark.fingerprint).labels)
    made_up = {"n_correct": int(right[:, 0].sum()), "n_top5": int(right.any(axis=1).sum()), "n_total": 20}
    from imagenet_hard.base.types import Scored
    from imagenet_hard.evaluation.metrics import Metrics

    gold = read_gold(golds, entry.benchmark.fingerprint)
    metrics = Metrics.from_scored(Scored(swapped, gold.labels, gold.origins, gold.image_sha256))
    change(folder, "result", "metrics", to=metrics.model_dump(mode="json"))
    change(folder, "claim", to=made_up)
    report = again(folder, golds, 20)
    failed = [c for c in report.checks if c.outcome == "failed"]
    assert [c.name for c in failed] == ["spot check"]
    assert "0 of 20 images agree" in failed[0].detail
    assert "expected at least 20 to agree" in failed[0].detail


def test_what_a_forged_top5_and_calibration_meet(scored: tuple[Path, Path], tmp_path: Path) -> None:
    """Every first place is genuine; labels slipped into the fifth and confidences made up: not reproduced."""
    from imagenet_hard.base.types import Scored
    from imagenet_hard.evaluation.metrics import Metrics
    from imagenet_hard.evaluation.predictions import read_predictions
    from imagenet_hard.leaderboard.gold import read_gold

    folder, golds = copied(scored, tmp_path)
    gold = read_gold(golds, read_entry(folder).benchmark.fingerprint)
    p = read_predictions(folder / "predictions.parquet")
    top5, logprob5 = p.top5.copy(), p.logprob5.copy()
    for row, labels in enumerate(gold.labels):
        if not set(labels) & set(top5[row].tolist()):
            top5[row, 4] = labels[0]
        elif row % 2:
            logprob5[row, 1:] -= 0.5
    forged = replace(p, top5=top5, logprob5=logprob5, margin=logprob5[:, 0] - logprob5[:, 1])
    put_predictions(folder, forged)
    metrics = Metrics.from_scored(Scored(forged, gold.labels, gold.origins, gold.image_sha256))
    change(folder, "result", "metrics", to=metrics.model_dump(mode="json"))
    change(folder, "claim", "n_top5", to=metrics.top5.n_correct)
    report = again(folder, golds, None)
    assert [c.name for c in report.checks if c.outcome == "failed"] == ["reproduction"], report.checks
    assert "20 of 20 top-1 answers are the same; expected at least 20 to agree" in report.checks[-1].detail


def test_parameters_that_are_not_the_models(scored: tuple[Path, Path], tmp_path: Path) -> None:
    """Shown in the table, so compared."""
    folder, golds = copied(scored, tmp_path)
    for place in (("model",), ("result", "model")):
        change(folder, *place, "parameters", to=5)
    assert "the entry states 5 as its parameters" in again(folder, golds, None).checks[-1].detail


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ({"crop": [13_000, 13_000]}, "crop"),
        ({"resize": 30_000}, "resize"),
        ({"crop": [1, 2, 3]}, "crop"),
        ({"crop": "big"}, "crop"),
        ({"mean": [0, 0]}, "mean"),
        ({"shear": 3}, "shear"),
    ],
)
def test_sizes_are_bounded_before_anything_is_made(
    tmp_path: Path, size: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's crop of 13,000 pixels takes no gigabytes, and the entry beside it has its report."""
    board = standard(tmp_path)
    usual = {"kind": "standard", "resize": 256, "crop": [224, 224], "interpolation": "bilinear"}
    for place in (("model",), ("result", "model")):
        change(board.first, *place, "transform", to=usual | size)
    change(board.first, "result", "protocol", "transform", to="custom")
    monkeypatch.setattr("imagenet_hard.leaderboard.verify.rerun.subset", lambda *_, exif: None)
    monkeypatch.setattr("imagenet_hard.evaluation.run.evaluate", unreachable)
    other = board.entries / "Some-Lab__ConvNeXt"
    how = Rerun(images(board), None)
    first, second = verify([board.first, other], golds=board.golds, again=how, trusted=True)
    assert first.checks[-1].outcome == second.checks[-1].outcome == "skipped"
    assert first.checks[-1].detail.startswith(f"cannot be run here: its transform: {why}")
    assert second.checks[-1].detail == "cannot be run here: MemoryError: no"


def unreachable(*_: object, **options: object) -> None:
    """In place of ``evaluate``: a failure that no entry should bring about for another."""
    raise MemoryError("no")


def test_large_inputs_go_in_small_batches() -> None:
    """The largest size that is allowed takes one image at a time, a usual one the usual number."""
    from imagenet_hard.base.types import ModelSpec
    from imagenet_hard.leaderboard.verify.rerun import _batch_size

    for side, expected in ((224, None), (512, None), (1024, 16), (4096, 1), (10**9, 1)):
        for transform in ({"crop": [side, side]}, {"resize": side, "crop": [224, 224]}):
            assert _batch_size(ModelSpec(backend="timm", name="x", transform=transform)) == expected


def test_weights_that_are_not_the_models(scored: tuple[Path, Path], tmp_path: Path) -> None:
    """Another hash than the published weights have."""
    folder, golds = copied(scored, tmp_path)
    for place in (("model",), ("result", "model")):
        change(folder, *place, "weights_sha256", to="0" * 64)
    report = again(folder, golds, 20)
    assert report.checks[-1].outcome == "failed"
    assert "the weights that the entry names hash to 000000000000" in report.checks[-1].detail


@pytest.mark.parametrize(
    ("backend", "name", "tag"),
    [
        ("custom", "evil.module:load", None),
        ("evil.module", "load", None),
        ("timm", "hf-hub:a/b", None),
        ("timm", "local-dir:/tmp", None),
        ("timm", "../x", None),
        ("torchvision", "resnet50", "/etc/x.pth"),
        ("torchvision", "resnet50", "weights.pth"),
        ("timm", "resnet50", "hf-hub:a/../b"),
        ("timm", "resnet50", "hf-hub:a/b@main"),
        ("transformers", "vit", None),
        ("transformers", "vit", "model.safetensors"),
        ("transformers", "vit", "hf-hub:a/b@main"),
        ("transformers", "../vit", "hf-hub:a/b"),
    ],
)
def test_strangers_code_and_paths_are_never_run(
    tmp_path: Path, backend: str, name: str, tag: str | None
) -> None:
    """Names and tags that are a module, a path or another loader's prefix end before anything is loaded."""
    board = standard(tmp_path)
    for place in (("model",), ("result", "model")):
        for key, value in (("backend", backend), ("name", name), ("tag", tag)):
            change(board.first, *place, key, to=value)
    how = Rerun(images(board), 60, secret=SECRET, origin="x")
    (report,) = verify([board.first], golds=board.golds, again=how, trusted=True)
    assert report.tier == "re-scored"
    assert report.checks[-1].outcome == "skipped"
    assert report.checks[-1].detail.startswith("cannot be run here")


def images(board: Board, **changes: object) -> Benchmark:
    """A benchmark of the board's ids and labels whose images are not the gold's."""
    gold = board.gold
    return Benchmark(Source("x", "folder"), gold.ids, gold.labels, gold.origins, lambda i: b"other")


def test_other_images_are_the_maintainers_mistake(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    """A data set that is not the benchmark fails the run, not the entry."""
    board = standard(tmp_path)
    with pytest.raises(DatasetError, match="has other bytes than in imagenet-hard"):
        verify([board.first], golds=board.golds, again=Rerun(images(board), 60, secret=SECRET), trusted=True)
    with pytest.raises(DatasetError, match="lacks 20 of 20 images of sample"):
        verify([scored[0]], golds=scored[1], again=Rerun(images(board), None), trusted=True)


def test_an_entry_without_a_protocol_cannot_be_run(tmp_path: Path) -> None:
    """Nobody knows how its images went through the model."""
    from imagenet_hard.leaderboard.answers import read_answers

    board = standard(tmp_path)
    without_result(board.first)
    answers = read_answers(board.first, probabilities=True, isolated=False)
    with pytest.raises(CannotRerun, match="no protocol"):
        rerun(read_entry(board.first), answers, board.gold, Rerun(images(board), 60, secret=SECRET))


def test_the_choice_of_images() -> None:
    """Fixed by secret and predictions, different for others, of the size that was asked for, and even."""
    chosen = choose(IDS, 50, "a" * 64, SECRET)
    assert chosen == choose(IDS[::-1], 50, "a" * 64, SECRET)
    assert len(set(chosen)) == 50
    assert set(chosen) != set(choose(IDS, 50, "b" * 64, SECRET))
    assert set(chosen) != set(choose(IDS, 50, "a" * 64, b"another secret"))
    assert choose(IDS[:3], 50, "a" * 64, SECRET) == tuple(sorted(IDS[:3]))
    counts = Counter(each for i in range(400) for each in choose(IDS[:10], 3, f"{i:064x}", SECRET))
    # 400 x 3 / 10 = 120 each; four standard deviations are 37.
    assert all(83 < counts[each] < 157 for each in IDS[:10])


def test_settings_that_are_no_check() -> None:
    """A secret that can be guessed, and a check of nothing."""
    with pytest.raises(UsageError, match="less than 8 bytes"):
        Rerun(load_dataset("sample"), 20, secret=b"x")
    for n in (0, 1, 19):
        with pytest.raises(
            UsageError, match=f"spot check of {n} of 20 images would miss 1 % .* expected 20 images"
        ):
            Rerun(load_dataset("sample"), n, secret=SECRET)


VERIFY = """
from pathlib import Path
from imagenet_hard import evaluate
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.evaluation import sandbox
from imagenet_hard.leaderboard.gold import make_gold, write_gold
from imagenet_hard.leaderboard.submit import make_submission, write_submission
from imagenet_hard.leaderboard.verify.rerun import Rerun
from imagenet_hard.leaderboard.verify.run import verify
from tests.leaderboard.boards import change

# As in ``tests/leaderboard/conftest.py``: nothing here is made to harm its reader.
sandbox._in_a_child = lambda reader, path, empty, seconds, *streams: sandbox._read(reader, path, *streams)

root, sample = Path("board"), load_dataset("sample")
write_gold(root / "benchmarks", make_gold(sample))
for at in (FIRST, SECOND):
    result = evaluate(f"transformers:alice/vit#{at}", sample, device="cpu", out=root / at)
(path,) = (root / FIRST).glob("*/*.json")
submission = make_submission(path, root / "benchmarks", name="ViT", org="Alice")
write_submission(root / "entries", submission)
folder = root / "entries" / submission.entry.id

def told(n):
    how = Rerun(sample, n, secret=b"nobody knows", origin="a kept secret", device="cpu")
    (report,) = verify([folder], golds=root / "benchmarks", again=how, trusted=True)
    print(">", report.tier, report.checks[-1].outcome, report.checks[-1].detail)

told(20)
told(None)
for place in (("model",), ("result", "model")):
    change(folder, *place, "tag", to=f"hf-hub:alice/vit@{SECOND}")
told(20)
for place in (("model",), ("result", "model")):
    change(folder, *place, "tag", to="hf-hub:alice/nothing@" + FIRST)
told(20)
"""


@pytest.mark.slow
def test_a_repository_of_transformers_is_run_again(minihub: LoopbackHub, tmp_path: Path) -> None:
    """From the Hub at the entry's commit, as data: spot-checked and reproduced.

    Another commit has other weights, and what is gone is no fault of the entry.
    """
    commits = []
    for seed in (0, 1):
        save_classifier(tmp_path / str(seed), seed=seed)
        files = {file.name: file.read_bytes() for file in (tmp_path / str(seed)).iterdir()}
        commits.append(minihub.push("model", "alice/vit", files))
    done = minihub.client(f"FIRST, SECOND = {commits!r}" + VERIFY, first=("torch", "torchvision"))
    assert done.returncode == 0, done.stderr[-3000:]
    told = [line for line in done.stdout.splitlines() if line.startswith(">")]
    assert told[0].startswith("> spot-checked passed 20 of 20 images agree in all five places")
    assert told[1].startswith("> reproduced passed 20 of 20 images agree")
    assert told[2].startswith("> None failed the weights that the entry names hash to")
    assert told[3].startswith("> re-scored skipped cannot be run here: ")
    assert "alice/nothing" in told[3]
