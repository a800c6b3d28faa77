"""Models on a Hub: pushed by the official clients to a server on loopback, loaded by name from there."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.hub.server import LoopbackHub

pytest.importorskip("timm")

FIRST = ("torch", "torchvision", "timm", "imagenet_hard.classifiers.registry")

PUSH_TIMM = """
import timm, torch
from safetensors.torch import save
torch.manual_seed(0); torch.set_num_threads(1)
model = timm.create_model("test_vit", num_classes=1000).eval()
timm.models.push_to_hf_hub(model, "alice/tiny", model_config={"num_classes": 1000})
print(float(model(torch.ones(1, 3, 160, 160))[0, 7]))
"""

LOAD = """
import json, time, torch
torch.set_num_threads(1)
from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.classifiers.registry import load_classifier

def load(name, **options):
    start = time.perf_counter()
    try:
        found = load_classifier(name, **options)
    except ImageNetHardError as error:
        return {"error": type(error).__name__, "message": str(error), "seconds": time.perf_counter() - start}
    size = found.spec.input_size
    with torch.no_grad():
        logits = found.module(torch.ones(1, 3, *size))
    spec = found.spec.model_dump(mode="json")
    return {"spec": spec, "logit": float(logits[0, 7]), "shape": list(logits.shape)}
"""


def run(hub: LoopbackHub, *calls: str, before: str = "", **options: Any) -> list[dict[str, Any]]:
    """What ``load(...)`` gives for each call, in one client process."""
    code = LOAD + before + "".join(f"\nprint('>>>' + json.dumps(load({call})))" for call in calls)
    done: subprocess.CompletedProcess[str] = hub.client(code, first=FIRST, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "hf_" not in done.stdout.replace("hf_hub", ""), "a token reached a message"
    return [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith(">>>")]


PRETRAINED_CFG = {"input_size": [3, 160, 160], "fixed_input_size": True}


def tiny_timm(**changes: Any) -> dict[str, bytes]:
    """The two files of a timm repository with random weights of test_vit."""
    import timm
    import torch
    from safetensors.torch import save

    torch.manual_seed(1)
    classes = changes.pop("num_classes", 1000)
    model = timm.create_model("test_vit", num_classes=classes)
    config = {
        "architecture": "test_vit",
        "num_classes": classes,
        "pretrained_cfg": PRETRAINED_CFG,
    }
    state = model.state_dict()
    if changes.pop("nan", False):
        state["head.bias"][5] = float("nan")
    return {"config.json": json.dumps({**config, **changes}).encode(), "model.safetensors": save(state)}


def test_a_timm_model_pushed_by_timm_loads_by_name_also_without_network(minihub: LoopbackHub) -> None:
    """Same logits; the commit is part of the tag, can be asked for, and is found again without network."""
    pushed = minihub.client(PUSH_TIMM, token="hf_alice", first=FIRST)
    assert pushed.returncode == 0, pushed.stderr[-3000:]
    logit = float(pushed.stdout.split()[-1])
    commit = minihub.repos["model", "alice/tiny"].resolve("main")
    changed = minihub.push("model", "alice/tiny", tiny_timm())
    first, newer = run(minihub, f"'hf-hub:alice/tiny@{commit}'", "'hf-hub:alice/tiny'")
    assert first["shape"] == [1, 1000]
    assert first["logit"] == pytest.approx(logit, abs=1e-6)
    spec = first["spec"]
    assert (spec["backend"], spec["name"]) == ("timm", "test_vit")
    assert spec["tag"] == f"hf-hub:alice/tiny@{commit}"
    assert spec["input_size"] == [160, 160]
    assert newer["spec"]["tag"] == f"hf-hub:alice/tiny@{changed}"
    assert newer["spec"]["weights_sha256"] != spec["weights_sha256"]
    cached, *failed = run(
        minihub,
        f"'hf-hub:alice/tiny@{commit}'",
        "'hf-hub:alice/other'",
        "'timm:resnet10t.c3_in1k'",
        env={"HF_ENDPOINT": "http://127.0.0.1:9"},
    )
    assert cached == first
    for got in failed:
        assert "http://127.0.0.1:9 does not answer (ConnectError)" in got["message"]
        assert got["seconds"] < 5  # the client alone would retry for 23 s, three times over


def test_published_timm_weights_come_from_the_hub(minihub: LoopbackHub) -> None:
    """A name of timm's own registry reads the repository that its configuration names."""
    files = tiny_timm()
    minihub.push("model", "timm/test_vit.r160_in1k", {"model.safetensors": files["model.safetensors"]})
    minihub.push("model", "alice/same", files)
    registry, bare, own = run(
        minihub, "'timm:test_vit'", "'test_vit.r160_in1k', transform='native'", "'hf-hub:alice/same'"
    )
    assert registry["spec"]["tag"] == "r160_in1k"
    assert registry["spec"] == bare["spec"]
    assert registry["spec"]["weights_sha256"] == own["spec"]["weights_sha256"]
    assert registry["logit"] == own["logit"]


OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"},
}

PUSH_OPEN_CLIP = f"""
import json, pathlib, tempfile, torch, open_clip
from huggingface_hub import HfApi
from safetensors.torch import save_file
torch.manual_seed(0)
config = json.loads({json.dumps(json.dumps(OPEN_CLIP))})
model = open_clip.CLIP(**config["model_cfg"])
with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), pathlib.Path(folder) / "open_clip_model.safetensors")
    api = HfApi()
    api.create_repo("alice/clip")
    api.upload_folder(repo_id="alice/clip", folder_path=folder)
"""


def test_an_open_clip_model_loads_by_name(minihub: LoopbackHub) -> None:
    """``open_clip_config.json`` decides, also beside a transformers config; the head is built."""
    pushed = minihub.client(PUSH_OPEN_CLIP, token="hf_alice", first=FIRST)
    assert pushed.returncode == 0, pushed.stderr[-3000:]
    repo = minihub.repos["model", "alice/clip"]
    commit = repo.resolve("main")
    files = {row["path"]: repo.blob(row) for row in repo.tree(commit) if row["path"].startswith("open_clip")}
    files["config.json"] = b'{"architectures": ["CLIPModel"], "model_type": "clip"}'
    minihub.push("model", "alice/both", files)
    template = minihub.home / "one.txt"
    template.parent.mkdir(exist_ok=True)
    template.write_text("a photo of a {}.\n")
    calls = [f"'hf-hub:alice/{name}', templates={str(template)!r}" for name in ("clip", "both")]
    first, second = run(minihub, *calls)
    assert first["shape"] == [1, 1000]
    spec = first["spec"]
    assert (spec["backend"], spec["name"]) == ("open_clip", "clip")
    assert spec["tag"] == f"hf-hub:alice/clip@{commit}"
    assert spec["input_size"] == [32, 32]
    assert spec["transform"]["mean"] == [0.48, 0.46, 0.41]
    assert spec["head"]
    assert second["spec"]["weights_sha256"] == spec["weights_sha256"]
    assert second["logit"] == pytest.approx(first["logit"], abs=1e-5)


def test_what_is_wrong_with_a_repository_is_said(minihub: LoopbackHub) -> None:
    """Missing, private, no such revision, other classes, another library, no weights, a NaN."""
    minihub.push("model", "bob/secret", tiny_timm(), private=True)
    minihub.push("model", "alice/good", tiny_timm())
    minihub.push("model", "alice/ten", tiny_timm(num_classes=10))
    minihub.push("model", "alice/nan", tiny_timm(nan=True))
    minihub.push("model", "alice/future", tiny_timm(architecture="vit_from_next_year"))
    minihub.push("model", "alice/wrong", tiny_timm(architecture="test_resnet"))
    minihub.push("model", "alice/shuffled", tiny_timm(label_names=[f"n{i:08d}" for i in range(1000)]))
    minihub.push("model", "alice/bare", {"config.json": tiny_timm()["config.json"]})
    minihub.push("model", "alice/bert", {"config.json": b'{"architectures": ["BertModel"]}'})
    minihub.push("model", "alice/broken", {"config.json": b"{"})
    minihub.push("model", "alice/empty", {"notes.md": b"nothing"})
    expected = {
        "alice/nowhere": "the model alice/nowhere on the Hub does not exist, or is private (401): check the",
        "bob/secret": "bob/secret on the Hub does not exist, or is private (401): check the name",
        "alice/good@v9": "alice/good on the Hub has no revision 'v9'",
        "alice/ten": "hf-hub:alice/ten gives 10 outputs: expected the 1000 classes",
        "alice/nan": "hf-hub:alice/nan: 1 of the 1000 values of 'head.bias' are NaN",
        "alice/future": "is the architecture 'vit_from_next_year', which timm",
        "alice/wrong": "the weights in hf-hub:alice/wrong could not be loaded into timm:test_resnet",
        "alice/shuffled": "has 1000 classes, but not those of ImageNet-1k in the order of their wnids",
        "alice/bare": "alice/bare at revision ",
        "alice/bert": "hf-hub:alice/bert is not a model of timm (config.json with 'architecture'), of",
        "alice/broken": "config.json of hf-hub:alice/broken is not JSON",
        "alice/empty": "has none of config.json, open_clip_config.json: it holds no configuration",
        "not a name": "'not a name' is not a Hub id: expected OWNER/NAME",
    }
    for (name, message), got in zip(
        expected.items(), run(minihub, *(f"'hf-hub:{name}'" for name in expected)), strict=True
    ):
        assert message in got.get("message", str(got)), (name, got)
        assert got["seconds"] < 20
        assert got["error"] in ("WeightsError", "ClassifierError")


def test_tokens_open_what_is_private_and_never_show(minihub: LoopbackHub) -> None:
    """The owner's token works; a made-up one is refused, and not repeated in the message."""
    minihub.push("model", "bob/secret", tiny_timm(), private=True)
    as_token = "(__import__('os').environ.update(HF_TOKEN='{}'), 'hf-hub:bob/secret')[1]"
    bad, owner = run(minihub, as_token.format("hf_madeup"), as_token.format("hf_bob"))
    assert "(401)" in bad["message"]
    assert "refused the token" in bad["message"]
    assert "hf auth login" in bad["message"]
    assert "madeup" not in bad["message"]
    assert owner["shape"] == [1, 1000]
