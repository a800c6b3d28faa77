"""``imagenet-hard doctor``: what to look at when a number differs from another machine's."""

from __future__ import annotations

import json

import click

from imagenet_hard.cli.console import at_work


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Do not try to reach the Hub.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(offline: bool, as_json: bool) -> int:
    """Check versions, devices, decode and transform hashes, access to the Hub, and disk space.

    Two machines with the same hashes see the same pixels. Exits with 1 if a check does not hold.
    """
    from imagenet_hard.cli.checks import examine

    with at_work():
        report = examine(offline=offline)
    if as_json:
        click.echo(json.dumps([c.as_dict() for c in report], indent=2))
    else:
        for check in report:
            mark = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}[check.status]
            click.echo(f"{mark}  {check.name:<26} {check.detail}")
    return 1 if any(check.status == "failed" for check in report) else 0
