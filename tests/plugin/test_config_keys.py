"""Finding the keys that nothing reads, on plain containers."""

from mmf_visualbert.plugin.config_keys import complaint, nearest, unknown_keys

KNOWN = {
    "training": {"batch_size": 4, "max_updates": 5, "early_stop": {"criteria": "x", "minimize": True}},
    "model_config": {"visualbert": {"attention": "sdpa", "heads": [], "size": {"hidden_size": 8}, "bert": None}},
    "checkpoint": {"pretrained_state_mapping": {}},
}


def test_known_keys_pass():
    given = {"training": {"early_stop": {"minimize": False}}, "model_config": {"visualbert": {"attention": "eager"}}}
    assert unknown_keys(given, KNOWN) == []


def test_unknown_keys_are_named_at_every_depth():
    given = {
        "batch_size": 3,
        "training": {"fp16": True, "early_stop": {"criterion": "y"}},
        "model_config": {"visualbert": {"size": {"hidden": 4}}},
    }
    assert unknown_keys(given, KNOWN) == [
        "batch_size",
        "training.fp16",
        "training.early_stop.criterion",
        "model_config.visualbert.size.hidden",
    ]


def test_free_keys_hold_what_they_like():
    given = {"model_config": {"visualbert": {"heads": {"any": {"thing": 1}}}}}
    known = {"model_config": {"visualbert": {"heads": {"one": 1}}}}
    assert unknown_keys(given, known) == []
    assert unknown_keys(given, known, free=()) == ["model_config.visualbert.heads.any"]


def test_an_empty_mapping_in_the_defaults_is_free():
    assert unknown_keys({"checkpoint": {"pretrained_state_mapping": {"a": "b"}}}, KNOWN) == []


def test_a_mapping_where_the_default_is_none_passes():
    assert unknown_keys({"model_config": {"visualbert": {"bert": {"name": "x"}}}}, KNOWN) == []


def test_nearest_prefers_a_similar_sibling_then_the_same_name_elsewhere():
    assert nearest("training.max_update", KNOWN) == "training.max_updates"
    assert nearest("batch_size", KNOWN) == "training.batch_size"
    assert nearest("batchsize", KNOWN) == "training.batch_size"
    assert nearest("training.xyz", KNOWN) is None


def test_complaint_is_one_sentence_with_every_key():
    sentence = complaint("a.yaml", ["training.fp16", "batch_size"], KNOWN, {"training.fp16": "do that"}, "MMF 1")
    assert sentence == (
        "a.yaml: neither MMF 1 nor mmf_visualbert reads the keys 'training.fp16' (do that), 'batch_size' "
        "(did you mean 'training.batch_size'?); correct or remove what is named here"
    )
