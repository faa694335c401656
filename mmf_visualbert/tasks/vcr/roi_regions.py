"""Regions made from images by a CNN that is part of the model (VCR; §4.2, Appendix B).

Shapes: B images, R regions an image, N real regions of the batch in row-major order, P channels of the backbone, D
region feature dimension.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import RegionEncoder
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.on_host import known, on_cpu, places
from mmf_visualbert.tasks.vcr.roi_backbone import RoiBackbone
from mmf_visualbert.tasks.vcr.roi_resnet import build_resnet
from mmf_visualbert.tasks.vcr.roi_weights import load_backbone

OBJECT_CLASSES = 81
IMAGENET = "imagenet"


class RegionsOutput(NamedTuple):
    """Features of the regions, and what the auxiliary loss reads.

    Attributes:
        features: (B, R, D), zeros where there is no region.
        region_class_logits: (N, 81); None where classes are not predicted.
    """

    features: Tensor
    region_class_logits: Tensor | None = None


class RoiRegions(RegionEncoder):
    """A region's vector from the backbone and an embedding of its class -> dropout -> linear -> ReLU, as R2C.

    Args:
        region_dimension: D, 512 in the released code.
        backbone: gives the vectors; None where they always come precomputed.
        pooled_dimension: P.
        class_dimension: size of the class embedding.
        dropout: probability of dropping an element before the linear map.
        standardize: bring each of the P numbers to mean 0 and variance 1 (batch normalisation without weights) before
            the class embedding is put beside. For a backbone that starts from random weights, whose vectors hardly
            differ between regions.
        classify_objects: also predict each region's class from the backbone's vector, for the auxiliary loss
            `visualbert_region_classes`. R2C trains with it, the released VisualBERT gives it weight 0.
    """

    def __init__(
        self,
        *,
        region_dimension: int,
        backbone: RoiBackbone | None,
        pooled_dimension: int,
        class_dimension: int = 128,
        dropout: float = 0.1,
        classify_objects: bool = False,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.standardize = nn.BatchNorm1d(pooled_dimension, affine=False) if standardize else None
        self.pooled_dimension = pooled_dimension
        self.class_embeddings = nn.Embedding(OBJECT_CLASSES, class_dimension)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(pooled_dimension + class_dimension, region_dimension)
        self.object_classifier = nn.Linear(pooled_dimension, OBJECT_CLASSES) if classify_objects else None

    def forward(self, batch: Mapping[str, Tensor]) -> RegionsOutput:
        """Regions of a batch.

        Args:
            batch: `region_mask` (B, R) bool and `region_classes` (B, R) int64, 0 for the whole image; and either
                `image` (B, 3, H, W), `region_pixel_boxes` (B, R, 4) and `region_masks` (B, R, 14, 14), or precomputed
                `region_features` (B, R, P).

        Raises:
            InputError: where precomputed features meet a backbone that is trained, have another dimension, or are
                missing where there is no backbone.
        """
        mask, on_host = batch["region_mask"], on_cpu(batch, "region_mask")
        at = places(on_host, mask.device)
        pooled = self.pooled(batch, on_host)
        if self.standardize is not None:
            pooled = self.standardize(pooled)
        classes = self.class_embeddings(batch["region_classes"][at])
        joined = torch.cat((pooled, classes.to(pooled.dtype)), dim=-1)
        projected = torch.relu(self.projection(self.dropout(joined)))
        features = projected.new_zeros(*mask.shape, projected.shape[-1])
        features[at] = projected
        logits = None if self.object_classifier is None else self.object_classifier(pooled)
        return RegionsOutput(features, logits)

    def pooled(self, batch: Mapping[str, Tensor], mask: Tensor) -> Tensor:
        """The backbone's vectors of all regions, from images or as they were precomputed: (N, P).

        Args:
            batch: as in `forward`.
            mask: its `region_mask` in the CPU's memory.
        """
        if "region_features" in batch:
            return self._precomputed(batch["region_features"], mask)
        if self.backbone is None:
            raise InputError(
                "the batch has images but the region encoder has backbone: null; name a backbone, or give the dataset "
                "a store of precomputed features"
            )
        boxes = batch["region_pixel_boxes"]
        return self.backbone(batch["image"], boxes, batch["region_masks"], mask, known(batch, "region_pixel_boxes"))

    def _precomputed(self, features: Tensor, mask: Tensor) -> Tensor:
        if self.backbone is not None and self.backbone.frozen != "all":
            raise InputError(
                f"precomputed features cannot train a backbone, but its frozen is '{self.backbone.frozen}'; set "
                "frozen: all, or let the dataset read images"
            )
        if features.shape[-1] != self.pooled_dimension:
            raise InputError(
                f"the precomputed features have dimension {features.shape[-1]}, the region encoder's backbone "
                f"{self.pooled_dimension}; name the store that was made with this backbone"
            )
        return features[places(mask, features.device)].to(self.projection.weight.dtype)


@register("region_encoder", "visualbert_roi")
def build_roi_regions(
    *,
    region_dimension: int = 512,
    backbone: str | None = "resnet50",
    weights: str | None = None,
    width: int = 16,
    frozen: str | bool = "none",
    batch_norm: str = "batch",
    pooled_dimension: int = 2048,
    class_dimension: int = 128,
    dropout: float = 0.1,
    classify_objects: bool = False,
    standardize: bool = False,
) -> RoiRegions:
    """`RoiRegions` from plain settings.

    Args:
        backbone, width: see `build_resnet`; `backbone: null` for precomputed features alone.
        weights: of the backbone: `imagenet`, torchvision's, downloaded; a file, see `load_backbone`; null, random ones.
        frozen, batch_norm: see `RoiBackbone`; true means `all`, false `none`.
        pooled_dimension: P of precomputed features; only read where `backbone` is null.
        The others as in `RoiRegions`.
    """
    roi_backbone = None
    if backbone is not None:
        roi_backbone = build_roi_backbone(backbone, weights, width, frozen, batch_norm)
    return RoiRegions(
        region_dimension=region_dimension,
        backbone=roi_backbone,
        pooled_dimension=pooled_dimension if roi_backbone is None else roi_backbone.dimension,
        class_dimension=class_dimension,
        dropout=dropout,
        classify_objects=classify_objects,
        standardize=standardize,
    )


def build_roi_backbone(
    name: str, weights: str | None, width: int = 16, frozen: str | bool = "none", batch_norm: str = "batch"
) -> RoiBackbone:
    """`RoiBackbone` from plain settings, as in `build_roi_regions`."""
    if isinstance(frozen, bool):
        frozen = "all" if frozen else "none"
    backbone = RoiBackbone(build_resnet(name, weights == IMAGENET, width), frozen, batch_norm)
    if weights not in (None, IMAGENET):
        load_backbone(backbone, weights)
    return backbone
