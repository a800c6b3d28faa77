"""``imagenet-hard eval``: score one or more classifiers and print a results table."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.cli.console import at_work, console, progress_bars
from imagenet_hard.cli.engine import engine_options, opened
from imagenet_hard.cli.options import FOLDER, flags_of, given, path_option
from imagenet_hard.evaluation.options import Options
from imagenet_hard.tta.settings import TtaOptions

if TYPE_CHECKING:
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
@click.option(
    "--dataset",
    "-d",
    default="imagenet-hard",
    show_default=True,
    metavar="NAME",
    help="imagenet-hard, imagenet-hard-4k, sample, a folder, or a Hub id.",
)
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
    help="A metric of an installed package, beside the standard ones; may be repeated.",
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
    from imagenet_hard.evaluation.package_metrics import find_metrics
    from imagenet_hard.imagenet.mask import class_mask
    from imagenet_hard.tta.settings import tta_settings

    find_metrics(options["metrics"])  # before anything is read
    options["tta"] = tta_settings(options["tta"], **given(TtaOptions, options, "tta_"))
    options["classes"] = None if options["classes"] is None else class_mask(options["classes"])
    models = _models(options)
    with at_work():
        results, failed = _score(models, options)
    _report(results, "json" if options["as_json"] else options["form"])
    if failed:
        click.echo(f"{len(failed)} of {len(models)} models failed: {', '.join(failed)}", err=True)
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
    from imagenet_hard.evaluation.run import evaluate_all, images_of

    if options["tta_show"] and len(models) > 1:
        raise click.UsageError("--tta-show makes one page: give one --model at a time")
    results, failed = [], []
    with opened(options) as engine:
        engine.device_type(options["device"] or "auto")  # before anything is read
        if options["engine"] == "ray" and options["streaming"] and not options["quiet"]:
            click.echo("--streaming reads the images here, one after another, and sends them out", err=True)
        benchmark, asked = images_of(options["dataset"], given(Options, options))
        asked |= {"engine": engine, "address": None, "verbose": not options["quiet"]}
        with progress_bars(benchmark, options["quiet"]) as bar:
            for model, found in evaluate_all(
                models,
                benchmark,
                together=options["together"],
                on_progress=lambda model: bar(_name(model)),
                **asked,
            ):
                if not isinstance(found, Exception):
                    results.append(found)
                elif len(models) == 1:
                    raise found
                else:
                    if not isinstance(found, ImageNetHardError):
                        traceback.print_exception(found)
                    click.echo(f"Error: {_name(model)}: {found}", err=True)
                    failed.append(_name(model))
    return results, failed


def _name(model: str | SuiteModel) -> str:
    return model if isinstance(model, str) else model.model


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
