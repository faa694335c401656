"""MMF's own models learn beside ours: a step each, on MMF's memes and captions and on our datasets."""

import importlib
import shutil
from pathlib import Path

import pytest
import torch
from mmf_runs import CONFIGS, first_batch, load_trainer, write_config

from mmf_visualbert.compat.installed import is_release

SIZES = {
    "vocab_size": 30522,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 128,
}
QKV = ("query", "key", "value")
DIMENSION, MOST_REGIONS, LABELS = 128, 10, 2
HEAD = {"training_head_type": "classification", "num_labels": LABELS, "losses": [{"type": "cross_entropy"}]}


@pytest.fixture(scope="module")
def bert(mmf_world: Path) -> str:
    """A folder with a small BERT and a tokenizer, as MMF's models name one."""
    from transformers import BertConfig, BertForPreTraining

    folder = shutil.copytree(mmf_world / "bert", mmf_world / "small_bert", dirs_exist_ok=True)
    BertForPreTraining(BertConfig(**SIZES)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def transformers_as_it_was():
    """MMF's models put methods of their own in place of transformers'."""
    yield
    if not is_release():
        importlib.import_module("mmf.modules.hf_layers").undo_replace_with_jit()


def visual_bert(bert: str | None) -> dict:
    return {"bert_model_name": bert, **SIZES, "visual_embedding_dim": DIMENSION, **HEAD}


def vilbert(bert: str) -> dict:
    sizes = {key: 16 for key in ("v_hidden_size", "v_intermediate_size", "bi_hidden_size")}
    sizes |= {"v_num_hidden_layers": 2, "v_num_attention_heads": 2, "bi_num_attention_heads": 2}
    ways = {"v_biattention_id": [0], "t_biattention_id": [1], "v_feature_size": DIMENSION}
    return {**visual_bert(bert), **sizes, **ways}


def mmbt(bert: str) -> dict:
    text = {"type": "transformer", "params": {"num_segments": 2, "bert_model_name": bert, "hidden_size": 16}}
    text["params"] |= {"num_hidden_layers": 2, "num_attention_heads": 2}
    image = {"type": "default" if is_release() else "identity", "params": {"in_dim": DIMENSION}}
    sizes = {"modal_hidden_size": DIMENSION, "text_hidden_size": 16, "direct_features_input": True}
    return {"bert_model_name": bert, **sizes, "modal_encoder": image, "text_encoder": text, **HEAD}


def mmf_transformer(bert: str) -> dict:
    common = {"layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1}
    text = {"type": "text", "key": "text", "position_dim": 128, "segment_id": 0, "embedding_dim": 16}
    encoder = {"type": "identity", "params": {"in_dim": DIMENSION}}
    image = {"type": "image", "key": "image", "position_dim": 100, "segment_id": 1, "embedding_dim": DIMENSION}
    return {
        "transformer_base": bert,
        "backend": {"type": "huggingface", "freeze": False, "params": SIZES},
        "heads": [{"type": "mlp", "hidden_size": 16, "num_labels": LABELS}],
        "modalities": [{**text, **common}, {**image, **common, "encoder": encoder}],
        "num_labels": LABELS,
        "losses": [{"type": "cross_entropy"}],
    }


MODELS = {"visual_bert": visual_bert, "vilbert": vilbert, "mmbt": mmbt}
if not is_release():
    MODELS["mmf_transformer"] = mmf_transformer


def learns(config: str, model: str, settings: dict, world: Path, folder: Path, datasets: dict | None = None) -> dict:
    """One step of one of our configs with another model; what the model gave."""
    models = {model: settings, "visualbert": {"tokenizer": str(world / "bert"), "region_dimension": DIMENSION}}
    run = write_config(
        folder,
        CONFIGS / f"{config}.yaml",
        model=model,
        model_config=models,
        dataset_config=datasets or {},
        env={"data_dir": str(world), "save_dir": str(folder / "save")},
    )
    trainer = load_trainer(run, "training.batch_size=4", "training.num_workers=0", "training.lr_scheduler=false")
    trainer.model.train()
    output = trainer.model(first_batch(trainer))
    loss = sum(loss.mean() for loss in output["losses"].values())
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    loss.backward()
    trainer.optimizer.step()
    after = trainer.model.parameters()
    assert torch.isfinite(loss) and any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    return output


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_mmf_learns_from_memes(model, bert, mmf_world, tmp_path):
    """By the yaml of ours."""
    memes = {"max_features": MOST_REGIONS}
    if model == "vilbert" and not is_release():
        keys = {"bbox_key": "bbox", "image_width_key": "image_width", "image_height_key": "image_height"}
        memes["processors"] = {"transformer_bbox_processor": {"type": "transformer_bbox", "params": keys}}
    settings = MODELS[model](bert)
    output = learns("mmf_datasets/hateful_memes", model, settings, mmf_world, tmp_path, {"hateful_memes": memes})
    assert output["scores"].shape == (4, LABELS)


def test_visual_bert_is_pre_trained_on_captions(bert, mmf_world, tmp_path):
    """With tied weights, and on a machine without a GPU."""
    settings = {**visual_bert(bert), "training_head_type": "pretraining", "losses": []}
    assert "logits" in learns("mmf_datasets/masked_coco", "visual_bert", settings, mmf_world, tmp_path)


def test_visual_bert_learns_from_a_dataset_of_ours(mmf_world, tmp_path):
    settings = {**visual_bert(None), "hidden_dropout_prob": 0.1}
    assert learns("nlvr2/defaults", "visual_bert", settings, mmf_world, tmp_path)["scores"].shape == (4, LABELS)


@pytest.mark.skipif(is_release(), reason="only GitHub's MMF has one")
def test_a_vision_transformer_of_mmf_computes_what_transformers_does():
    """With the same weights under the names of transformers 4, which MMF's has, and a mask that hides nothing."""
    import transformers.models.vit.modeling_vit as modeling_vit
    from mmf.modules.vit import ViTModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = modeling_vit.ViTConfig(**sizes, image_size=8, patch_size=4, hidden_dropout_prob=0.0)
    theirs, model = modeling_vit.ViTModel(config).eval(), ViTModel(config).eval()
    names = {"layers.": "encoder.layer.", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
    names |= {f"attention.{one}_proj": f"attention.attention.{full}" for one, full in zip("qkv", QKV, strict=True)}
    names |= {"attention.o_proj": "attention.output.dense"}
    weights = theirs.state_dict()
    for old, new in names.items():
        weights = {name.replace(old, new): weight for name, weight in weights.items()}
    model.load_state_dict(weights)
    image = torch.rand(3, 3, 8, 8)
    expected, found = theirs(image), model(image, output_hidden_states=True)
    assert torch.allclose(found.last_hidden_state, expected.last_hidden_state, atol=1e-5)
    assert torch.allclose(found.pooler_output, expected.pooler_output, atol=1e-5)
    assert len(found.hidden_states) == 3
