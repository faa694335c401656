"""MMF's own reader of region features, beside which the benchmark measures ours."""

from pathlib import Path

from mmf.datasets.databases.readers.feature_readers import FeatureReader


def feature_reader(path: Path, max_features: int) -> FeatureReader:
    """The reader of an LMDB of MMF's, or of one of our stores."""
    return FeatureReader(base_path=str(path), depth_first=False, max_features=max_features)
