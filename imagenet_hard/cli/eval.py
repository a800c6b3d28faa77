"""``imagenet-hard eval``: score one or more classifiers and print a results table."""

from __future__ import annotations

import json
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.base.runtime import extending_packages, lacks_framework
from imagenet_hard.cli.console import at_work, console, progress_bars
from imagenet_hard.cli.engine import engine_options, opened
from imagenet_hard.cli.options import FOLDER, datasets_option, flags_of, given, path_option
from imagenet_hard.evaluation.options import Options
from imagenet_hard.tta.settings import TtaOptions

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.evaluation.result import Result
    from imagenet_hard.evaluation.suite import SuiteModel


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
@datasets_option(": each model is loaded once for all of them")
@flags_of(Options)
@click.option(
    "--tta",
    default="none",
    show_default=True,
    metavar="NAME",
    help="Test-time augmentation: zoom (the mean over zoomed views), memo, zoom-memo (MEMO with zoomed "
    "views), or a method of an installed package.",
)
@flags_of(TtaOptions, "tta_")
@path_option(
    "--tta-show",
    type=FOLDER,
    help="Write a page that shows where test-time augmentation looked in the first images.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric of an installed package, added to the standard ones; may be repeated.",
)
@click.option(
    "--together",
    type=click.IntRange(min=1),
    metavar="N",
    help="Classifiers that share one pass over the images [default: as many as fit].",
)
@engine_options
@path_option("--out", "-o", default=Path("results"), help="Where results and predictions go.")
@click.option(
    *("--format", "form"),
    type=click.Choice(["table", "markdown", "latex", "csv", "json"]),
    default="table",
    help="How the results are printed.",
)
@click.option(
    "--by",
    type=click.Choice(["model", "dataset"]),
    help="Print top-1 alone, with a row for each model and a column for each data set, or the other way "
    "round.",
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
    imagenet-hard-eval --model api:MODEL --base-url http://localhost:8000/v1
    imagenet-hard-eval --suite paper --json
    imagenet-hard-eval --suite paper --dataset imagenet-hard --dataset path/to/imagenet/val --by model
    imagenet-hard-eval --model resnet50 --tta zoom --tta-views 64
    imagenet-hard-eval --suite paper --engine ray --address auto

    Each result is written to DIR/DATASET/MODEL.json, and its predictions to MODEL.parquet there. Finished
    models are not scored again; interrupted ones go on where they stopped.
    """
    from imagenet_hard.evaluation.package_metrics import find_metrics
    from imagenet_hard.imagenet.mask import class_mask
    from imagenet_hard.tta.settings import tta_settings

    form = "json" if options["as_json"] else options["form"]
    if options["by"] and form in ("csv", "json"):
        raise click.UsageError(f"--by lays out a table for people: {form} has a line for each result")
    find_metrics(options["metrics"])  # before anything is read
    options["tta"] = tta_settings(options["tta"], **given(TtaOptions, options, "tta_"))
    options["classes"] = None if options["classes"] is None else class_mask(options["classes"])
    models = _models(options)
    with at_work():
        results, failed = _score(models, options)
    _report(results, form, options["by"])
    if failed:
        runs = len(models) * len(options["datasets"])
        what = "models" if len(options["datasets"]) == 1 else "runs"
        click.echo(f"{len(failed)} of {runs} {what} failed: {', '.join(failed)}", err=True)
        return 1
    return 0


def _models(options: dict[str, Any]) -> list[str | SuiteModel]:
    models: list[str | SuiteModel] = list(options["models"])
    if options["suite"]:
        from imagenet_hard.evaluation.suite import load_suite

        if any(options[name] is not None for name in ("weights", "pretrained", "transform", "drop_class")):
            raise click.UsageError(
                "--weights, --pretrained, --transform and --drop-class belong to --model: "
                "a suite names its own"
            )
        models += load_suite(options["suite"]).models
    if not models:
        raise click.UsageError(
            "nothing to score: give --model NAME or --suite NAME, e.g. --model vit_b_32 "
            "(`imagenet-hard models` lists what there is)"
        )
    return models


def _score(models: list[str | SuiteModel], options: dict[str, Any]) -> tuple[list[Result], list[str]]:
    """Score all of them; in a list, one failure does not end the others."""
    from imagenet_hard.classifiers.recall import untouched
    from imagenet_hard.evaluation.run import evaluate_each, images_of

    recalls = untouched() and not extending_packages()
    datasets = options["datasets"]
    if options["tta_show"] and len(models) * len(datasets) > 1:
        what = "--model" if len(models) > 1 else "--dataset"
        raise click.UsageError(f"--tta-show makes one page: give one {what} at a time")
    several, results, failed = len(datasets) > 1, [], []
    with ExitStack() as stack:
        engine = stack.enter_context(opened(options))
        engine.device_type(options["device"] or "auto")  # before anything is read
        if options["engine"] == "ray" and options["streaming"] and not options["quiet"]:
            click.echo("--streaming reads the images here, one after another, and sends them out", err=True)
        parts = [images_of(dataset, given(Options, options)) for dataset in datasets]
        bars = {
            id(benchmark): stack.enter_context(progress_bars(benchmark, options["quiet"]))
            for benchmark, _ in parts
        }
        asked = {**parts[0][1], "engine": engine, "address": None, "verbose": not options["quiet"]}

        def said(model: str | SuiteModel, benchmark: Benchmark) -> str:
            return f"{_name(model)} on {benchmark.name}" if several else _name(model)

        for model, benchmark, found in evaluate_each(
            models,
            [benchmark for benchmark, _ in parts],
            together=options["together"],
            on_progress=lambda model, benchmark: bars[id(benchmark)](said(model, benchmark)),
            recalls=recalls,
            **asked,
        ):
            if not isinstance(found, Exception):
                results.append(found)
            elif (len(models) == 1 and not several) or lacks_framework(found):
                raise found
            else:
                if not isinstance(found, ImageNetHardError):
                    traceback.print_exception(found)
                click.echo(f"Error: {said(model, benchmark)}: {found}", err=True)
                failed.append(said(model, benchmark))
    return results, failed


def _name(model: str | SuiteModel) -> str:
    return model if isinstance(model, str) else model.model


def _report(results: list[Result], form: str, by: str | None = None) -> None:
    if form == "json":
        click.echo(json.dumps([result.model_dump(mode="json") for result in results], indent=2))
    elif results:
        from imagenet_hard.evaluation.table import results_csv, results_table, top1_table

        table = top1_table(results, by) if by else results_table(results)
        if form == "table":
            console().print(table.terminal())
        elif form == "csv":
            click.echo(results_csv(results), nl=False)
        else:
            click.echo(table.latex() if form == "latex" else table.markdown(), nl=False)
