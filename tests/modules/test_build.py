"""The builder: sizes and weights of a BERT, random ones, and what it refuses."""

import pytest
import torch
from tiny_model import SIZE
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertModel

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules import build
from mmf_visualbert.modules.build import bert_config, bert_weights, build_head, build_visual_bert
from mmf_visualbert.modules.heads import masked_lm, sentence_image  # noqa: F401


@pytest.fixture(autouse=True)
def forget():
    """Sizes are remembered by the name."""
    bert_config.cache_clear()


@pytest.fixture
def bert(tmp_path):
    model = BertForPreTraining(BertConfig(**SIZE))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1)
    model.save_pretrained(tmp_path / "bert")
    return str(tmp_path / "bert"), model


def test_size_and_weights_come_from_bert(bert):
    folder, theirs = bert
    model = build_visual_bert(bert=folder, region_dimension=24, fusion="late")
    state = model.state_dict()
    for name, value in theirs.bert.state_dict().items():
        assert torch.equal(state[name], value), name
    tables = model.embeddings
    assert torch.equal(tables.visual_position_embeddings.weight, theirs.bert.embeddings.position_embeddings.weight)
    assert model.additional_layer.output.dense.weight.std() < 0.03  # random: no BERT has such a layer
    assert len(model.encoder.layer) == 2 and model.hidden_size == 32


def test_heads_start_from_berts(bert):
    folder, theirs = bert
    model = build_visual_bert(bert=folder, region_dimension=24)
    weights = bert_weights(folder).heads
    masked = build_head("visualbert_masked_lm", model, weights)
    states = torch.randn(4, 32)
    torch.testing.assert_close(masked.logits(states), theirs.cls.predictions(states))
    matched = build_head("visualbert_sentence_image", model, weights)
    torch.testing.assert_close(matched.classifier(states), theirs.cls.seq_relationship(states))


def test_heads_after_the_trunk_do_not_read_again(bert, monkeypatch):
    folder, _ = bert
    weights = bert_weights(folder)
    monkeypatch.setattr(build, "bert_weights", lambda name: pytest.fail("read again"))
    model = build_visual_bert(bert=weights, region_dimension=24)
    build_head("visualbert_masked_lm", model, weights.heads)


@pytest.mark.parametrize("rival", [BertModel, BertForMaskedLM])
def test_bert_without_all_heads(tmp_path, rival):
    theirs = rival(BertConfig(**SIZE))
    theirs.save_pretrained(tmp_path / "bert")
    weights = bert_weights(str(tmp_path / "bert")).heads
    assert weights.sentence_image == {} and bool(weights.masked_lm) == (rival is BertForMaskedLM)
    model = build_visual_bert(bert=str(tmp_path / "bert"), region_dimension=24)
    build_head("visualbert_masked_lm", model, weights)
    build_head("visualbert_sentence_image", model, weights)
    words = theirs.get_input_embeddings().weight
    assert torch.equal(model.embeddings.word_embeddings.weight, words)


def test_random_weights_of_a_berts_size(bert):
    folder, theirs = bert
    model = build_visual_bert(bert=folder, random_init=True, region_dimension=24)
    ours = model.embeddings.word_embeddings.weight
    assert ours.shape == theirs.bert.embeddings.word_embeddings.weight.shape
    assert abs(ours[1:].std() - 0.02) < 2e-3 and not ours[0].any()
    assert all((part.weight == 1).all() for part in model.modules() if isinstance(part, torch.nn.LayerNorm))


def test_dropout_beside_a_bert(bert):
    model = build_visual_bert(
        bert=bert[0], region_dimension=24, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0
    )
    layer = model.encoder.layer[0]
    assert model.embeddings.dropout.p == layer.output.dropout.p == layer.attention.output.dropout.p == 0.3
    assert layer.attention.self.dropout.p == 0


def test_bert_base_is_the_default_size():
    model = build_visual_bert(random_init=True, region_dimension=4, num_hidden_layers=1, pooler=False)
    assert model.hidden_size == 768 and model.embeddings.word_embeddings.num_embeddings == 30522
    assert model.pooler is None and model.additional_layer is None


def test_what_cannot_be_had_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="the BERT 'no/such-bert' is no local folder, and the Hugging Face hub"):
        build_visual_bert(bert="no/such-bert", region_dimension=4)
    BertConfig(**SIZE).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds no BERT that can be read"):
        build_visual_bert(bert=str(tmp_path), region_dimension=4)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="holds no BERT that can be read"):
        build_visual_bert(bert=str(tmp_path), region_dimension=4)


def test_contradictions_are_refused(bert):
    with pytest.raises(InputError, match=r"hidden_size is 64, but the BERT .* has 32; leave hidden_size out"):
        build_visual_bert(bert=bert[0], region_dimension=4, hidden_size=64)
    with pytest.raises(InputError, match="knows no 'hidden'; it takes hidden_size"):
        build_visual_bert(random_init=True, region_dimension=4, hidden=3)
    with pytest.raises(InputError, match=r"name a BERT with bert: .* or set random_init: true"):
        build_visual_bert(region_dimension=4)


def test_a_checkpoint_that_is_no_bert(tmp_path):
    from transformers import DistilBertConfig, DistilBertModel

    DistilBertModel(DistilBertConfig(dim=32, n_heads=4, n_layers=1, hidden_dim=64, vocab_size=50)).save_pretrained(
        tmp_path
    )
    with pytest.raises(InputError):
        build_visual_bert(bert=str(tmp_path), region_dimension=4)


def test_a_folder_without_sizes_is_not_taken_for_bert_base(tmp_path):
    with pytest.raises(InputError, match=r"holds no BERT that can be read \(there is no config\.json\)"):
        bert_config(str(tmp_path))
