"""What is exported gives the model's own logits, on ragged batches of other sizes than it was written down with."""

import numpy as np
import pytest
import torch
from task_checkpoint import checkpoint

from mmf_visualbert import VisualBERT
from mmf_visualbert.errors import InputError
from mmf_visualbert.pretrained.export import INPUTS, MORE, OUTPUTS, program, write_onnx

CASES = [
    ("vqa2", "defaults", "visualbert_answer"),
    ("nlvr2", "defaults", "visualbert_pooled"),
    ("flickr30k", "defaults", "visualbert_phrase_grounding"),
    ("vqa2", "pretrain_coco", "visualbert_masked_lm"),
]


def batch(model, head):
    """Three texts of 4 to 9 pieces and 1 to 6 regions, padded."""
    draw = torch.Generator().manual_seed(1)
    dimension = model.model.regions.output_dimension
    mask = torch.arange(9) < torch.tensor([[4], [9], [6]])
    regions = torch.arange(6) < torch.tensor([[6], [1], [3]])
    sample = {
        "input_ids": torch.randint(5, 40, (3, 9), generator=draw) * mask,
        "text_mask": mask,
        "text_segments": ((torch.arange(9) > 2) & mask).long(),
        "region_features": torch.rand(3, 6, dimension, generator=draw) * regions[..., None],
        "region_mask": regions,
        "region_segments": torch.zeros(3, 6, dtype=torch.int64),
        "answer_position": torch.tensor([2, 7, 4]),
        "phrase_positions": torch.tensor([[1, 2], [8, -1], [3, 3]]),
    }
    return {name: sample[name] for name in (*INPUTS, *MORE.get(head, {}))}


@torch.inference_mode()
def own(model, head, sample):
    """The model's own way, packed; of masked language modeling the logits at every word piece."""
    given = {**sample, "masked_lm_labels": torch.where(sample["text_mask"], sample["input_ids"], -1)}
    singles = [{name: value[number] for name, value in given.items()} for number in range(3)]
    return [getattr(output, OUTPUTS.get(head, "scores")) for output in model.model.run(head, singles)]


def compare(head, sample, exported, expected):
    for number, one in enumerate(expected):
        found = exported[number : number + 1]
        if head == "visualbert_masked_lm":
            found = found[0][sample["text_mask"][number]]
        torch.testing.assert_close(found, one, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("task", "phase", "head"), CASES[2:3])
def test_the_program_gives_the_models_logits(small_world, tmp_path, task, phase, head):
    model = VisualBERT.from_pretrained(checkpoint(small_world, task, phase, tmp_path)[0])
    sample = batch(model, head)
    with torch.inference_mode():
        exported = program(model.model, head).module()(*sample.values())
    compare(head, sample, exported, own(model, head, sample))


@pytest.mark.parametrize(("task", "phase", "head"), CASES[:1])
def test_onnx_gives_the_models_logits(small_world, tmp_path, task, phase, head):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = VisualBERT.from_pretrained(checkpoint(small_world, task, phase, tmp_path)[0])
    sample = batch(model, head)
    file = write_onnx(model.model, head, tmp_path / "head.onnx")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (exported,) = session.run(None, {name: value.numpy() for name, value in sample.items()})
    compare(head, sample, torch.from_numpy(np.asarray(exported)), own(model, head, sample))


def test_a_head_that_is_not_there(small_world, tmp_path):
    model = VisualBERT.from_pretrained(checkpoint(small_world, "vqa2", "defaults", tmp_path)[0])
    with pytest.raises(InputError, match="has no head visualbert_pooled; it has visualbert_answer"):
        program(model.model, "visualbert_pooled")
