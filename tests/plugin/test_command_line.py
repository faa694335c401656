"""MMF's configuration with its command line, in both versions of MMF: every word is applied, or refused by name."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError

PROJECT = Path(__file__).resolve().parents[1] / "toy_project"
WORDS = f"config={PROJECT / 'run_words.yaml'}"
VQA = "config=projects/visualbert/configs/vqa2/sample.yaml"
TRAIN = "dataset_config.visualbert_vqa2.annotations.train"
LOSS = "visualbert_answer_cross_entropy"
TEXT = "dataset_config.visualbert_vqa2.processors.text_processor.params"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("checkpoint.save_git_details=false", False),
        ("model_config.visualbert.hide_regions=false", False),
        ("model_config.visualbert.hide_regions=true", True),
        ("model_config.visualbert.dropout=null", None),
        ("model_config.visualbert.bert=null", None),
        ("training.max_epochs=null", None),
        ("training.max_epochs=7", 7),
        ("training.max_grad_l2_norm=2", 2.0),
        ("training.experiment_name=2024", "2024"),
        ("env.save_dir=a/lr=0.1/b=c", "a/lr=0.1/b=c"),
        ("env.report_dir=${env.save_dir}", "save/x"),
        (f"{TRAIN}[0]=mine.json", "mine.json"),
        (f"{TRAIN}[1]=/d/seed=1.json", "/d/seed=1.json"),
        (f"{TRAIN}=mine.json", ["mine.json"]),
        (f"{TRAIN}=[1.json,a=b.json]", ["1.json", "a=b.json"]),
        ("model_config.visualbert.losses[0].params.targets=soft", "soft"),
        ("model_config.visualbert.heads[0].params.dropout=0.3", 0.3),
        (f"{TEXT}.lowercase=false", False),
        (f"{TEXT}.max_seq_length=32", 32),
        ("optimizer.params.correct_bias=false", False),
        ("optimizer.params.eps=1e-8", 1e-8),
        ("scheduler.params.warmup_ratio=0", 0.0),
    ],
)
@pytest.mark.parametrize("form", ["equal", "pair"])
def test_a_word_is_applied_as_it_is_meant(configure, word, value, form):
    key, _, text = word.partition("=")
    common = (VQA, "env.save_dir=save/x", word) if form == "equal" else (VQA, "env.save_dir", "save/x", key, text)
    config = configure(*common).get_config()
    found = OmegaConf.select(config, key)
    found = OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
    assert found == value
    assert type(found) is type(value)


def test_all_of_mmf_s_forms_at_once(configure):
    config = configure("config", VQA.partition("=")[2], "dataset", "visualbert_vqa2", "evaluation.predict=true")
    config = config.get_config()
    assert config.datasets == "visualbert_vqa2"
    assert config.evaluation.predict is True


def test_datasets_as_a_list(configure):
    assert configure(WORDS, "datasets=[toy_words, toy_points]").get_config().datasets == "toy_words,toy_points"


def test_updates_on_the_command_line_are_the_length_of_the_run(configure):
    training = configure(VQA, "training.max_updates=3").get_config().training
    assert (training.max_updates, training.max_epochs) == (3, None)
    training = configure(VQA, "training.max_updates=3", "training.max_epochs=2").get_config().training
    assert (training.max_updates, training.max_epochs) == (3, 2)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("trainin.batch_size=3", r"the command line.*'trainin.batch_size' \(did you mean 'training.batch_size'\?\)"),
        (f"{TEXT}.lowercas=false", r"the command line.*'.*lowercas'"),
        ("model_config.visualbert.losses[0].params.target=soft", "the command line.*target'"),
        ("optimizer.params.beta=0.9", "the command line.*beta'"),
        (f"{TRAIN}[2]=mine.json", "has 2 entries, from .0. on"),
        ("training.batch_size=many", "a whole number is wanted"),
        ("checkpoint.resume=perhaps", "true or false is wanted"),
        ("checkpoint.resume=", "has no value"),
        ("resume", "'resume' is not of the form key=value, as it has no value"),
        ("model_config.visualbert.losses=[{type: visualbert_answer_cross_entropy, params: {target: soft}}]", "target"),
        ("model_config.visualbert.losses=[{type: visualbert_answer_loss}]", "losses.0.: there is no loss named"),
        (
            "evaluation.metrics=[visualbert_vqa_acuracy]",
            "metrics.0.: there is no metric named.*visualbert_vqa_accuracy",
        ),
        (
            "evaluation.metrics=[{type: visualbert_vqa_accuracy, params: {kind: number}}]",
            "metrics.0.: the metric visualbert_vqa_accuracy knows no 'kind'; it takes nothing",
        ),
    ],
)
def test_what_cannot_be_applied_is_refused_by_name(configure, word, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        configure(VQA, word)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (
            {"dataset_config": {"visualbert_vqa2": {"processors": {"text_processor": {"params": {"lowercas": 0}}}}}},
            r"text_processor: the processor visualbert_text knows no 'lowercas'; it takes tokenizer, max_seq_length, l",
        ),
        (
            {"model_config": {"visualbert": {"losses": [{"type": LOSS, "params": {"x": 1}}]}}},
            r"losses\[0\]: the loss visualbert_answer_cross_entropy knows no 'x'; it takes targets",
        ),
        (
            {"model_config": {"visualbert": {"heads": [{"type": "visualbert_answer", "params": {"drop": 1}}]}}},
            r"heads\[0\]: the head visualbert_answer knows no 'drop'; it takes .*dropout",
        ),
        (
            {
                "dataset_config": {
                    "visualbert_vqa2": {"processors": {"text_processor": {"params": {"keep_words": "x"}}}}
                }
            },
            r"text_processor: the processor visualbert_text has keep_words: 'x'; set it to a whole number",
        ),
        ({"optimizer": {"params": {"beta": 1}}}, r"optimizer: .*knows no 'beta'; it takes lr, betas, eps"),
        ({"scheduler": {"params": {"warmup": 1}}}, r"scheduler: .*knows no 'warmup'; it takes num_training_steps"),
        (
            {"model_config": {"visualbert": {"region_encoder": {"type": "visualbert_vcr_rois"}}}},
            "region_encoder: there is no region_encoder named",
        ),
    ],
)
def test_misspelt_keys_of_parts_are_refused_in_a_yaml_too(configure, tmp_path, section, sentence):
    path = tmp_path / "mine.yaml"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create({"includes": [VQA.partition("=")[2]], **section})))
    with pytest.raises(InputError, match=sentence):
        configure(f"config={path}")


def test_other_models_keep_mmf_s_own_command_line(configure):
    config = configure(f"config={PROJECT / 'run.yaml'}", "model=toy", "dataset=toy_points", "training.fast_read=true")
    assert config.get_config().training.fast_read == "true"
