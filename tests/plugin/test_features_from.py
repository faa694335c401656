"""`features_from` of every dataset that reads stores, as a run's command line gives it."""

import pytest
from mmf_runs import CONFIGS, load_trainer, write_config

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore

SAMPLE = CONFIGS / "scales" / "sample" / "common.yaml"
RUNS = {
    "visualbert_captions": "vqa2/pretrain_coco.yaml",
    "visualbert_vqa2": "vqa2/defaults.yaml",
    "visualbert_nlvr2": "nlvr2/defaults.yaml",
    "visualbert_flickr30k": "flickr30k/defaults.yaml",
    "visualbert_vcr": "vcr/defaults.yaml",
    "visualbert_vcr_captions": "vcr/pretrain_coco.yaml",
}


@pytest.mark.parametrize("dataset", RUNS)
def test_another_detector_is_refused_before_training(dataset, small_world, tmp_path):
    folders = {"data_dir": str(small_world), "save_dir": str(tmp_path / "save")}
    run = write_config(tmp_path, CONFIGS / RUNS[dataset], SAMPLE, env=folders)
    options = [f"dataset_config.{dataset}.features_from=another_detector"]
    if "vcr" in dataset:  # which reads images where no store is named
        options.append(f"dataset_config.{dataset}.features.train=features/vqa2/train2014.lmdb")
    with pytest.raises(InputError, match=r"\.lmdb: .*its detector is .* where 'another_detector' is expected"):
        load_trainer(run, *options)


def test_the_expected_detector_is_read(small_world, tmp_path):
    detector = FeatureStore(small_world / "features" / "vqa2" / "train2014.lmdb").info.detector
    folders = {"data_dir": str(small_world), "save_dir": str(tmp_path / "save")}
    run = write_config(
        tmp_path,
        CONFIGS / "vqa2" / "defaults.yaml",
        SAMPLE,
        env=folders,
        dataset_config={"visualbert_vqa2": {"features_from": {"detector": detector, "dimension": 128}}},
    )
    assert len(load_trainer(run).train_loader) > 0
