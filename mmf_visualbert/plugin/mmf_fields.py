"""Batches of MMF's own datasets under our names, for our model, and our samples under MMF's, for its models."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.errors import InputError

# What MMF's own visual_bert reads -> what we call it.
TEXT = {"segment_ids": "text_segments", "lm_label_ids": "masked_lm_labels", "is_correct": "sentence_image_labels"}
FEATURES, INFO = "image_feature_0", "image_info_0"
FEATURES_OF_OURS = "region_features"


def add_our_names(batch: MutableMapping[str, Any]) -> None:
    """Adds to a batch of MMF's datasets what `under_our_names` finds in it, for the model and the losses after it."""
    named = under_our_names(batch)
    for name in [name for name in named if name not in batch]:
        batch[name] = named[name]


def add_targets_of_pretraining(batch: MutableMapping[str, Any], outputs: Mapping[str, Any]) -> None:
    """Makes the labels of masked language modeling the `targets` of a batch, as MMF computes losses of batches with
    these alone. Where a head gives `scores`, a batch without targets is one to predict, and stays so.
    """
    if "masked_lm_labels" in batch and "targets" not in batch and "scores" not in outputs:
        batch["targets"] = batch["masked_lm_labels"]


def under_our_names(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """A batch with `text_mask`, `text_segments`, `region_features`, `region_mask`, `region_segments`, and the labels of
    pre-training, whatever dataset it is of.

    Args:
        batch: ours, which is given back as it is; or of MMF's datasets: `input_ids`, `input_mask`, `segment_ids`
            (B, T), `image_feature_0` (B, R, D), `image_info_0` with `max_features` (B,), `lm_label_ids` (B, T),
            `is_correct` (B,); of NLVR2 two of the images' as `img0` and `img1`.

    Raises:
        InputError: for a batch without word pieces.
    """
    if "text_mask" in batch:
        return batch
    if "input_ids" not in batch or "input_mask" not in batch:
        raise InputError(
            f"the dataset '{_named(batch)}' gives no input_ids and input_mask, but {', '.join(batch)}; "
            "set its text_processor to bert_tokenizer, or masked_token for pre-training"
        )
    named = {**batch, "text_mask": batch["input_mask"].bool()}
    for theirs, ours in TEXT.items():
        if isinstance(batch.get(theirs), Tensor):
            named[ours] = batch[theirs]
    named.setdefault("text_segments", torch.zeros_like(batch["input_ids"]))
    if "lm_label_ids" in batch:  # MMF's processor marks nothing to predict by -1, as we do
        named["masked_lm_labels"] = batch["lm_label_ids"].masked_fill(~named["text_mask"], -1)
    return named | _regions(batch)


def under_mmf_names(sample: Mapping[str, Any]) -> dict[str, Any]:
    """What MMF's own models read, of one of our samples: `input_mask`, `segment_ids`, `image_feature_0`,
    `image_info_0` with `max_features`, `lm_label_ids`, as far as the sample has them.

    Args:
        sample: `text_mask`, `text_segments` (T,), and where there are regions `region_features` (R, D) and
            `region_mask` (R,); choices have one more dimension in front of them, as in MMF.
    """
    named = {theirs: sample[ours] for theirs, ours in TEXT.items() if ours in sample}
    if "text_mask" in sample:
        named["input_mask"] = sample["text_mask"].long()
    if FEATURES_OF_OURS in sample:
        named[FEATURES] = sample[FEATURES_OF_OURS].float()
        named[INFO] = {"max_features": sample["region_mask"].sum()}
    return named


def _named(batch: Mapping[str, Any]) -> str:
    name = batch.get("dataset_name")
    return str(name or "of this run")


def _regions(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    images = [batch[name] for name in ("img0", "img1") if name in batch] or [batch]
    features = [image[FEATURES] for image in images if isinstance(image.get(FEATURES), Tensor)]
    if not features:
        return {}
    masks = [_mask(image, one) for image, one in zip(images, features, strict=True)]
    segments = [torch.full_like(mask, number, dtype=torch.int64) for number, mask in enumerate(masks)]
    return {
        FEATURES_OF_OURS: torch.cat(features, dim=1),
        "region_mask": torch.cat(masks, dim=1),
        "region_segments": torch.cat(segments, dim=1),
    }


def _mask(image: Mapping[str, Any], features: Tensor) -> Tensor:
    """(B, R) bool, where there is a region: as many as `max_features` says, or those whose features are not all 0."""
    counts = _counts(image.get(INFO), features)
    if counts is None:
        return features.abs().sum(dim=-1) > 0
    return torch.arange(features.size(1), device=features.device)[None] < counts[:, None]


def _counts(info: Any, features: Tensor) -> Tensor | None:
    """(B,) regions of each image; None where the dataset does not say."""
    given: Any = [one.get("max_features") for one in info] if isinstance(info, list) else None
    if given is None and isinstance(info, Mapping):
        given = info.get("max_features")
    if isinstance(given, list):
        given = None if any(one is None for one in given) else torch.as_tensor([int(one) for one in given])
    if not isinstance(given, Tensor) or given.numel() != len(features):
        return None
    return given.reshape(-1).to(features.device)
