"""`text_processor.params.keep_words`: samples of every task are those of a run that cuts each text anew."""

import pytest
import table_world
import torch
from mmf_runs import CONFIGS, write_config

from mmf_visualbert import catalog
from mmf_visualbert.datasets.draws import repeatable_draws, seed_from
from mmf_visualbert.processors.text import WordPieceTokenizer
from mmf_visualbert.runs import plain, processors_of, read_config

SAMPLE = CONFIGS / "scales" / "sample"
PHASES = {
    "vqa2": ("defaults", "pretrain_coco", "pretrain_task"),
    "nlvr2": ("defaults", "pretrain_task"),
    "flickr30k": ("defaults", "pretrain_task"),
    "vcr": ("defaults", "pretrain_task"),
    "table": ("classification", "choice", "answers", "phrases"),
}
SAMPLES = 12
EPOCHS = 2


def built(config, *words):
    """The training split of a yaml, as `mmf_run` with these words would build it."""
    name = read_config(config).datasets
    key = f"dataset_config.{name}.processors.text_processor.params"
    section = plain(read_config(config, [f"{key}.{word}" for word in words]), f"dataset_config.{name}")
    return catalog.get("dataset", name)(section, "train", processors_of(section))


def drawn(dataset, index, epoch):
    with repeatable_draws(seed_from(1, epoch, index)):
        return dataset[index]


@pytest.mark.parametrize(("task", "phase"), [(task, phase) for task, phases in PHASES.items() for phase in phases])
def test_samples_are_the_same_and_nothing_is_cut_twice(task, phase, small_world, tmp_path, monkeypatch):
    overlays = [SAMPLE / f"{name}.yaml" for name in ("common", task, f"{task}_{phase}")]
    files = [CONFIGS / task / f"{phase}.yaml", *(file for file in overlays if file.exists())]
    section = {"visualbert_table": table_world.settings(small_world, tmp_path, phase)} if task == "table" else {}
    run = write_config(tmp_path, *files, env={"data_dir": str(small_world)}, dataset_config=section)
    plain_twin, keeping = built(run), built(run, "keep_words=10000")
    places = [(index, epoch) for epoch in range(EPOCHS) for index in range(SAMPLES)]
    expected = [drawn(plain_twin, *place) for place in places]
    first = [drawn(keeping, *place) for place in places]
    monkeypatch.setattr(WordPieceTokenizer, "_encode", None)
    again = [drawn(keeping, *place) for place in places]
    for one, kept, from_memory in zip(expected, first, again, strict=True):
        assert one.keys() == kept.keys() == from_memory.keys()
        for name, tensor in one.items():
            assert torch.equal(tensor, kept[name]) and torch.equal(tensor, from_memory[name]), name
            assert tensor.dtype == from_memory[name].dtype
    if "masked_lm_labels" in expected[0]:
        masks = [[kept["masked_lm_labels"] for kept in again[start : start + SAMPLES]] for start in (0, SAMPLES)]
        same = sum(torch.equal(*pair) for pair in zip(*masks, strict=True))
        assert same <= SAMPLES / 3, "each epoch draws its masks anew, which for a short text may be those of before"
