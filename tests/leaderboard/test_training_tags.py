"""What tags of published weights state, and where they state nothing."""

from __future__ import annotations

import pytest

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.leaderboard.training_tags import training_by_tag


def by(backend, tag, name="model"):
    return training_by_tag(ModelSpec(backend=backend, name=name, tag=tag, transform={}))


@pytest.mark.parametrize(
    ("backend", "tag", "first", "later"),
    [
        ("timm", "in1k", ["ImageNet-1k"], []),
        ("timm", "a1_in1k", ["ImageNet-1k"], []),
        ("timm", "in21k", ["ImageNet-21k"], []),
        ("timm", "augreg_in21k_ft_in1k", ["ImageNet-21k"], ["ImageNet-1k"]),
        ("timm", "fb_in22k_ft_in1k_384", ["ImageNet-21k"], ["ImageNet-1k"]),
        ("timm", "clip_laion2b_augreg_ft_in12k_in1k", ["LAION-2B"], ["ImageNet-12k", "ImageNet-1k"]),
        ("timm", "metaclip_2pt5b", ["MetaCLIP-2.5B"], []),
        ("timm", "lvd142m", ["LVD-142M"], []),
        ("open_clip", "laion2b_s34b_b79k", ["LAION-2B"], []),
        ("open_clip", "openai", ["WIT-400M"], []),
        ("open_clip", "datacomp_xl_s13b_b90k", ["DataComp-1B"], []),
        ("torchvision", "IMAGENET1K_V2", ["ImageNet-1k"], []),
        ("torchvision", "IMAGENET1K_SWAG_E2E_V1", ["IG-3.6B"], ["ImageNet-1k"]),
    ],
)
def test_what_a_tag_states(backend, tag, first, later):
    found = by(backend, tag)
    assert [each.name for each in found.trained_on] == first
    assert [each.name for each in found.fine_tuned_on] == later
    assert (found.said_by, found.distilled_from) == ("tag", ())


@pytest.mark.parametrize(
    ("backend", "tag"),
    [
        ("timm", None),
        ("timm", "dino"),
        ("timm", "fcmae_ft_in1k"),  # fine-tuned, but from what?
        ("timm", "ft_in1k"),
        ("timm", "photos300m_ft_in1k"),  # a set that is not known
        ("timm", "bd_ssld_6m_in1k"),
        ("open_clip", "datacomp_l_s1b_b8k"),  # a part of the pool
        ("open_clip", "mscoco_finetuned_laion2b_s13b_b90k"),
        ("torchvision", "IMAGENET1K_FEATURES"),
        ("custom", "in1k"),
        ("imported", None),
    ],
)
def test_where_a_tag_states_nothing_or_not_all(backend, tag):
    assert by(backend, tag) is None


@pytest.mark.parametrize(
    ("name", "tag"),
    [("m", "fb_dist_in1k"), ("m", "ns_jft_in1k"), ("deit_tiny_distilled_patch16_224", "fb_in1k")],
)
def test_a_teacher_is_told_though_not_named(name, tag):
    """So that no distilled model passes for one of ImageNet-1k alone."""
    found = by("timm", tag, name)
    assert found.distilled_from == ("a model that is not named",)
    assert found.group != "ImageNet-1k only"
