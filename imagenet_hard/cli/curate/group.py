"""``imagenet-hard curate``: from sources to a published data set, one command a step."""

from __future__ import annotations

import click

from imagenet_hard.cli.lazy import LazyGroup

STEPS = {
    "plan": ("imagenet_hard.cli.curate.plan", "Say what a recipe reads and costs, before anything runs."),
    "score": ("imagenet_hard.cli.curate.score", "Find the images that no zoom of any classifier solves."),
    "review": ("imagenet_hard.cli.curate.review", "Let people decide about the survivors."),
    "build": ("imagenet_hard.cli.curate.build", "Write the data set, its card and its manifest."),
    "publish": ("imagenet_hard.cli.curate.publish", "Upload a built data set to the Hub."),
}


@click.group("curate", cls=LazyGroup, modules=STEPS)
def command() -> None:
    """From ImageNet's variants to a data set of the images that no zoom solves.

    \b
    imagenet-hard curate plan  --recipe imagenet-hard-lite --data DIR
    imagenet-hard curate score --recipe imagenet-hard-lite --data DIR
    imagenet-hard curate review --recipe imagenet-hard-lite --data DIR --reviewer me
    imagenet-hard curate build --recipe imagenet-hard-lite --data DIR
    imagenet-hard curate publish imagenet-hard-lite --repo ORG/NAME
    """
