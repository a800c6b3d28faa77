"""Zero-shot head: ours against ``open_clip.build_zero_shot_classifier``, against the limit, and cached.

    python benchmarks/head.py                    # all 80,000 prompts; the ratio on 40 classes
    python benchmarks/head.py --classes 40       # both on 40 classes, nothing else
    python benchmarks/head.py --compare 1000     # the reference on all prompts too (over an hour on 2 cores)

Random weights, fixed seed. Both builders run on the same classes, so the ratio needs no scaling. The
limit is the bare transformer over as many tokens as the head needs, in batches of the same size,
without tokenizer, embedding, attention to what is shared, or projection. Exits with 1 if ours is
less than 5 times faster, differs by more than 1e-5, or takes a second or more from the cache.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import open_clip
import torch
from record import record

from imagenet_hard.classifiers.weights import weights_sha256
from imagenet_hard.classifiers.zero_shot.head import cached_head, head_key
from imagenet_hard.classifiers.zero_shot.module import BATCH_TOKENS, build_head
from imagenet_hard.classifiers.zero_shot.prompts import fill, load_classnames, load_templates
from imagenet_hard.classifiers.zero_shot.text_tower import CausalTower, causal_tower


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, value


def needed_tokens(tower: CausalTower, tokenizer: Any, names: Sequence[str], templates: Sequence[str]) -> int:
    """Tokens to compute: of each prompt those up to the pooled one, what all share counted once."""
    n = 0
    for template in templates:
        tokens = tokenizer([fill(template, name) for name in dict.fromkeys(names)])
        shared = tower.shared(tokens, torch.zeros(len(tokens), dtype=torch.long))
        n += int(shared.sum() + (tower.last(tokens) + 1 - shared).sum())
    return n


def bare_forward(text: Any, n_tokens: int, batch_tokens: int, device: torch.device, length: int = 5) -> float:
    """Seconds of the transformer alone over ``n_tokens``, from a sample of at least 20 batches."""
    x = torch.randn(batch_tokens // length, length, text.transformer.width, device=device)
    batches = min(20, -(-n_tokens // x[:, :, 0].numel()))
    with torch.inference_mode():
        text.transformer(x)
        seconds, _ = timed(lambda: [text.transformer(x) for _ in range(batches)])
    return seconds / (batches * x[:, :, 0].numel()) * n_tokens


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", default="ViT-B-32")
    parser.add_argument("--classes", type=int, default=1000, help="classes of our head [1000]")
    parser.add_argument("--compare", type=int, default=40, help="classes on which both builders run [40]")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.manual_seed(0)
    model = open_clip.create_model(args.arch).eval().to(device)
    tokenizer = open_clip.get_tokenizer(args.arch)
    templates, names = load_templates().texts, load_classnames().texts[: args.classes]
    some = names[: min(args.compare, args.classes)]
    tower = causal_tower(model)
    print(f"{args.arch}, random weights, {len(templates)} templates, fp32, {device}")
    print(f"torch {torch.__version__}, open_clip {open_clip.__version__}, {torch.get_num_threads()} threads")

    build_head(model, tokenizer, some[:2], templates[:2], device=device)  # warm up
    few, ours = timed(lambda: build_head(model, tokenizer, some, templates, device=device))
    slow, theirs = timed(
        lambda: open_clip.build_zero_shot_classifier(model, tokenizer, some, templates, device=device)
    )
    difference = float((ours - theirs.cpu()).abs().max())
    print(f"\non the same {len(some)} classes, {len(some) * len(templates)} prompts:")
    print(f"  open_clip.build_zero_shot_classifier {slow:8.1f} s")
    print(f"  ours                                 {few:8.1f} s   ratio {slow / few:.1f}")
    print(f"  largest difference of the head       {difference:.1e}")

    record(f"zero-shot head of {len(some)} classes, against open_clip's", [few], reference=[slow])
    seconds, head = (few, ours)
    if len(names) > len(some):
        seconds, head = timed(lambda: build_head(model, tokenizer, names, templates, device=device))
    print(f"\nall {len(names)} classes, {len(names) * len(templates)} prompts:")
    print(f"  ours                                 {seconds:8.1f} s")
    if tower is not None:
        tokens = needed_tokens(tower, tokenizer, names, templates)
        limit = bare_forward(tower.text, tokens, BATCH_TOKENS.get(device.type, 1024), device)
        record(f"zero-shot head of {len(names)} classes", [seconds], limit=[limit])
        print(
            f"  bare transformer, {tokens:>9} tokens    {limit:8.1f} s   {limit / seconds:.2f} of the limit"
        )

    with tempfile.TemporaryDirectory() as folder:
        os.environ["IMAGENET_HARD_CACHE"] = folder

        def from_cache() -> torch.Tensor:
            key = head_key(model, tokenizer, names, templates, weights_sha256=weights_sha256(model))
            return cached_head(key, lambda: head)

        from_cache()
        cached, again = timed(from_cache)
    assert torch.equal(again, head)
    print(f"  from the cache, weights hashed       {cached:8.2f} s")
    ok = slow / few >= 5 and difference <= 1e-5 and cached < 1
    print(f"\n{'ok' if ok else 'NOT MET'}: at least 5 times faster, equal to 1e-5, cached in under a second")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
