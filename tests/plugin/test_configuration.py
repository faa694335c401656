"""A run from its yaml alone, files of ours found from anywhere, and keys that nothing reads."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mmf_visualbert.compat.installed import is_release
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.configuration import our_path

PROJECT = Path(__file__).resolve().parents[1] / "toy_project"
WORDS = PROJECT / "run_words.yaml"
POINTS = PROJECT / "run.yaml"


@pytest.fixture
def yaml(tmp_path):
    """Writes a yaml that includes the toy run of our model."""

    def write(content, include=WORDS):
        path = tmp_path / "mine.yaml"
        path.write_text(OmegaConf.to_yaml(OmegaConf.create({"includes": [str(include)], **content})))
        return path

    return write


def test_model_and_dataset_come_from_the_yaml(configure):
    config = configure(f"config={WORDS}").get_config()
    assert config.model == "visualbert"
    assert config.datasets == "toy_words"
    assert config.model_config.visualbert.region_dimension == 8
    assert config.model_config.visualbert.fusion == "early", "the model's defaults are merged"
    assert config.dataset_config.toy_words.broken is False, "the dataset's defaults are merged"


def test_the_model_alone_is_configured_as_mmf_configures_any(configure):
    """Without a yaml it has no head yet, as in MMF's own test over all models; a run without any is refused."""
    config = configure("model=visualbert", "dataset=toy_words").get_config()
    assert config.model_config.visualbert.heads == []


def test_the_command_line_wins(configure):
    config = configure(f"config={WORDS}", "model=toy", "dataset=toy_points").get_config()
    assert config.model == "toy"
    assert config.datasets == "toy_points"
    assert config.dataset_config.toy_points.width == 4


def test_lists_and_the_singular_are_understood(configure, yaml):
    assert configure(f"config={yaml({'datasets': ['toy_words', 'toy_points']})}").get_config().datasets == (
        "toy_words,toy_points"
    )
    assert configure(f"config={yaml({'dataset': 'toy_points', 'model': 'toy'}, POINTS)}").get_config().datasets == (
        "toy_points"
    )


def test_without_a_model_mmf_complains_as_ever(configure):
    with pytest.raises(KeyError, match="model"):
        configure(f"config={POINTS}", "dataset=toy_points")


def test_our_configs_are_found_from_any_folder(configure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configure("config=projects/visualbert/configs/vqa2/defaults.yaml").get_config()
    assert config.datasets == "visualbert_vqa2"


def test_the_working_folder_comes_first_and_includes_are_found(configure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "projects" / "visualbert" / "configs" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("includes:\n- projects/visualbert/configs/vqa2/defaults.yaml\ntraining:\n  batch_size: 7\n")
    config = configure("config=projects/visualbert/configs/mine.yaml").get_config()
    assert config.training.batch_size == 7
    assert config.datasets == "visualbert_vqa2"
    assert our_path("projects/visualbert/configs/mine.yaml") == str(mine)
    assert our_path("projects/visualbert/configs/nowhere.yaml") is None


def test_a_yaml_that_includes_itself_is_refused(configure, tmp_path):
    (tmp_path / "one.yaml").write_text("includes: [./two.yaml]\n")
    (tmp_path / "two.yaml").write_text("includes: [./one.yaml]\n")
    with pytest.raises(InputError, match=r"one.yaml includes itself \(one.yaml -> two.yaml -> one.yaml\)"):
        configure(f"config={tmp_path / 'one.yaml'}")
    (tmp_path / "one.yaml").write_text("includes:\n")
    with pytest.raises(InputError, match=r"one\.yaml has includes: None; write a list"):
        configure(f"config={tmp_path / 'one.yaml'}")


def test_unknown_keys_of_a_yaml_are_refused_all_at_once(configure, yaml):
    path = yaml(
        {
            "training": {"max_update": 3},
            "model_config": {"visualbert": {"atention": "eager"}, "visual_bert": {"a": 1}},
            "dataset_config": {"nothing": {}},
            "batch_size": 2,
        }
    )
    with pytest.raises(InputError) as error:
        configure(f"config={path}")
    sentence = str(error.value)
    assert sentence.startswith(str(path))
    for key, meant in (
        ("training.max_update", "training.max_updates"),
        ("model_config.visualbert.atention", "model_config.visualbert.attention"),
        ("model_config.visual_bert", "model_config.visualbert"),
        ("batch_size", "training.batch_size"),
    ):
        assert f"'{key}' (did you mean '{meant}'?)" in sentence
    assert "'dataset_config.nothing'" in sentence


def test_what_only_the_other_mmf_reads_is_refused(configure, yaml):
    path = yaml({"training": {"fp16": True, "update_frequency": 2}})
    if is_release():
        with pytest.raises(InputError, match=r"fp16.*precision.*update_frequency"):
            configure(f"config={path}")
    else:
        path = yaml({"training": {"update_frequency": 2}})
        assert configure(f"config={path}").get_config().training.update_frequency == 2


def test_keys_that_mmf_reads_without_a_default_pass(configure, yaml):
    path = yaml({"training": {"max_grad_l2_norm": 1.0}, "optimizer": {"type": "adam_w", "params": {"lr": 1.0}}})
    assert configure(f"config={path}").get_config().training.max_grad_l2_norm == 1.0


def test_other_datasets_hold_any_key(configure, yaml):
    path = yaml({"dataset_config": {"toy_words": {"new": 1}, "vqa2": {"anything": 1}}})
    assert configure(f"config={path}").get_config().dataset_config.toy_words.new == 1


def test_unknown_keys_of_our_datasets_are_refused(configure, yaml):
    path = yaml({"datasets": "visualbert_vqa2", "dataset_config": {"visualbert_vqa2": {"anotations": {}}}})
    with pytest.raises(InputError, match=r"anotations' \(did you mean 'dataset_config.visualbert_vqa2.annotations'"):
        configure(f"config={path}")


def test_a_dataset_that_does_not_exist_is_refused(configure):
    with pytest.raises(InputError, match=r"no dataset named 'visualbert_vqa'.*visualbert_vqa2"):
        configure(f"config={WORDS}", "datasets=visualbert_vqa")


def test_unknown_keys_of_the_command_line_are_refused(configure):
    with pytest.raises(InputError, match=r"the command line.*'training.max_update'"):
        configure(f"config={WORDS}", "training.max_update=3")


def test_other_models_are_left_alone(configure, yaml):
    path = yaml({"training": {"nonsense": 3}, "nonsense": 1}, POINTS)
    assert configure(f"config={path}", "model=toy", "dataset=toy_points").get_config().training.nonsense == 3


def test_the_console_shows_progress_in_the_release(configure, yaml):
    config = configure(f"config={WORDS}").get_config()
    assert config.training.get("stdout_capture", False) is False


def test_a_yaml_that_is_missing_or_broken_is_told_in_one_sentence(configure, tmp_path):
    with pytest.raises(InputError, match=r"nowhere.yaml does not exist"):
        configure("config=nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("training: {batch_size: 3\nmodel: [")
    with pytest.raises(InputError, match=r"broken.yaml.* no valid yaml") as error:
        configure(f"config={broken}")
    assert "\n" not in str(error.value)


def test_mmf_s_switch_for_half_precision_is_refused(configure):
    """On a GPU main would scale the losses of a model that computes in fp32; the release knows no such key."""
    with pytest.raises(InputError, match=r"training.fp16.*model_config\.visualbert\.precision"):
        configure(f"config={WORDS}", "training.fp16=true").get_config()


def test_values_that_no_model_can_have_are_refused_before_data_are_read(configure, yaml):
    with pytest.raises(InputError, match=r"model_config\.visualbert\.dropout is 2\.0; set it to a share"):
        configure(f"config={WORDS}", "model_config.visualbert.dropout=2").get_config()
    path = yaml({"includes": [str(WORDS)], "model_config": {"visualbert": {"gradient_checkpointing": "no, thanks"}}})
    with pytest.raises(InputError, match="gradient_checkpointing is 'no, thanks'; set it to true or false"):
        configure(f"config={path}").get_config()
