"""Each repair that gives MMF a missing name or an old behaviour, against the MMF that is installed."""

import collections
import importlib
import sys

import mmf  # noqa: F401
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError

from mmf_visualbert.compat import repairs
from mmf_visualbert.compat.installed import is_release, mmf_version, numbers
from mmf_visualbert.errors import InputError

release_only = pytest.mark.skipif(not is_release(), reason="only MMF's release needs it")
main_only = pytest.mark.skipif(is_release(), reason="only GitHub's MMF needs it")


def test_mmf_and_our_parts_are_there_without_importing_us_first():
    from mmf.common.registry import registry

    assert registry.get_model_class("visualbert").__module__ == "mmf_visualbert.plugin.model"
    assert registry.get_builder_class("visualbert_vqa2") is not None


def test_versions_are_compared_by_number():
    assert numbers("1.0.0rc9") < numbers("1.0.0rc10") < numbers("1.0.0rc12")
    assert mmf_version() == importlib.import_module("mmf.version").__version__


def test_every_repair_exists_and_says_which_version_and_when_it_can_go():
    for repair in repairs.REPAIRS:
        text = repair.load().__doc__
        assert "MMF" in text or "torchvision" in text, repair.function
        assert any(word in text for word in ("Can go", "Stays", "As above")), repair.function


def test_reasons_are_noted_for_what_was_needed():
    assert "configuration.run_from_yaml_alone" in repairs.reasons
    assert ("omegaconf_behaviour.restore_pretty" in repairs.reasons) == is_release()


def test_word_vectors_fail_when_used_and_not_before():
    vocab = importlib.import_module("mmf.utils.vocab").vocab
    if "standins.provide_torchtext" not in repairs.reasons:
        pytest.skip("torchtext itself is installed")
    with pytest.raises(InputError, match=r"glove\.6B\.300d.*torchtext"):
        assert "glove.6B.300d" in vocab.pretrained_aliases


def test_config_override_takes_json():
    demjson = importlib.import_module("demjson")
    assert demjson.decode('{"training": {"batch_size": 3}}') == {"training": {"batch_size": 3}}
    if "standins.provide_demjson" in repairs.reasons:
        with pytest.raises(InputError, match="no JSON at character 1"):
            demjson.decode("{training: 3}")


def test_moved_modules_of_transformers_are_the_new_ones():
    moved = importlib.import_module("transformers.modeling_bert")
    assert moved is importlib.import_module("transformers.models.bert.modeling_bert")
    assert importlib.import_module("transformers.tokenization_auto").AutoTokenizer is not None
    assert moved.__spec__.name == "transformers.models.bert.modeling_bert", "the module itself is left as it is"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("transformers.modeling_of_nothing")


@release_only
def test_names_that_transformers_removed():
    assert importlib.import_module("transformers.modeling_bert").BertLayerNorm is torch.nn.LayerNorm
    from mmf.common.registry import registry

    weights = torch.nn.Parameter(torch.ones(2))
    group = registry.get_optimizer_class("adam_w")([weights], lr=0.1).param_groups[0]
    assert (group["eps"], group["weight_decay"]) == (1e-6, 0.0), "the defaults that transformers 4 had"
    if "transformers_names.restore_adamw" in repairs.reasons:
        with pytest.raises(ValueError, match="visualbert_adam"):
            registry.get_optimizer_class("adam_w")([weights], correct_bias=False)


@release_only
def test_names_that_python_removed():
    assert collections.Mapping is collections.abc.Mapping


@main_only
def test_main_imports_no_model_that_nobody_asks_for():
    assert "transformers.models.whisper.modeling_whisper" not in sys.modules


@main_only
def test_names_that_torchvision_and_lightning_removed():
    from torchvision.io import read_video

    if "torchvision_names.restore_read_video" in repairs.reasons:
        with pytest.raises(InputError, match=r"film\.mp4"):
            read_video("film.mp4", 0, 1)
    base = importlib.import_module("pytorch_lightning.callbacks.base")
    assert base.Callback is importlib.import_module("pytorch_lightning").Callback


def test_torchvision_can_be_imported_whether_or_not_its_operators_load():
    from torchvision import extension, ops

    assert ops.box_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 1]])).item() == 0.5
    assert torch.ops.torchvision.nms.default._schema.name == "torchvision::nms"
    assert ("torchvision_operators.define_missing_schemas" in repairs.reasons) == (not extension._has_ops())


@release_only
def test_environment_variables_in_configs(monkeypatch):
    monkeypatch.setenv("VISUALBERT_TEST", "here")
    for _ in range(2):
        config = OmegaConf.create({"a": "${env:VISUALBERT_TEST}", "b": "${env:NOT_SET_AT_ALL,there}"})
        assert (config.a, config.b) == ("here", "there")
        OmegaConf.clear_resolvers()
    importlib.import_module("mmf.utils.configuration").Configuration()  # registers MMF's own resolvers again


def read_missing(module: str, config: DictConfig):
    """Read a missing key as code of `module` would."""
    space = {"__name__": module, "config": config}
    exec("value = config.missing", space)
    return space["value"]


def test_missing_keys_are_none_for_mmf_alone():
    config = OmegaConf.create({"a": 1})
    assert read_missing("mmf.utils.configuration", config) is None
    assert read_missing("mmf_cli.run", config) is None
    for other in ("detectron2.config", "mmf_visualbert.plugin.model"):
        with pytest.raises(ConfigAttributeError):
            read_missing(other, config)
    OmegaConf.set_struct(config, True)
    with pytest.raises(ConfigAttributeError):
        read_missing("mmf.utils.configuration", config)
    assert getattr(OmegaConf.create(), "missing", "absent") == "absent"


@release_only
def test_pretty_writes_yaml():
    assert OmegaConf.create({"a": {"b": 1}, "c": "${a.b}"}).pretty(resolve=True) == "a:\n  b: 1\nc: 1\n"


@main_only
def test_persistent_workers_are_heeded():
    loader = torch.utils.data.DataLoader([1, 2], num_workers=1, persistent_workers=(False,))
    assert loader.persistent_workers is False
    assert torch.utils.data.DataLoader([1, 2], num_workers=1, persistent_workers=(True,)).persistent_workers is True
    assert torch.utils.data.DataLoader([1, 2]).persistent_workers is False


def test_one_process_of_torchrun_is_an_ordinary_run(monkeypatch):
    distributed = importlib.import_module("mmf.utils.distributed")
    for name, value in {"MASTER_ADDR": "localhost", "MASTER_PORT": "1", "WORLD_SIZE": "1", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    config = importlib.import_module("mmf.utils.configuration").Configuration().get_config()
    distributed.infer_init_method(config)
    assert config.distributed.init_method is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    distributed.infer_init_method(config)
    assert config.distributed.init_method == "env://"


def test_each_rank_has_its_own_device(monkeypatch):
    configuration = importlib.import_module("mmf.utils.configuration").Configuration()
    config = configuration.get_config()
    config.device_id, config.distributed.no_spawn = 0, True
    assert configuration.get_config().device_id == 0
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert configuration.get_config().device_id == 3
    config.device_id, config.distributed.no_spawn = 1, False
    assert configuration.get_config().device_id == 1, "a spawned process has its device from MMF"


@release_only
def test_ranks_draw_different_numbers(monkeypatch):
    env, distributed = (importlib.import_module(f"mmf.utils.{name}") for name in ("env", "distributed"))
    monkeypatch.setattr(distributed, "get_rank", lambda: 2)
    assert env.set_seed(5) == 7
    assert env.set_seed(None) is None


def test_early_stopping_decides_without_waiting_for_others(monkeypatch):
    stopping = importlib.import_module("mmf.utils.early_stopping")
    distributed = importlib.import_module("mmf.utils.distributed")

    class Checkpoint:
        def save(self, *args, **kwargs):
            pass

        def restore(self):
            raise AssertionError("only rank 0 would come here, and wait for ever")

        finalize = restore

    class Value:
        global_avg = 1.0

    class Meter:
        meters = {"val/loss": Value()}  # noqa: RUF012

    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    stop = stopping.EarlyStopping(None, Checkpoint(), "loss", patience=1, minimize=True)
    assert [stop(update, update, Meter()) for update in (1, 2, 3)] == [False, False, True]
    assert stop.should_stop is True
