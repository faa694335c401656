"""Images without regions: refused at the start, with how many there are, or gone on without, aloud."""

import numpy as np
import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.runs import plain, read_config
from mmf_visualbert.tasks.flickr30k.head import PhraseGrounding
from tests.task_checkpoint import CONFIGS


def regions_of(folder, missing, geometry=False):
    with FeatureStoreWriter(folder / "a.lmdb", StoreInfo("test", 4, 3), dtype="float32") as writer:
        boxes = np.array([[0, 0, 1, 1]] * 2, np.float32)
        writer.add("one", RegionRecord(np.full((2, 4), 1, np.float32), boxes, 2, 2))
    return ImageRegions(FeatureStore(folder / "a.lmdb"), RegionFeatures(3, 4, geometry), missing)


QUERIES = [RegionQuery("none", "question 1"), RegionQuery("one", "question 1"), RegionQuery("bare", "question 2")]


@pytest.mark.parametrize("geometry", [False, True])
def test_the_other_image_keeps_its_number(tmp_path, caplog, geometry):
    regions = regions_of(tmp_path, "text_only", geometry)
    regions.check(QUERIES)
    assert "2 of 3 images have no regions" in caplog.text and "the first is 'none' of question 1" in caplog.text
    right = regions.sequence(QUERIES[:2])
    assert right["region_segments"].tolist() == [1, 1, 0, 0, 0, 0] and right["region_mask"].sum() == 2
    nothing = regions.sequence(QUERIES[::2])
    assert not nothing["region_mask"].any() and nothing["region_features"].shape == right["region_features"].shape
    assert nothing["region_features"].dtype == torch.float32, "the type of the others, so that batches are of one type"
    assert [regions.count(query) for query in QUERIES] == [0, 2, 0], "of which batches of many tokens are drawn"
    assert not regions.tensors("bare")["region_mask"].any() and len(regions.record("bare").boxes) == 0


def test_no_image_at_all_is_another_store(tmp_path):
    with pytest.raises(InputError, match="'none' and 0 more of 1 images are not in"):
        regions_of(tmp_path, "text_only").check(QUERIES[:1])


def test_the_default_names_the_mend(tmp_path):
    with pytest.raises(InputError, match="go on without them: missing_regions: text_only"):
        regions_of(tmp_path, "refuse").check(QUERIES)
    with pytest.raises(InputError, match="missing_regions is 'skip'; set it to one of refuse, text_only"):
        ImageRegions(None, None, "skip")


def without_one(world, folder, config):
    """The last store of val without its first record; which image that is."""
    section = plain(config, f"dataset_config.{config.datasets}")
    source = FeatureStore(world / section["features"]["val"][-1])
    first, *rest = source.keys()
    with FeatureStoreWriter(folder / "part.lmdb", source.info) as writer:
        for key in rest:
            writer.add(key, source.read(key))
    section["features"]["val"] = [*section["features"]["val"][:-1], str(folder / "part.lmdb")]
    return section, first


@pytest.mark.parametrize("run", ["vqa2/defaults", "vqa2/pretrain_coco", "nlvr2/defaults", "flickr30k/defaults"])
def test_each_task_goes_on_without_an_image(small_world, tmp_path, caplog, run):
    model = ["region_dimension=128", f"tokenizer={small_world}/bert/vocab.txt"]
    settings = [f"env.data_dir={small_world}", *(f"model_config.visualbert.{word}" for word in model)]
    config = read_config(CONFIGS / f"{run}.yaml", settings)
    section, first = without_one(small_world, tmp_path, config)
    processors = {key: catalog.build("processor", given) for key, given in section["processors"].items() if given}
    build = catalog.get("dataset", config.datasets)
    with pytest.raises(InputError, match=rf"'{first}' and 0 more of .* are not in .*missing_regions: text_only"):
        build(section, "val", processors)
    dataset = build({**section, "missing_regions": "text_only"}, "val", processors)
    assert f"what is about them is read as text alone; the first is '{first}'" in caplog.text
    samples = [dataset[index] for index in range(len(dataset))]
    without = [sample for sample in samples if not sample["region_mask"].any()]
    left = [sample["region_mask"] & (sample["region_segments"] == 0) for sample in samples]
    assert 1 <= sum(not mask.any() for mask in left) < len(samples), "of NLVR2, the left image"
    batch = {name: torch.stack([one[name] for one in (without or samples)[:2]]) for name in samples[0]}
    if run == "flickr30k/defaults":
        misses(batch)


def misses(batch):
    """A phrase about an image without regions is not found, and gives no gradient that is no number."""
    mask = batch["region_mask"]
    size, words = 8, batch["input_ids"].shape
    head = PhraseGrounding(hidden_size=size, heads=2)
    encoded = Encoded(
        **{
            "text": torch.randn(*words, size, requires_grad=True),
            "regions": torch.randn(*mask.shape, size, requires_grad=True),
            "text_mask": batch["text_mask"],
            "region_mask": mask,
        }
    )
    output = head(encoded, batch)
    assert output.phrase_hit10.sum() == 0 and output.phrase_count.sum() > 0
    loss = catalog.build("loss", {"type": "visualbert_phrase_cross_entropy"})
    loss(batch, output._asdict()).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in head.parameters() if weight.grad is not None)
