"""Every repair of `compat` against a stand-in that needs it, which it mends, and one that does not, which it leaves.

Here those that give a missing name or an old behaviour; those of MMF's training are in `test_needs_of_training.py`.
"""

import collections
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import mmf  # noqa: F401  (the installed packages are repaired first)
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from repair_stand_ins import FUNCTIONS, leaves, module, repair

from mmf_visualbert.compat import importing, omegaconf_behaviour, probes, repairs
from mmf_visualbert.compat import standins as standins_of_packages
from mmf_visualbert.errors import InputError


def test_no_repair_asks_for_a_version():
    folder = Path(repairs.__file__).parent
    for file in folder.glob("*.py"):
        if file.name != "installed.py":
            text = file.read_text(encoding="utf-8")
            assert not any(word in text for word in ("is_release", "mmf_version", "__version__", "metadata")), file.name


def test_each_repair_is_tested_here():
    files = Path(__file__).parent.glob("test_needs*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for function in FUNCTIONS:
        assert function.partition(".")[2] in text, function


def test_probes_look_through_wrappers_and_into_inner_functions():
    def outer(**options):
        def inner():
            return options.get("some text")

        return print(inner, file=sys.stderr)

    assert probes.mentions(outer, "get", "some text", "print", "file")
    assert not probes.mentions(outer, "get", "set")
    assert not probes.mentions(len, "len")
    assert "return options.get(" in probes.source(outer)
    assert probes.source(len) == ""


# what is not there


def test_torchvision_operators(monkeypatch):
    leaves("torchvision_operators.define_missing_schemas", module(_has_ops=lambda: True))
    made, library = module(_has_ops=lambda: False), torch.library.Library
    monkeypatch.setattr(torch.library, "Library", lambda name, kind: library(name, "FRAGMENT"))  # beside the real one
    schemas = {"visualbert_test": "visualbert_test(Tensor dets) -> Tensor"}
    monkeypatch.setattr(
        sys.modules[FUNCTIONS["torchvision_operators.define_missing_schemas"].load().__module__], "SCHEMAS", schemas
    )
    assert repair("torchvision_operators.define_missing_schemas", made)
    assert torch.ops.torchvision.visualbert_test is not None
    assert repair("torchvision_operators.define_missing_schemas", made) is None, "now it is there"


def test_operators_in_torch(monkeypatch):
    """Where compiled ones load nothing is done; that ours are theirs, `test_box_kernels.py` shows."""
    monkeypatch.setitem(sys.modules, "torchvision.extension", module(_has_ops=lambda: True))
    leaves("torchvision_operators.compute_in_torch", module())


def test_torchtext(packages, no_stand_ins, monkeypatch):
    packages(mmf__utils__vocab="import nothing")
    assert repair("standins.provide_torchtext") is None
    packages(mmf__utils__vocab="from torchtext import vocab")
    monkeypatch.setattr(standins_of_packages, "works", lambda name: name == "torchtext")
    assert repair("standins.provide_torchtext") is None
    assert importing._stand_ins.makers == []
    monkeypatch.setattr(standins_of_packages, "works", lambda name: False)
    assert repair("standins.provide_torchtext")
    assert importing._stand_ins.find_spec("torchtext.vocab") is not None


def test_torchaudio(packages, no_stand_ins, monkeypatch):
    packages(mmf__datasets__processors__image_processors="import torchvision")
    assert repair("standins.provide_torchaudio") is None
    packages(mmf__datasets__processors__image_processors="from torchaudio import transforms")
    monkeypatch.setattr(standins_of_packages, "works", lambda name: False)
    assert repair("standins.provide_torchaudio")
    assert importing._stand_ins.find_spec("torchaudio.transforms") is not None


def test_tied_weights_of_transformers_5():
    class Old:
        def tie_weights(self):
            return None

    class New:
        def tie_weights(self):
            return self.all_tied_weights_keys

    leaves("transformers_names.tie_nothing_unasked", module(PreTrainedModel=Old))
    assert repair("transformers_names.tie_nothing_unasked", module(PreTrainedModel=New))
    assert New().tie_weights() == {}


def test_attention_split_into_heads(packages):
    class Old:
        def transpose_for_scores(self, states):
            return states

    class New:
        num_attention_heads, attention_head_size = 2, 3

    packages(mmf__modules__hf_layers="patch_functions = ['BertSelfAttention.transpose_for_scores']")
    leaves("mmf_models.restore_transpose_for_scores", module(BertSelfAttention=Old, BertLayer=New))
    assert repair("mmf_models.restore_transpose_for_scores", module(RobertaSelfAttention=New))
    states = torch.arange(24.0).view(1, 4, 6)
    assert torch.equal(New().transpose_for_scores(states), torch.stack([states[..., :3], states[..., 3:]], dim=1))
    packages(mmf__modules__hf_layers="patch_functions = []")
    leaves("mmf_models.restore_transpose_for_scores", module(BertSelfAttention=type("New", (), {})))


def test_tying_of_a_decoder(packages):
    packages(mmf__models__visual_bert="self.bert._tie_or_clone_weights(decoder, embeddings)")
    leaves("mmf_models.restore_tying", module(PreTrainedModel=type("Old", (), {"_tie_or_clone_weights": print})))
    new = type("New", (), {})
    assert repair("mmf_models.restore_tying", module(PreTrainedModel=new))
    decoder, embeddings = torch.nn.Linear(3, 5), torch.nn.Embedding(5, 3)
    new()._tie_or_clone_weights(decoder, embeddings)
    assert decoder.weight is embeddings.weight
    packages(mmf__models__visual_bert="tie = None")
    leaves("mmf_models.restore_tying", module(PreTrainedModel=type("New", (), {})))


def test_layers_of_a_vision_transformer(packages):
    packages(mmf__modules__vit="vit.ViTIntermediate(config); self.get_head_mask(mask)")
    leaves("mmf_vit.restore_vit_layers", module(ViTIntermediate=object))
    made = module(ViTConfig=type("ViTConfig", (), {}))
    assert repair("mmf_vit.restore_vit_layers", made) and made.ViTConfig.is_decoder is False
    config = SimpleNamespace(hidden_size=4, intermediate_size=6, hidden_act="gelu", hidden_dropout_prob=0.0)
    states = torch.ones(2, 3, 4)
    assert made.ViTOutput(config)(made.ViTIntermediate(config)(states), states).shape == states.shape

    old = module(ViTModel=type("ViTModel", (), {"get_head_mask": print}))
    leaves("mmf_vit.restore_vit_attention", old)
    attention, model = type("ViTAttention", (torch.nn.Module,), {}), type("ViTModel", (), {})
    parts = {"BertSelfAttention": lambda config: torch.nn.Identity(), "ViTAttention": attention, "ViTModel": model}
    assert repair("mmf_vit.restore_vit_attention", module(**parts))
    assert attention(config).output(states, states).shape == states.shape
    assert model().get_head_mask(None, 2) == [None, None]
    mask = model().get_extended_attention_mask(torch.tensor([[1, 0]]), (1, 2))
    assert mask.shape == (1, 1, 1, 2) and mask[0, 0, 0, 0] == 0 and mask[0, 0, 0, 1] < -1e30
    with pytest.raises(ValueError, match="masks no heads"):
        model().get_head_mask(states, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_masks_stay_where_there_is_no_gpu(packages):
    class VisualBERT:
        def forward(self, sample_list):
            return sample_list["mask"].cuda()

    made = module(VisualBERT=VisualBERT, __name__="mmf.models.visual_bert")
    packages(mmf__models__visual_bert="mask.to(device)")
    leaves("mmf_models.stay_without_cuda", made)
    packages(mmf__models__visual_bert="mask.cuda()")
    move, mask = torch.Tensor.cuda, torch.ones(2)
    assert repair("mmf_models.stay_without_cuda", made)
    assert VisualBERT().forward({"mask": mask}) is mask and torch.Tensor.cuda is move
    with pytest.raises(KeyError):
        VisualBERT().forward({})
    assert torch.Tensor.cuda is move, "also after an error"


def test_a_stand_in_for_standard_output():
    leaves("mmf_models.restore_isatty", module())
    leaves("mmf_models.restore_isatty", module(StreamToLogger=type("New", (), {"isatty": print})))
    old = type("Old", (), {})
    assert repair("mmf_models.restore_isatty", module(StreamToLogger=old))
    assert not old().isatty()


def test_imdb_of_captions(packages):
    dataset = type("MMFDataset", (), {"annotation_db": [1, 2]})
    packages(mmf__datasets__builders__coco__masked_dataset="self.annotation_db[0]")
    leaves("mmf_datasets.restore_imdb", module(MMFDataset=dataset))
    packages(mmf__datasets__builders__coco__masked_dataset="self.imdb[0]")
    assert repair("mmf_datasets.restore_imdb", module(MMFDataset=dataset))
    assert dataset().imdb == [1, 2]


def test_features_are_opened_once():
    opened = []
    made = module(lmdb=module(open=lambda path, **options: opened.append(path) or object(), version=lambda: 1))
    assert repair("mmf_datasets.share_open_features", made)
    assert made.lmdb.open("a", readonly=True) is made.lmdb.open("./a") and len(opened) == 1
    assert made.lmdb.open("b") is not made.lmdb.open("a") and made.lmdb.version() == 1
    assert repair("mmf_datasets.share_open_features", made) is None


def entailment(format_for_prediction):
    """SNLI-VE's module, whose dataset says how it formats predictions."""
    content = {"annotation_db": [{"Flikr30kID": "7.jpg", "pairID": "7#0"}], "load_item": lambda self, index: {}}
    own = {} if format_for_prediction is None else {"format_for_prediction": format_for_prediction}
    base = type("VQA2Dataset", (), {"format_for_prediction": lambda self, report: report.scores[self.answer_processor]})
    dataset = type("VisualEntailmentDataset", (base,), {**content, **own})
    return module(VisualEntailmentDataset=dataset, LABEL_TO_INT_MAPPING={"entailment": 0, "neutral": 1})


def test_predictions_of_entailment():
    leaves("mmf_datasets.predict_entailment", entailment(lambda self, report: list(report.scores)))
    for lacking in (entailment(None), entailment(lambda self, report: [])):
        assert repair("mmf_datasets.predict_entailment", lacking)
        dataset = lacking.VisualEntailmentDataset()
        scores = torch.tensor([[0.0, 9.0]])
        (entry,) = dataset.format_for_prediction({"id": dataset.load_item(0)["id"][None], "scores": scores})
        assert entry.pop("probability") > 0.99
        assert entry == {"id": "7#0", "image": "7.jpg", "label": "neutral"}


def test_predictions_of_genres():
    leaves("mmf_datasets.predict_genres", module(MMIMDbDataset=type("Whole", (), {"format_for_prediction": print})))
    words = type("Answers", (), {"idx2word": lambda self, index: ["<pad>", "<unk>", "War", "Drama"][index]})()
    content = {"annotation_db": [{}], "answer_processor": words, "__getitem__": lambda self, index: {}}
    made = module(MMIMDbFeaturesDataset=type("Lacking", (), content))
    assert repair("mmf_datasets.predict_genres", made)
    films = made.MMIMDbFeaturesDataset()
    report = {"id": films[0]["id"][None], "scores": torch.tensor([[0.5, -1.0, 0.5, -0.5]])}
    assert films.format_for_prediction(report) == [{"id": 0, "genres": ["War"]}]
    assert repair("mmf_datasets.predict_genres", made) is None


def test_demjson(packages, no_stand_ins, monkeypatch):
    packages(mmf__utils__configuration="import json")
    assert repair("standins.provide_demjson") is None
    packages(mmf__utils__configuration="import demjson")
    monkeypatch.setattr(standins_of_packages, "works", lambda name: name == "demjson")
    assert repair("standins.provide_demjson") is None
    assert importing._stand_ins.makers == []
    monkeypatch.setattr(standins_of_packages, "works", lambda name: False)
    assert repair("standins.provide_demjson")
    assert importing._stand_ins.find_spec("demjson") is not None


def test_a_package_that_cannot_be_imported_does_not_work(no_stand_ins, tmp_path, monkeypatch):
    (tmp_path / "compiled_elsewhere.py").write_text("raise OSError('undefined symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    assert [standins_of_packages.works(name) for name in ("json", "not_there_at_all", "compiled_elsewhere")] == [
        *(True, False, False)
    ]


def test_collections_mapping(monkeypatch):
    class OldLogger:
        def log_progress(self, info):
            return isinstance(info, collections.Mapping)

    class NewLogger:
        def log_progress(self, info):
            return isinstance(info, collections.abc.Mapping)

    monkeypatch.setattr(collections, "Mapping", None, raising=False)
    leaves("python_names.restore_mapping", module(Logger=OldLogger))
    monkeypatch.delattr(collections, "Mapping")
    leaves("python_names.restore_mapping", module(Logger=NewLogger))
    leaves("python_names.restore_mapping", module())
    assert not hasattr(collections, "Mapping")
    assert repair("python_names.restore_mapping", module(Logger=OldLogger))
    assert OldLogger().log_progress({}) is True


def test_moved_modules_of_transformers(packages, no_stand_ins):
    function = "transformers_names.resolve_moved_modules"
    assert repair(function) is None, "no transformers"
    packages(
        transformers__models__bert__modeling_bert="", mmf__models__mmf_bert="from transformers.models.bert import x"
    )
    assert repair(function) is None, "MMF imports the new places"
    folder = packages(mmf__models__mmf_bert="from transformers.modeling_bert import x", transformers__modeling_bert="")
    assert repair(function) is None, "an old transformers"
    (folder / "transformers" / "modeling_bert.py").unlink()
    assert importing._stand_ins.makers == []
    assert repair("transformers_names.resolve_moved_modules")
    assert importing._stand_ins.find_spec("transformers.modeling_bert") is not None


def test_bert_layer_norm(packages):
    packages(mmf__models__mmf_bert="import BertLayerNorm")
    leaves("transformers_names.restore_bert_layer_norm", module(BertLayerNorm=object))
    packages(mmf__models__mmf_bert="import LayerNorm")
    leaves("transformers_names.restore_bert_layer_norm", module())
    packages(mmf__models__mmf_bert="import BertLayerNorm")
    made = module()
    assert repair("transformers_names.restore_bert_layer_norm", made)
    assert made.BertLayerNorm is torch.nn.LayerNorm


def test_adamw(packages):
    packages(mmf__modules__optimizers="from transformers.optimization import AdamW")
    leaves("transformers_names.restore_adamw", module(AdamW=object))
    packages(mmf__modules__optimizers="try:\n    from x import AdamW\nexcept ImportError:\n    from torch import AdamW")
    leaves("transformers_names.restore_adamw", module())
    packages(mmf__modules__optimizers="from transformers.optimization import AdamW")
    made = module()
    assert repair("transformers_names.restore_adamw", made)
    assert issubclass(made.AdamW, torch.optim.AdamW)


def test_import_of_all_models():
    import importlib

    def imports_all(log_incompatible=False):
        importlib.import_module("transformers.models.of_everything")

    leaves("transformers_names.skip_import_of_all_models", module(patch_transformers=lambda log_incompatible=False: 1))
    made = module(patch_transformers=imports_all, importlib=importlib)
    assert repair("transformers_names.skip_import_of_all_models", made)
    assert made.patch_transformers() is None


def test_read_video(packages):
    packages(mmf__datasets__builders__charades___utils="")
    leaves("torchvision_names.restore_read_video", module())
    packages(mmf__datasets__builders__charades___utils="from torchvision.io import read_video")
    leaves("torchvision_names.restore_read_video", module(read_video=len))
    made = module()
    assert repair("torchvision_names.restore_read_video", made)
    with pytest.raises(InputError, match=r"film\.mp4"):
        made.read_video("film.mp4")


def test_callbacks_base(packages, no_stand_ins):
    function, names = "lightning_names.restore_callbacks_base", "from pytorch_lightning.callbacks.base import Callback"
    packages(mmf__trainers__lightning_core__loop_callback=names)
    assert repair(function) is None, "no pytorch_lightning"
    folder = packages(pytorch_lightning__callbacks__base="", pytorch_lightning__callbacks____init__="")
    assert repair(function) is None, "an old one"
    (folder / "pytorch_lightning" / "callbacks" / "base.py").unlink()
    packages(mmf__trainers__lightning_core__loop_callback="from pytorch_lightning.callbacks import Callback")
    assert repair(function) is None, "an MMF that moved on"
    assert importing._stand_ins.makers == []
    packages(mmf__trainers__lightning_core__loop_callback=names)
    assert repair("lightning_names.restore_callbacks_base")
    assert importing._stand_ins.makers


# what behaves otherwise


@pytest.fixture
def omegaconf_as_it_is(monkeypatch):
    """omegaconf without our repairs, and with them again afterwards."""
    resolvers = dict(OmegaConf.__dict__)
    for name in ("clear_resolvers", "register_resolver"):
        monkeypatch.setattr(OmegaConf, name, resolvers[name].__func__ if name in resolvers else None, raising=False)
    had = OmegaConf.has_resolver("env")
    if had:
        OmegaConf.clear_resolver("env")
    yield
    OmegaConf.clear_resolver("env")
    if had:
        OmegaConf.register_new_resolver("env", omegaconf_behaviour.environment_value)


def test_env_resolver(packages, omegaconf_as_it_is, monkeypatch):
    function = "omegaconf_behaviour.register_env_resolver"
    packages(mmf__configs__defaults="save_dir: ${oc.env:MMF_SAVE_DIR,./save}")
    assert repair(function) is None
    assert not OmegaConf.has_resolver("env")
    packages(mmf__configs__defaults="save_dir: ${env:MMF_SAVE_DIR,./save}")
    assert repair(function)
    monkeypatch.setenv("VISUALBERT_TEST", "here")
    assert OmegaConf.create({"a": "${env:VISUALBERT_TEST}"}).a == "here"
    assert repair("omegaconf_behaviour.register_env_resolver") is None, "now there is one"


def test_missing_keys(monkeypatch):
    function = "omegaconf_behaviour.give_none_for_missing_keys"
    ours = DictConfig.__getattr__
    assert omegaconf_behaviour.raises_for_missing() is True, "for code that is not MMF's"
    monkeypatch.setattr(DictConfig, "__getattr__", lambda self, key: None)
    right = DictConfig.__getattr__
    assert repair(function) is None
    assert DictConfig.__getattr__ is right
    monkeypatch.setattr(DictConfig, "__getattr__", ours)
    assert repair("omegaconf_behaviour.give_none_for_missing_keys")
    space = {"__name__": "mmf.anything", "config": OmegaConf.create({"a": 1})}
    exec("value = config.missing", space)
    assert space["value"] is None


def test_pretty(packages, monkeypatch):
    packages(mmf__utils__checkpoint="OmegaConf.to_yaml(config)")
    monkeypatch.setattr(DictConfig, "pretty", None, raising=False)
    monkeypatch.delattr(DictConfig, "pretty")
    assert repair("omegaconf_behaviour.restore_pretty") is None
    assert not hasattr(DictConfig, "pretty")
    packages(mmf__utils__checkpoint="config.pretty(resolve=True)")
    assert repair("omegaconf_behaviour.restore_pretty")
    assert OmegaConf.create({"a": 1}).pretty() == "a: 1\n"
    assert repair("omegaconf_behaviour.restore_pretty") is None


AUTOCAST = "`torch.cuda.amp.autocast(args...)` is deprecated. Please use `torch.amp.autocast('cuda', args...)` instead."


def test_warnings_that_nobody_can_mend(packages):
    function = "warning_filters.hide_what_users_cannot_mend"
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        packages(mmf__trainers__core__training_loop="with torch.amp.autocast('cuda'):", mmf__configs__defaults="a: 1")
        assert repair(function) is None
        warnings.warn(AUTOCAST, FutureWarning, stacklevel=1)
        assert len(shown) == 1
        packages(mmf__trainers__core__training_loop="with torch.cuda.amp.autocast(enabled=fp16):")
        assert repair("warning_filters.hide_what_users_cannot_mend")
        warnings.warn(AUTOCAST, FutureWarning, stacklevel=1)
        warnings.warn("In the sequence `X,` some elements are missing", UserWarning, stacklevel=1)
        assert len(shown) == 2, "the second is not raised by this MMF"


def test_warnings_stay_hidden_in_several_processes(packages):
    def lets_all_through(is_main):
        warnings.simplefilter("once", UserWarning)

    packages(mmf__configs__defaults="log_dir: ${env:MMF_LOG_DIR,}")
    leaves("warning_filters.keep_hidden", module(suppress_output=lambda is_main: None))
    made = module(suppress_output=lets_all_through)
    with warnings.catch_warnings(record=True) as shown:
        assert repair("warning_filters.keep_hidden", made)
        made.suppress_output(True)
        warnings.warn("In the sequence `X,` some elements are missing", UserWarning, stacklevel=1)
        assert not shown
    packages(mmf__configs__defaults="")
    leaves("warning_filters.keep_hidden", module(suppress_output=lets_all_through))
