"""``imagenet-hard eval``: score one or more classifiers and print a results table."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.cli.bars import Bar, progress_bars
from imagenet_hard.cli.console import at_work, console
from imagenet_hard.cli.engine import engine_options, opened
from imagenet_hard.cli.tta import take_settings, tta_options

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.engine import Engine
    from imagenet_hard.evaluation.result import Result
    from imagenet_hard.evaluation.suite import SuiteModel
    from imagenet_hard.imagenet.mask import ClassMask


def _batch_size(ctx: click.Context, param: click.Parameter, value: str) -> int | str | None:
    if value in ("auto", "fastest"):
        return None if value == "auto" else value
    if not value.isdigit() or int(value) < 1:
        raise click.BadParameter(f"{value!r}: expected a number of images of 1 or more, 'auto' or 'fastest'")
    return int(value)


def _whole(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    return None if value is None else int(value)


@click.command("eval", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    metavar="NAME",
    help="Classifier; may be repeated. See `imagenet-hard models`.",
)
@click.option(
    "--suite", metavar="NAME|FILE", help="A list of classifiers: paper, openclip, demo, or a YAML file."
)
@click.option(
    "--dataset",
    "-d",
    default="imagenet-hard",
    show_default=True,
    metavar="NAME",
    help="imagenet-hard, imagenet-hard-4k, sample, a folder, or a Hub id.",
)
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a data set on the Hub.")
@click.option("--split", metavar="NAME", help="Split of the data set [default: validation].")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Labels of a folder of images (val.txt, real.json, CSV, the development kit's; see docs/data.md).",
)
@click.option(
    "--weights",
    metavar="TAG|FILE",
    help="Weights tag of the backend, or a local checkpoint; FILE#NAME takes one of several sets in it.",
)
@click.option("--pretrained", metavar="TAG", help="Weights tag of an open_clip architecture, e.g. openai.")
@click.option(
    "--transform",
    type=click.Choice(["native", "paper", "study"]),
    help="The model's own transform, the paper's Resize(256), CenterCrop(224), or the zoom study's "
    "standard view [default: native].",
)
@click.option(
    "--templates",
    metavar="NAME|FILE",
    help="Prompts of zero-shot models: openai-80, simple (open_clip's seven), single, or a file "
    "[default: openai-80].",
)
@click.option(
    "--classnames",
    metavar="NAME|FILE",
    help="1000 class names of zero-shot models: open_clip (998 different), distinct, or a file "
    "[default: open_clip].",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Arithmetic of the forward pass.",
)
@click.option(
    "--batch-size",
    "-b",
    callback=_batch_size,
    metavar="N|auto|fastest",
    default="auto",
    show_default=True,
    help="Images in a forward pass: auto is fixed for the kind of device and halved where memory runs out, "
    "fastest is measured.",
)
@click.option(
    "--workers", "-j", type=click.IntRange(min=1), metavar="N", help="Decoding threads [default: one a core]."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Score the first N images only.")
@click.option(
    "--ids",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Score the images of these ids only: one a line, a JSON list, or the column id of a CSV.",
)
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Score a sample of N images that --seed draws."
)
@click.option("--seed", type=int, metavar="S", help="Which sample: each seed draws another [default: 0].")
@click.option("--streaming", is_flag=True, help="Read a Hub data set as it arrives, storing nothing.")
@click.option(
    "--exif", is_flag=True, help="Rotate images by their EXIF orientation (off: the paper's numbers)."
)
@click.option(
    "--classes",
    metavar="NAME|FILE",
    help="Only these compete: those of a variant, as imagenet-a, or a file of indices, wnids or names "
    "[default: all 1000].",
)
@click.option(
    "--drop-class",
    type=click.Choice(["0", "1000"]),
    callback=_whole,
    help="Background class of a model with 1001 outputs: the first (TensorFlow's) or the last.",
)
@tta_options
@click.option("--no-fold", is_flag=True, help="Do not fold batch norms into convolutions on the CPU.")
@click.option(
    "--together",
    type=click.IntRange(min=1),
    metavar="N",
    help="Classifiers that share one pass over the images [default: as many as fit].",
)
@engine_options
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    metavar="DIR",
    help="Where results and predictions go.",
)
@click.option(
    *("--format", "form"),
    type=click.Choice(["table", "markdown", "latex", "csv", "json"]),
    default="table",
    help="How the results are printed.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(**options: Any) -> int:
    """Score classifiers on ImageNet-Hard, or on any set with ImageNet's 1000 classes.

    \b
    imagenet-hard-eval --model vit_b_32
    imagenet-hard-eval --model ViT-L-14 --pretrained openai --precision bf16
    imagenet-hard-eval --model resnet50 --weights my.pth --dataset path/to/imagenet/val
    imagenet-hard-eval --model mypackage.models:build --limit 500
    imagenet-hard-eval --model ./my_model.py:build --weights last.ckpt
    imagenet-hard-eval --suite paper --json
    imagenet-hard-eval --model resnet50 --tta zoom --tta-views 64
    imagenet-hard-eval --suite paper --engine ray --address auto

    Each result is written to DIR/DATASET/MODEL.json with its predictions beside it. Finished
    models are not scored again; interrupted ones go on where they stopped.
    """
    options["tta"] = take_settings(options)
    options["classes"] = _classes(options["classes"])
    requests = _requests(options)
    with at_work():
        results, failed = _score_all(requests, options)
    _report(results, "json" if options["as_json"] else options["form"])
    if failed:
        click.echo(f"{len(failed)} of {len(requests)} models failed: {', '.join(failed)}", err=True)
        return 1
    return 0


def _classes(given: str | None) -> ClassMask | None:
    from imagenet_hard.imagenet.mask import class_mask

    return None if given is None else class_mask(given)


def _requests(options: dict[str, Any]) -> list[SuiteModel]:
    from imagenet_hard.evaluation.suite import SuiteModel, load_suite

    requests = [
        SuiteModel(
            model=name,
            weights=options["weights"],
            pretrained=options["pretrained"],
            transform=options["transform"] or "native",
            drop_class=options["drop_class"],
        )
        for name in options["models"]
    ]
    if options["suite"]:
        if any(options[name] is not None for name in ("weights", "pretrained", "transform", "drop_class")):
            raise click.UsageError(
                "--weights, --pretrained, --transform and --drop-class belong to --model: "
                "a suite names its own"
            )
        requests += load_suite(options["suite"]).models
    if not requests:
        raise click.UsageError(
            "nothing to score: give --model NAME or --suite NAME, e.g. --model vit_b_32 "
            "(`imagenet-hard models` lists what there is)"
        )
    return requests


def _score_all(requests: list[SuiteModel], options: dict[str, Any]) -> tuple[list[Result], list[str]]:
    """Score all of them; in a list, one failure does not end the others."""
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.dataset.subset import part_of

    if options["tta_show"] and len(requests) > 1:
        raise click.UsageError("--tta-show makes one page: give one --model at a time")
    with opened(options) as engine:
        engine.device_type(options["device"])  # before anything is read
        if options["engine"] == "ray" and options["streaming"] and not options["quiet"]:
            click.echo("--streaming reads the images here, one after another, and sends them out", err=True)
        benchmark = load_dataset(
            options["dataset"],
            revision=options["revision"],
            split=options["split"],
            labels=options["labels"],
            streaming=options["streaming"],
            exif=options["exif"],
        )
        benchmark = part_of(benchmark, **{name: options[name] for name in ("limit", "ids", "sample", "seed")})
        with progress_bars(benchmark, options["quiet"]) as bar:
            if len(requests) == 1:
                return [_score_one(requests[0], benchmark, engine, bar, options)], []
            return _score_list(requests, benchmark, engine, bar, options)


def _score_one(
    request: SuiteModel, benchmark: Benchmark, engine: Engine, bar: Bar, options: dict[str, Any]
) -> Result:
    from imagenet_hard.evaluation.run import evaluate

    return evaluate(
        request.model,
        benchmark,
        weights=request.weights,
        pretrained=request.pretrained,
        transform=request.transform,
        templates=options["templates"],
        classnames=options["classnames"],
        device=options["device"],
        precision=request.precision or options["precision"],
        batch_size=options["batch_size"],
        workers=options["workers"],
        fold=not options["no_fold"],
        compile=options["compile"],
        engine=engine,
        tta=options["tta"],
        tta_show=options["tta_show"],
        classes=options["classes"],
        drop_class=request.drop_class,
        out=options["out"],
        on_progress=bar(request.model),
        verbose=not options["quiet"],
    )


def _score_list(
    requests: list[SuiteModel], benchmark: Benchmark, engine: Engine, bar: Bar, options: dict[str, Any]
) -> tuple[list[Result], list[str]]:
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.evaluation.together import Common, evaluate_all

    common = Common(
        RunSettings(
            device=options["device"],
            precision=options["precision"],
            workers=options["workers"],
            fold=not options["no_fold"],
            compile=options["compile"],
        ),
        engine,
        batch_size=options["batch_size"],
        templates=options["templates"],
        classnames=options["classnames"],
        tta=options["tta"],
        classes=options["classes"],
        out=options["out"],
        together=options["together"],
        on_progress=bar,
        verbose=not options["quiet"],
    )
    results, failed = [], []
    for request, found in evaluate_all(requests, benchmark, common):
        if not isinstance(found, Exception):
            results.append(found)
            continue
        if not isinstance(found, ImageNetHardError):
            traceback.print_exception(found)
        click.echo(f"Error: {request.model}: {found}", err=True)
        failed.append(request.model)
    return results, failed


def _report(results: list[Result], form: str) -> None:
    if form == "json":
        click.echo(json.dumps([result.model_dump(mode="json") for result in results], indent=2))
    elif results:
        from imagenet_hard.evaluation.table import results_csv, results_table

        if form == "table":
            console().print(results_table(results).terminal())
        elif form == "csv":
            click.echo(results_csv(results), nl=False)
        else:
            table = results_table(results)
            click.echo(table.latex() if form == "latex" else table.markdown(), nl=False)
