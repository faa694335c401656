"""Captions with VCR's kind of regions: task-agnostic pre-training for VCR (§3.3, §4.2, Appendix B).

For consistency with the task, COCO's regions come from the same RoI backbone, over a detector's boxes given in a file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import RegionSource
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.captions.dataset import Captions, build_captions
from mmf_visualbert.tasks.vcr.regions import CANVAS, DetectedRegions, StoredDetections


@register("dataset", "visualbert_vcr_captions")
def build_vcr_captions(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> Captions:
    """Captions as configured: see `configs/datasets/vcr_captions.yaml`.

    Raises:
        InputError: for faulty captions, detections or settings, or an image without detections.
    """
    return build_captions(config, split, processors, regions=_region_source(config, split))


def _region_source(config: Mapping[str, Any], split: str) -> RegionSource:
    """Images with detections, or, where `features` names a store for the split, precomputed features."""
    if (config.get("features") or {}).get(split):
        store = configured_store(config, split)
        most = config.get("max_regions") or (None if store.info is None else store.info.regions)
        if most is None:
            raise InputError(f"{', '.join(store.paths)} does not say how many regions it has at most; set max_regions")
        return StoredDetections(store, most)
    data_dir = Path(config.get("data_dir") or ".")
    return DetectedRegions(
        configured_paths(config, "detections", split),
        [data_dir / folder for folder in config["images"]],
        config.get("image_size", CANVAS),
        random_offset=split == "train" and config.get("random_offset", True),
        max_regions=config.get("max_regions"),
    )
