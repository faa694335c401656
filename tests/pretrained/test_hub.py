"""Names on the Hugging Face hub, from a cache laid out as its client does: the authors' models there, and ours."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hub_cache import HubCache
from task_checkpoint import checkpoint

from mmf_visualbert import VisualBERT
from mmf_visualbert.errors import InputError

# The released models, the class that their config.json names, the size of a region's features, and what they answer.
RELEASED = {
    "uclanlp/visualbert-vqa": ("VisualBertForQuestionAnswering", 2048, "visualbert_answer"),
    "uclanlp/visualbert-nlvr2": ("VisualBertForVisualReasoning", 1024, "visualbert_pooled"),
    "uclanlp/visualbert-vcr": ("VisualBertForMultipleChoice", 512, "visualbert_choice"),
    "uclanlp/visualbert-vqa-coco-pre": ("VisualBertForPreTraining", 2048, "visualbert_masked_lm"),
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    return HubCache(tmp_path / "hub", monkeypatch)


def released(folder: Path, named: str, dimension: int) -> torch.nn.Module:
    """A small model as the authors' lie on the hub: config.json and pytorch_model.bin, no vocabulary."""
    config = transformers.VisualBertConfig(
        **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
        **{"visual_embedding_dim": dimension, "num_labels": 2 if "Reasoning" in named else 3},
    )
    model = getattr(transformers, named)(config).eval()
    folder.mkdir()
    config.architectures = [named]
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model


@pytest.mark.parametrize("name", RELEASED)
def test_the_authors_models_are_known_by_their_names(hub, small_world, tmp_path, name):
    named, dimension, head = RELEASED[name]
    theirs = released(tmp_path / "released", named, dimension)
    hub.put_folder(name, tmp_path / "released")
    hub.put_bert_base_uncased(small_world)
    (tmp_path / "answers.txt").write_text("yes\nno\nred\n")
    answers = tmp_path / "answers.txt" if head == "visualbert_answer" else None
    model = VisualBERT.from_pretrained(name, answers=answers)
    assert head in model.heads and model.model.parts.visual_bert.embeddings.alignment == "mean"
    features = np.random.default_rng(0).random((3, dimension), np.float32)
    encoding = model.encode("a red circle", features)
    ids = torch.tensor([[model.model.text.tokenizer.cls_id, *model.model.text.tokenizer.pieces("a red circle")]])
    ids = torch.cat((ids, torch.tensor([[model.model.text.tokenizer.sep_id]])), 1)
    with torch.inference_mode():
        states = theirs.visual_bert(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            visual_embeds=torch.from_numpy(features)[None],
            visual_attention_mask=torch.ones(1, 3),
            visual_token_type_ids=torch.zeros(1, 3, dtype=torch.long),
        ).last_hidden_state
    torch.testing.assert_close(torch.cat((encoding.text, encoding.regions), 1), states, atol=1e-5, rtol=0)
    if head == "visualbert_answer":
        assert {reply.answer for reply in model.answer("what ?", features)} == {"yes", "no", "red"}
    if head == "visualbert_choice":
        assert len(model.choose("why ?", ["a circle", "a star"], features)) == 2


def test_a_name_of_ours_is_the_folder_that_was_saved(hub, small_world, tmp_path):
    model = VisualBERT.from_pretrained(checkpoint(small_world, "vqa2", "defaults", tmp_path)[0])
    hub.put_folder("somebody/visualbert-vqa2", model.save_pretrained(tmp_path / "shared"))
    again = VisualBERT.from_pretrained("somebody/visualbert-vqa2")
    image = np.ones((3, 128), np.float32)
    assert again.answer("what ?", image) == model.answer("what ?", image) and again.task is model.task
    with pytest.raises(InputError, match="'somebody/else' is neither here nor to be had from the Hugging Face hub"):
        VisualBERT.from_pretrained("somebody/else")
