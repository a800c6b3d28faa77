"""A real server of the real protocol: ``transformers serve`` with a small model of random weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from imagenet_hard import evaluate, read_result
from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.evaluation.generative import asking
from imagenet_hard.evaluation.result import read_answers_of

pytestmark = pytest.mark.slow

WORDS = ["a", "tench", "goldfish", "dog", "cat", "the", "is", "main", "object"]
TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}<image>{% endif %} "
    "{% endfor %}{% endfor %}"
)


def write_model(folder: Path) -> None:
    """A LLaVA of two small layers that says words of a dozen, by chance."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    words = [
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
        "<image>",
        *WORDS,
    ]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
        additional_special_tokens=["<image>"],
    )
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**size, image_size=32, patch_size=16),
        text_config=LlamaConfig(
            **size,
            vocab_size=len(words),
            max_position_embeddings=512,
            **{"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
        ),
        image_token_index=4,
        image_seq_length=4,
        vision_feature_layer=-1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    pixels = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        pixels,
        fast,
        patch_size=16,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        image_token="<image>",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address, and the folder of the model, by which the server calls it."""
    for needed in ("accelerate", "fastapi", "uvicorn"):  # transformers[serving]
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("vlm")
    write_model(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "transformers.cli.transformers", "serve", "--device", "cpu"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=log,
        stderr=log,
    )
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1", folder
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def test_a_model_is_asked_and_scored(server, tmp_path, monkeypatch):
    """It answers every image; what it says is kept as it came, and counted. One that is not there is told."""
    url, folder = server
    result = evaluate(
        f"api:{folder}",
        "sample",
        base_url=url,
        out=tmp_path,
        concurrency=2,
        request={"temperature": None, "max_tokens": 8},
    )
    (path,) = tmp_path.glob("sample/*.json")
    assert read_result(path)[0] == result
    raw, _ = read_answers_of(path, result)
    assert sorted(raw.ids) == sorted(load_dataset("sample").ids)
    assert sum(result.answers.kinds.values()) == 20
    words = {word for answer in raw.answers for word in answer.split()}
    assert words <= {"<unk>", *WORDS}
    assert words
    asked = result.answers.asked
    assert asked.prompt_tokens > 20 * 5  # the four of each image among them
    assert 0 < asked.completion_tokens <= 20 * 8
    assert set(raw.finish) <= {"stop", "length"}

    # The server calls it a fault of its own, so it is asked again, here without the pauses between.
    monkeypatch.setattr(asking, "LONGEST_PAUSE", 0.02)
    with pytest.raises(ClassifierError, match="no/such-model"):
        evaluate("api:no/such-model", "sample", base_url=url, out=tmp_path, limit=2)
