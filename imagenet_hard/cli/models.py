"""``imagenet-hard models``: list and search the classifiers that can be scored."""

from __future__ import annotations

import json

import click

from imagenet_hard.base.text import counted
from imagenet_hard.cli.console import at_work


@click.command("models")
@click.argument("pattern", required=False)
@click.option("--backend", help="Only this backend, such as timm: what stands before the colon.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pattern: str | None, backend: str | None, as_json: bool) -> int:
    """List classifiers whose name or tag matches PATTERN (text, or a glob such as 'vit*').

    Not listed are models of your own (module:function or ./file.py:function), those on the Hub
    (hf-hub:ORG/NAME), and those of transformers (transformers:ORG/NAME or transformers:FOLDER).
    """
    from imagenet_hard.classifiers import backends
    from imagenet_hard.classifiers.listing import list_models

    with at_work():
        models = list_models(pattern, backend=backend)
    if as_json:
        rows = [
            {"name": m.name, "backend": m.backend, "tags": list(m.tags), "input_size": m.input_size}
            for m in models
        ]
        click.echo(json.dumps(rows, indent=2))
    elif models:
        width = max(len(m.name) for m in models)
        for m in models:
            size = f"{m.input_size[0]}x{m.input_size[1]}" if m.input_size else "?"
            click.echo(f"{m.name:<{width}}  {m.backend:<11}  {size:<9}  {', '.join(m.tags)}")
    click.echo(counted(len(models), "model"), err=True)
    unlisted = backends.find(backend or pattern or "")
    if not models and unlisted is not None and unlisted.names is None:
        prefix = backend or pattern
        click.echo(f"models of {prefix} are not listed: name one as {prefix}:{unlisted.form}", err=True)
    return 0 if models else 1
