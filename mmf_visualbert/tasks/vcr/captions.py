"""Captions with VCR's kind of regions: task-agnostic pre-training for VCR (§3.3, §4.2, Appendix B).

For consistency with the task, COCO's regions come from the same RoI backbone, over a detector's boxes given in a file.
"""

from collections.abc import Mapping
from typing import Any

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import RegionSource
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.captions.dataset import Captions, captions_of, read_images
from mmf_visualbert.tasks.vcr.missing import with_regions
from mmf_visualbert.tasks.vcr.regions import DetectedRegions, StoredDetections
from mmf_visualbert.tasks.vcr.settings import CaptionsSettings

NAME = "visualbert_vcr_captions"


@register("dataset", NAME, settings=CaptionsSettings)
def build_vcr_captions(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> Captions:
    """Captions as configured: see `configs/datasets/vcr_captions.yaml`.

    Raises:
        InputError: for faulty captions, detections or settings, or an image without detections.
    """
    settings = read_settings(CaptionsSettings, config, f"dataset_config.{NAME}")
    regions = None if settings.text_only else _region_source(settings, split)
    images = read_images(settings, split)
    if regions is not None:
        images = with_regions(images, regions, settings.missing_regions, split)
    return captions_of(settings, split, processors, regions, images)


def _region_source(settings: CaptionsSettings, split: str) -> RegionSource:
    """Images with detections, or, where `features` names a store for the split, precomputed features."""
    if settings.features.of(split):
        store = configured_store(settings, split)
        most = settings.max_regions or (None if store.info is None else store.info.regions)
        if most is None:
            raise InputError(f"{', '.join(store.paths)} does not say how many regions it has at most; set max_regions")
        return StoredDetections(store, most)
    return DetectedRegions(
        configured_paths(settings.data_dir, settings.detections, "detections", split),
        [settings.data_dir / folder for folder in settings.images],
        settings.image_size,
        random_offset=split == "train" and settings.random_offset,
        max_regions=settings.max_regions,
    )
