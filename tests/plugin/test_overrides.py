"""The words of a command line, read as yaml and typed by the key's default, on plain containers."""

import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.overrides import apply, last_text, read_words

DEFAULTS = {
    "training": {"batch_size": 64, "lr_ratio": 0.1, "seed": -1, "lr_steps": [], "fast": False, "max_epochs": None},
    "checkpoint": {"resume": False, "resume_file": None, "pretrained_state_mapping": {"a": "b"}},
    "env": {"save_dir": "./save", "log_dir": ""},
    "evaluation": {"metrics": []},
    "optimizer": {},
    "scheduler": {},
    "model_config": {
        "visualbert": {"bert": "bert-base-uncased", "tokenizer": "${.bert}", "dropout": None, "heads": []}
    },
    "dataset_config": {
        "visualbert_vqa2": {
            "annotations": {"train": ["a.json", "b.json"], "val": "c.json", "test": None},
            "max_regions": 100,
            "processors": {
                "text_processor": {"type": "visualbert_text", "params": {"tokenizer": "${env.save_dir}"}},
                "region_processor": {"type": "visualbert_regions", "params": {"max_regions": "${..max_regions}"}},
                "other": {"type": "simple_word", "params": {}},
                "bare": {"type": "visualbert_text"},
            },
        },
        "linked": {"annotations": "${dataset_config.visualbert_vqa2.annotations}"},
    },
}
CONFIG = {
    **DEFAULTS,
    "optimizer": {"type": "visualbert_adam", "params": {"lr": 1}},
    "model_config": {
        "visualbert": {
            **DEFAULTS["model_config"]["visualbert"],
            "bert": None,
            "heads": [{"type": "visualbert_answer"}, {"type": "visualbert_pooled", "params": {"num_labels": 2}}],
            "losses": [{"type": "visualbert_answer_cross_entropy"}],
        }
    },
}
VQA = "dataset_config.visualbert_vqa2"
ALSO = ("learning_rate", "training.max_grad_l2_norm", "scheduler.params", "scheduler.type")


def applied(*words):
    done = apply(CONFIG, read_words(words), DEFAULTS, ALSO)
    assert not done.unknown
    return done.config


def at(config, key):
    for step in key.replace("[", ".[").split("."):
        config = config[int(step[1:-1])] if step.startswith("[") else config[step]
    return config


@pytest.mark.parametrize(
    ("word", "value"),
    [
        # yaml's words for true, false and nothing, and MMF's own
        ("checkpoint.resume=true", True),
        ("checkpoint.resume=True", True),
        ("checkpoint.resume=1", True),
        ("checkpoint.resume=false", False),
        ("training.fast=off", False),
        ("training.max_epochs=null", None),
        ("training.max_epochs=None", None),
        ("training.max_epochs=3", 3),
        ("model_config.visualbert.dropout=~", None),
        ("model_config.visualbert.dropout=0.1", 0.1),
        ("model_config.visualbert.bert=null", None),
        # numbers
        ("training.batch_size=1e2", 100),
        ("training.seed=-1", -1),
        ("training.lr_ratio=5e-5", 5e-5),
        ("training.lr_ratio=1", 1.0),
        ("optimizer.params.lr=3e-4", 3e-4),
        ("optimizer.params.lr=2", 2.0),
        ("training.max_grad_l2_norm=1", 1.0),
        ("learning_rate=2e-5", 2e-5),
        # texts, whatever they look like
        ("env.save_dir=2024", "2024"),
        ("env.save_dir=1e5", "1e5"),
        ("env.save_dir=true", "true"),
        ("env.save_dir=/a=b/c=d", "/a=b/c=d"),
        ("env.save_dir=a: b", "a: b"),
        ("env.save_dir=a #1", "a #1"),
        ("env.save_dir=@a", "@a"),
        ("env.save_dir=[a]", "[a]"),
        ("env.save_dir='null'", "null"),
        ('env.save_dir="2024"', "2024"),
        ("checkpoint.resume_file=2024", "2024"),
        ("checkpoint.resume_file=runs/lr=0.1/best.ckpt", "runs/lr=0.1/best.ckpt"),
        ("model_config.visualbert.bert=2024", "2024"),
        ("model_config.visualbert.tokenizer=2024", "2024"),
        # references
        ("env.log_dir=${env.save_dir}", "${env.save_dir}"),
        ("training.batch_size=${training.seed}", "${training.seed}"),
        # lists, their places, and one value for a list of one
        (f"{VQA}.annotations.train[0]=mine.json", "mine.json"),
        (f"{VQA}.annotations.train[-1]=2024", "2024"),
        (f"{VQA}.annotations.train=[1, true, x=y.json]", ["1", "true", "x=y.json"]),
        (f"{VQA}.annotations.train=mine.json", ["mine.json"]),
        (f"{VQA}.annotations.val=[a.json,b.json]", ["a.json", "b.json"]),
        (f"{VQA}.annotations.val=mine.json", "mine.json"),
        (f"{VQA}.annotations.test=mine.json", "mine.json"),
        ("training.lr_steps=(10, 20)", [10, 20]),
        ("training.lr_steps=10", [10]),
        ("evaluation.metrics=accuracy", ["accuracy"]),
        ("evaluation.metrics=[{type: accuracy}]", [{"type": "accuracy"}]),
        # keywords of parts that the yaml does not list, typed by their annotations
        (f"{VQA}.processors.text_processor.params.lowercase=false", False),
        (f"{VQA}.processors.text_processor.params.tokenizer=2024", "2024"),
        (f"{VQA}.processors.bare.params.max_seq_length=32", 32),
        (f"{VQA}.processors.region_processor.params.max_regions=36", 36),
        (f"{VQA}.processors.other.params.anything=[1]", [1]),
        ("model_config.visualbert.heads[0].params.dropout=0", 0.0),
        ("model_config.visualbert.heads[1].params.num_labels=3", 3),
        ("model_config.visualbert.losses[0].params.targets=soft", "soft"),
        ("optimizer.params.correct_bias=false", False),
        ("scheduler.params.warmup_ratio=0.2", 0.2),
        # sections
        ("checkpoint.pretrained_state_mapping.visual_bert=visual_bert", "visual_bert"),
        ("checkpoint.pretrained_state_mapping={a.b: c.d}", {"a.b": "c.d"}),
        ("checkpoint.pretrained_state_mapping={}", {}),
        ("optimizer.params={eps: 1e-8}", {"lr": 1, "eps": 1e-8}),
        ("model_config.visualbert.heads[0]={type: visualbert_pooled}", {"type": "visualbert_pooled"}),
        (f"{VQA}.processors.text_processor=null", None),
    ],
)
def test_a_word_is_one_value(word, value):
    found = at(applied(word), word.partition("=")[0])
    assert found == value
    assert type(found) is type(value)


def test_a_section_is_merged_key_by_key_and_typed():
    training = applied("training={batch_size: 8.0, fast: 1, max_epochs: null}")["training"]
    assert training == {**CONFIG["training"], "batch_size": 8, "fast": True}
    assert type(training["batch_size"]) is int and training["fast"] is True


def test_the_last_word_counts_and_nothing_else_changes():
    config = applied("training.batch_size=8", "training.seed=3", "training.batch_size=16")
    assert config == {**CONFIG, "training": {**CONFIG["training"], "batch_size": 16, "seed": 3}}


def test_pairs_of_words_and_what_mmf_predict_adds():
    overrides = read_words(["config", "a=b.yaml", "training.batch_size", "8", "checkpoint.resume=true"])
    assert [(each.key, each.text) for each in overrides] == [
        ("config", "a=b.yaml"),
        ("training.batch_size", "8"),
        ("checkpoint.resume", "true"),
    ]
    assert last_text(overrides, "config") == "a=b.yaml"
    assert last_text(overrides, "model") is None


@pytest.mark.parametrize("text", ["a,b", "[a, b]", "[a,b]"])
@pytest.mark.parametrize("key", ["dataset", "datasets"])
def test_datasets_in_every_form(key, text):
    assert last_text(read_words([f"{key}={text}"]), "datasets").replace(" ", "") == "a,b"


def test_what_is_only_referred_to_is_copied_before_it_changes():
    config = applied("dataset_config.linked.annotations.train[1]=mine.json")
    assert config["dataset_config"]["linked"]["annotations"]["train"] == ["a.json", "mine.json"]
    assert config["dataset_config"]["visualbert_vqa2"] == CONFIG["dataset_config"]["visualbert_vqa2"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("training.batch_size=many", "training.batch_size=many: a whole number is wanted there"),
        ("training.batch_size=1.5", "a whole number"),
        ("training.batch_size=true", "a whole number"),
        ("training.batch_size=null", "needs a value"),
        ("env.save_dir=null", "needs a value"),
        ("checkpoint.resume=maybe", "true or false is wanted"),
        ("checkpoint.resume=2", "true or false is wanted"),
        ("training.lr_ratio=low", "a number is wanted"),
        ("training.max_epochs=soon", "a whole number"),
        ("training=3", "training is a section"),
        ("training={}", "training is a section"),
        ("training={batchsize: 3}", "there is no key training.batchsize"),
        ("training.seed[0]=3", "training.seed is no list"),
        (f"{VQA}.annotations.train[2]=x", "has 2 entries"),
        (f"{VQA}.annotations.train[-3]=x", "has 2 entries"),
        (f"{VQA}.annotations.val[0]=x", "is no list here"),
        (f"{VQA}.annotations.train=[a", "no valid yaml"),
        ("env.log_dir=${env", "no valid yaml"),
        (f"{VQA}.processors.text_processor.params.lowercase=maybe", "true or false"),
        ("training.batch_size=", "has no value"),
        ("training.batch_size", "has no value"),
        ("--config=a.yaml", "does not begin with a key"),
        ("=3", "does not begin with a key"),
        ("training..seed=3", "does not begin with a key"),
        ("training.lr_steps[x]=3", "does not begin with a key"),
    ],
)
def test_what_cannot_be_applied_is_refused(word, sentence):
    with pytest.raises(InputError) as refused:
        applied(word)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "key",
    [
        "trainin.seed",
        "training.sed",
        "training.seed.more",
        "model_config.visualbert.dropout.more",
        f"{VQA}.processors.text_processor.params.lowercas",
        f"{VQA}.processors.text_processor.lowercase",
        "model_config.visualbert.heads[0].params.drop",
        "optimizer.params.beta",
        "optimizer.lr",
        "dataset_config.visualbert_vqa2.annotations.training[0]",
        "dataset_config.visualbert_nlvr2.max_regions",
    ],
)
def test_what_nobody_reads_is_named(key):
    done = apply(CONFIG, read_words([f"{key}=3"]), DEFAULTS, ALSO)
    assert done.unknown == [key]
    assert done.config == CONFIG


def test_the_given_configuration_is_left_as_it_is():
    before = repr(CONFIG)
    applied(f"{VQA}.annotations.train[0]=x", "optimizer.params={eps: 1}", "scheduler.params.warmup_ratio=0.5")
    assert repr(CONFIG) == before
