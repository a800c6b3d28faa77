"""The doctor reports, whatever it meets."""

from __future__ import annotations

import json

from imagenet_hard.cli import doctor
from imagenet_hard.cli.main import group, run


def test_a_machine_that_runs_this_suite_is_healthy(capsys):
    """All checks that need no network hold, as text and as JSON."""
    assert run(group, ["doctor", "--offline", "--json"], "imagenet-hard") == 0
    checks = {c["name"]: c for c in json.loads(capsys.readouterr().out)}
    assert checks["forward pass"]["status"] == "ok"
    assert "CPU cores" in checks["devices"]["detail"]
    assert run(group, ["doctor", "--offline"], "imagenet-hard") == 0
    assert "transform hash" in capsys.readouterr().out


def test_hashes_repeat():
    """The same machine gives the same hashes."""
    details = [[c.detail for c in doctor.examine(offline=True) if "hash" in c.name] for _ in range(2)]
    assert details[0] == details[1]
    assert len(details[0]) == 2


def test_a_failed_check_is_reported_and_makes_the_exit_code_1(monkeypatch, capsys):
    """A check that raises is a line of the report, and the others still run."""

    def broken() -> doctor.Finding:
        raise OSError("no such disk")

    monkeypatch.setattr(doctor, "_disk", broken)
    assert run(group, ["doctor", "--offline"], "imagenet-hard") == 1
    out = capsys.readouterr().out
    assert "FAIL  disk space of the caches   OSError: no such disk" in out
    assert "forward pass" in out


def test_offline_mode_is_said():
    """The suite runs with HF_HUB_OFFLINE=1: the Hub line says so, and nothing is asked of it."""
    hub = doctor.examine(offline=False)[-1]
    assert hub.name == "Hub"
    assert hub.status == "warning"
