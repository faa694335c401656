"""MMF's own reader of region features, beside which the benchmark measures ours."""

from collections.abc import Sequence
from pathlib import Path

from mmf.common.sample import SampleList
from mmf.datasets.databases.readers.feature_readers import FeatureReader
from torch import Tensor


def feature_reader(path: Path, max_features: int) -> FeatureReader:
    """The reader of an LMDB of MMF's, or of one of our stores."""
    return FeatureReader(base_path=str(path), depth_first=False, max_features=max_features)


def feature_batch(reader: FeatureReader, names: Sequence[str]) -> Tensor:
    """Features (B, R, D) as a worker of MMF's hands them on: read, collated, copied to where others see them."""
    samples = [{"image_feature_0": reader.read(name)[0]} for name in names]
    return SampleList(samples)["image_feature_0"].share_memory_()
