"""A causal text tower, run only over the tokens that can matter to the embedding of a prompt.

In a causal tower a token sees what stands before it and nothing else. Two things follow, both exact:
tokens after the one that is pooled need not be computed (of 77 tokens most prompts use 10), and
tokens that many prompts begin with ("<start> a photo of a") are computed once, their keys and
values being the same for all. The forward pass is written out here with the model's own weights
and modules, so the model itself is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KeyValue = tuple[Tensor, Tensor]
"""Keys and values of one block, each (n, heads, tokens, width / heads)."""


@dataclass(frozen=True)
class CausalTower:
    """The text tower of a CLIP, CustomTextCLIP or CoCa model of open_clip.

    ``text`` is the module that holds the weights (the model itself for CLIP). ``pool`` says which
    position becomes the embedding: that of the largest token id (argmax: OpenAI's end of text),
    that of the first ``eos_id`` (eos), or a class token behind the last one (cls: CoCa).
    """

    text: Any
    pool: Literal["argmax", "eos", "cls"]
    eos_id: int = -1

    def encode(self, tokens: Tensor, group: Tensor, batch_tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Embeddings, not normalised, as ``encode_text(tokens)`` gives them, in batches.

        ``tokens``: int64 (n, context_length), on the tower's device; ``group``: int64 (n,), 0, 1, ...:
        what the rows of one group begin with, those of one template, is computed once.
        ``batch_tokens`` bounds the tokens of one forward pass, and so the memory. Yields pairs of row
        numbers (m,) and their embeddings (m, embed_dim), each row once.
        """
        last, shared = self.last(tokens), self.shared(tokens, group)
        first = torch.stack([(group == g).nonzero()[0, 0] for g in range(len(shared))])
        past = self._prefix(tokens[first], max(1, int(shared.max())))
        start = shared[group]
        order = torch.argsort(last - start, descending=True)
        sizes = (last - start + 1)[order].tolist()
        done = 0
        while done < len(sizes):
            # Longest first: the first prompt of a batch says where all of it can be cut.
            size = sizes[done]
            rows = order[done : done + max(1, batch_tokens // size)]
            yield rows, self._forward(tokens[rows], start[rows], last[rows], size, past, group[rows])
            done += len(rows)

    def last(self, tokens: Tensor) -> Tensor:
        """Index of the last token that the embedding depends on, int64 (n,)."""
        if self.pool == "argmax":
            return torch.argmax(tokens, dim=-1)
        if self.pool == "eos":
            return (tokens == self.eos_id).int().argmax(dim=-1)
        # CoCa's class token also sees the first padding token: its mask is one off (see _seen).
        size = tokens.shape[1]
        position = torch.arange(1, size + 1, device=tokens.device)
        after: Tensor = (position * (tokens != self.text.pad_id)).amax(dim=-1)
        return after.clamp(max=size - 1)

    def shared(self, tokens: Tensor, group: Tensor) -> Tensor:
        """How many tokens all rows of each group begin with, at most up to the last: int64 (groups,)."""
        last, counts = self.last(tokens), []
        for g in range(int(group.max()) + 1):
            rows = tokens[group == g]
            same = (rows == rows[:1]).all(dim=0).int().cumprod(dim=0).sum()
            counts.append(torch.minimum(same, last[group == g].min()))
        return torch.stack(counts)

    def _seen(self, tokens: Tensor) -> Tensor:
        """Which keys, and the class token's behind them, count at all: bool (n, context_length + 1)."""
        if self.pool != "cls":
            return torch.ones_like(F.pad(tokens, (0, 1)), dtype=torch.bool)
        # As open_clip does it and the weights were trained: key j counts if token j - 1 is no padding.
        return F.pad(tokens != self.text.pad_id, (1, 0), value=True)

    def _embed(self, tokens: Tensor, position: Tensor) -> Tensor:
        dtype = self.text.transformer.get_cast_dtype()
        x: Tensor = self.text.token_embedding(tokens.gather(1, position)).to(dtype)
        x += self.text.positional_embedding[position].to(dtype)
        return x

    def _prefix(self, tokens: Tensor, size: int) -> list[KeyValue]:
        """Keys and values of the first ``size`` tokens in every block."""
        position = torch.arange(size, device=tokens.device).expand(len(tokens), -1)
        x = self._embed(tokens, position)
        mask = (position[:1, :, None] >= position[:, None]) & self._seen(tokens)[:, None, :size]
        past = []
        for block in self.text.transformer.resblocks:
            x, here = _block(block, x, mask[:, None])
            past.append(here)
        return past

    def _forward(
        self, tokens: Tensor, start: Tensor, last: Tensor, size: int, past: list[KeyValue], group: Tensor
    ) -> Tensor:
        """Embeddings of one batch: each row's ``size`` tokens from ``start`` on, behind its group's past."""
        text, cls, context = self.text, self.pool == "cls", tokens.shape[1]
        ahead = torch.arange(size, device=tokens.device)
        wanted = start[:, None] + ahead
        position = wanted.clamp(max=context - 1)
        x, query = self._embed(tokens, position), last - start
        if cls:
            token = (text.cls_emb + text.positional_embedding[-1]).to(x.dtype)
            x = torch.cat([x, token.expand(len(x), 1, -1)], dim=1)
            ahead, query = torch.arange(size + 1, device=tokens.device), torch.full_like(last, size)
        before = torch.arange(past[0][0].shape[2], device=tokens.device)
        seen = self._seen(tokens)
        keys = [
            (before < start[:, None]) & seen[:, : len(before)],
            (wanted < context) & seen.gather(1, position),
        ]
        valid = torch.cat([*keys, seen[:, -1:]] if cls else keys, dim=1)
        mask = F.pad(ahead <= ahead[:, None], (len(before), 0), value=True) & valid[:, None, None]
        *blocks, final = text.transformer.resblocks
        for block, (k, v) in zip(blocks, past, strict=False):
            x, _ = _block(block, x, mask, (k[group], v[group]))
        x, _ = _block(final, x, mask, (past[-1][0][group], past[-1][1][group]), query)
        pooled: Tensor = text.ln_final(x[:, 0])
        if isinstance(text.text_projection, nn.Linear):
            pooled = text.text_projection(pooled)
        elif text.text_projection is not None:
            pooled = pooled @ text.text_projection
        return pooled


def causal_tower(model: nn.Module) -> CausalTower | None:
    """The model's text tower, or None where the shortcuts of this module are not known to be exact.

    None: bidirectional towers and pooling of the first, last or mean position (SigLIP, CLIPA,
    MobileCLIP), Hugging Face text towers, blocks or models of another make.
    """
    from open_clip.coca_model import CoCa
    from open_clip.model import CLIP, CustomTextCLIP
    from open_clip.transformer import TextTransformer

    # Exact types: a subclass may do anything in its forward pass.
    if type(model) is CLIP:
        text: Any = model
        pool, eos_id = getattr(text, "text_pool_type", None), getattr(text, "text_eos_id", None)
    elif type(model) in (CustomTextCLIP, CoCa) and type(model.text) is TextTransformer:
        text = model.text
        pool, eos_id = text.pool_type, getattr(text, "eos_id", None)
    else:
        return None
    if not _is_causal(text.attn_mask) or not all(_is_plain(block) for block in text.transformer.resblocks):
        return None
    if getattr(text, "cls_emb", None) is not None:
        return None if getattr(text, "correct_cls_mask", False) else CausalTower(text, "cls")
    if pool == "argmax":
        return CausalTower(text, "argmax")
    if pool == "eos" and eos_id is not None:
        return CausalTower(text, "eos", int(eos_id))
    return None


def _is_causal(mask: Tensor | None) -> bool:
    if mask is None:
        return False
    return torch.equal(mask, torch.full_like(mask, float("-inf")).triu(1))


def _is_plain(block: nn.Module) -> bool:
    from open_clip.transformer import ResidualAttentionBlock

    attn = getattr(block, "attn", None)
    return (
        type(block) is ResidualAttentionBlock
        and type(attn) is nn.MultiheadAttention
        and attn.in_proj_weight is not None
        and attn.bias_k is None
        and not attn.add_zero_attn
    )


def _block(
    block: Any, x: Tensor, mask: Tensor, past: KeyValue | None = None, query: Tensor | None = None
) -> tuple[Tensor, KeyValue]:
    """A residual attention block on x (n, tokens, width) behind the keys and values of ``past``.

    ``query``: int64 (n,), the one position of each row that is wanted (after the last block no
    other is used); the output is then (n, 1, width).
    """
    n, size, width = x.shape
    attn = block.attn
    qkv = F.linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
    q, k, v = qkv.view(n, size, 3, attn.num_heads, width // attn.num_heads).permute(2, 0, 3, 1, 4)
    here = (k, v)
    if past is not None:
        k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
    if query is not None:
        row = torch.arange(n, device=x.device)
        x, q, mask = x[row, query, None], q[row, :, query, None], mask[row, :, query, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    x = x + block.ls_1(attn.out_proj(mixed.transpose(1, 2).reshape(n, -1, width)))
    return x + block.ls_2(block.mlp(block.ln_2(x))), here
