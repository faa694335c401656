"""Batches that are read to where they stay are those that MMF puts together of their samples; so are a worker's."""

import pytest
import torch
from mmf_runs import CONFIGS, load_trainer, write_config

from mmf_visualbert.plugin import workers

SCALE = CONFIGS / "scales" / "sample"
TASKS = ("vqa2/pretrain_coco", "nlvr2/pretrain_task", "flickr30k/defaults", "vcr/defaults")


def train_loader(config, world, folder):
    task, phase = config.split("/")
    overlays = [SCALE / "common.yaml", SCALE / f"{task}.yaml", SCALE / f"{task}_{phase}.yaml"]
    folders = {"data_dir": str(world), "save_dir": str(folder / "save")}
    run = write_config(folder, CONFIGS / f"{config}.yaml", *(file for file in overlays if file.exists()), env=folders)
    loaders = load_trainer(run, "training.batch_size=6").train_loader.loaders
    return loaders[0] if isinstance(loaders, list) else next(iter(loaders.values()))


def check(batch, twin):
    assert type(batch) is type(twin) and batch.fields() == twin.fields()
    assert (batch.dataset_name, batch.dataset_type) == (twin.dataset_name, twin.dataset_type)
    assert batch._get_tensor_field() is not None and batch.get_batch_size() == twin.get_batch_size() == 6
    for name, value in twin.items():
        assert not isinstance(value, torch.Tensor) or torch.equal(batch[name], value), name
        assert not isinstance(value, torch.Tensor) or batch[name].dtype == value.dtype, name


@pytest.mark.parametrize("config", TASKS)
def test_a_batch_is_that_of_its_samples(config, small_world, tmp_path, monkeypatch):
    loader = train_loader(config, small_world, tmp_path)
    places = next(iter(loader.batch_sampler))
    twin = loader.collate_fn([loader.dataset[place] for place in places])
    check(next(iter(loader)), twin)
    if "region_features" in twin:
        stacks = []
        stack = torch.stack
        monkeypatch.setattr(torch, "stack", lambda each, **more: stacks.append(each[0].shape) or stack(each, **more))
        check(next(iter(loader)), twin)
        assert stacks and twin["region_features"].shape[1:] not in stacks, "read to their place"


@pytest.mark.parametrize("free", [0, 1 << 40])
def test_a_batch_of_a_worker(free, small_world, tmp_path, monkeypatch):
    loader = train_loader("vqa2/defaults", small_world, tmp_path)
    places = next(iter(loader.batch_sampler))
    twin = loader.collate_fn([loader.dataset[place] for place in places])
    monkeypatch.setattr(workers, "room", lambda: free)
    monkeypatch.setattr(workers, "reduce_tensor", None if free == 0 else workers.reduce_tensor)
    in_worker = torch.utils.data.DataLoader(
        loader.dataset,
        batch_sampler=[places],
        num_workers=1,
        collate_fn=loader.collate_fn,
        worker_init_fn=workers.begin_worker,
    )
    (batch,) = in_worker
    check(batch, twin)
    assert batch["region_features"].is_shared() == (free > 0)


@pytest.mark.parametrize("number", [0, 1])
def test_batches_in_memory_of_those_before(number, small_world, tmp_path, monkeypatch):
    loader = train_loader("vqa2/defaults", small_world, tmp_path)
    several = [list(places) for places, _ in zip(loader.batch_sampler, range(4), strict=False)] * 3
    twins = [loader.collate_fn([loader.dataset[place] for place in places]) for places in several]
    monkeypatch.setattr(workers, "LEAST", 1)
    begun = {"worker_init_fn": workers.begin_worker, "multiprocessing_context": "fork"} if number else {}
    again = torch.utils.data.DataLoader(
        loader.dataset, batch_sampler=several, num_workers=number, collate_fn=loader.collate_fn, **begun
    )
    places = set()
    for batch, twin in zip(again, twins, strict=True):
        check(batch, twin)
        places.add(batch["region_features"].data_ptr())
    assert number or len(places) == 2, "the one that is there while the next is made, and that"


def test_another_model_gets_samples(small_world, tmp_path):
    loader = train_loader("vqa2/defaults", small_world, tmp_path)
    loader.dataset.for_ours = False
    places = next(iter(loader.batch_sampler))
    samples = loader.dataset.__getitems__(places)
    assert isinstance(samples, list) and len(samples) == 6 and "image_feature_0" in samples[0]


def test_a_loader_of_torch_alone_puts_the_samples_together(small_world, tmp_path):
    dataset = train_loader("vqa2/defaults", small_world, tmp_path).dataset
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=3)))
    for row in range(3):
        assert all(torch.equal(batch[name][row], value) for name, value in dataset[row].items())
