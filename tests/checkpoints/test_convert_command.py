"""`visualbert convert`: files in, files out, one sentence where it cannot."""

import importlib.util
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tiny_model import SIZE, ragged, released, tiny
from transformers import (
    BertConfig,
    VisualBertConfig,
    VisualBertForMultipleChoice,
    VisualBertForPreTraining,
    VisualBertForQuestionAnswering,
    VisualBertForRegionToPhraseAlignment,
    VisualBertForVisualReasoning,
    VisualBertModel,
)

from mmf_visualbert.modules.build import bert_config, build_visual_bert

TOOL = Path(__file__).resolve().parents[2] / "tools" / "convert_checkpoint.py"


def run(*arguments):
    spec = importlib.util.spec_from_file_location("convert_checkpoint", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([str(argument) for argument in arguments])


def own_state(model):
    return {f"visual_bert.{name}": value for name, value in model.state_dict().items()}


def outputs(theirs, text, regions):
    """What a model of transformers gives for our inputs."""
    return theirs(
        input_ids=text.input_ids,
        attention_mask=text.mask.long(),
        token_type_ids=text.segments,
        visual_embeds=regions.features,
        visual_attention_mask=regions.mask.long(),
        visual_token_type_ids=regions.segments,
    )


def test_a_file_of_the_authors(shared, tmp_path, capsys):
    weights, _, _ = released(shared, "vqa")
    torch.save({f"module.bert.{name}": value for name, value in weights.items()}, tmp_path / "model.th")
    answers = shared / "realdata" / "vqa2" / "answers" / "answers_vqa.txt"
    out = tmp_path / "made" / "vqa.pth"
    assert run("from", tmp_path / "model.th", out, "--heads", 4, "--answers", answers) == 0
    assert "weights of the authors' code converted" in capsys.readouterr().out
    state = torch.load(out, weights_only=True)["model"]
    assert "heads.visualbert_answer._extra_state" in state
    config = OmegaConf.load(out.with_suffix(".yaml")).model_config.visualbert
    model = build_visual_bert(
        bert=config.bert,
        random_init=True,
        region_dimension=config.region_dimension,
        fusion=config.fusion,
        alignment=config.alignment,
        **config.size,
    )
    prefix = "visual_bert."
    model.load_state_dict({name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)})
    assert sorted(path.name for path in out.parent.iterdir()) == ["vqa.pth", "vqa.yaml"]


@pytest.mark.parametrize("safe", [True, False])
def test_a_folder_of_transformers(tmp_path, capsys, safe):
    theirs = VisualBertForQuestionAnswering(VisualBertConfig(visual_embedding_dim=24, num_labels=5, **SIZE))
    theirs.save_pretrained(tmp_path / "theirs")
    if not safe:
        (tmp_path / "theirs" / "model.safetensors").unlink()
        torch.save(theirs.state_dict(), tmp_path / "theirs" / "pytorch_model.bin")
    assert run("from", tmp_path / "theirs", tmp_path / "ours.pth") == 0
    assert "give them with --answers" in capsys.readouterr().out
    state = torch.load(tmp_path / "ours.pth", weights_only=True)["model"]
    assert torch.equal(state["heads.visualbert_answer.classifier.weight"], theirs.cls.weight)


CLASSES = [(VisualBertForVisualReasoning, rows, "visualbert_pooled") for rows in (1, 2, 3, 3129)]
CLASSES += [(VisualBertForQuestionAnswering, rows, "visualbert_answer") for rows in (1, 2, 5)]
CLASSES += [(VisualBertForMultipleChoice, 2, "visualbert_choice"), (VisualBertModel, 2, None)]
CLASSES += [(VisualBertForRegionToPhraseAlignment, 2, "visualbert_phrase_grounding")]
CLASSES += [(VisualBertForPreTraining, 2, None)]


def task_heads(path):
    return [head["type"] for head in OmegaConf.load(path).model_config.visualbert.get("heads", [])]


@pytest.mark.parametrize(("kind", "rows", "head"), CLASSES)
def test_config_json_names_the_class_there_and_back(tmp_path, capsys, kind, rows, head):
    kind(VisualBertConfig(visual_embedding_dim=24, num_labels=rows, **SIZE)).save_pretrained(tmp_path / "theirs")
    weights = [tmp_path / "theirs", tmp_path / "theirs" / "model.safetensors"]
    for number, source in enumerate(weights):
        assert run("from", source, tmp_path / f"{number}.pth") == 0
        assert task_heads(tmp_path / f"{number}.yaml") == ([head] if head else [])
        said = f"config.json names {kind.__name__}" in capsys.readouterr().out
        assert said == (f"config.json names {kind.__name__}" in (tmp_path / f"{number}.yaml").read_text())
        assert said == (kind not in (VisualBertForRegionToPhraseAlignment, VisualBertForPreTraining, VisualBertModel))
    assert run("to", "transformers", tmp_path / "0.pth", tmp_path / "back", "--heads", 4) == 0
    config = VisualBertConfig.from_pretrained(tmp_path / "back")
    assert config.architectures == [kind.__name__]
    _, info = kind.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not info["unexpected_keys"] and all("attention.value" in name for name in info["missing_keys"])


def test_what_config_json_does_not_tell_is_asked_for(tmp_path, capsys):
    VisualBertForVisualReasoning(VisualBertConfig(visual_embedding_dim=24, num_labels=3, **SIZE)).save_pretrained(
        tmp_path / "theirs"
    )
    file = tmp_path / "theirs" / "config.json"
    usual = json.loads(file.read_text())
    said = {
        "MyVisualBert": "names the class MyVisualBert, and there is a classifier of 3 rows",
        "VisualBertForPreTraining": "names the class VisualBertForPreTraining, and there is a classifier of 3 rows",
        "VisualBertForMultipleChoice": "whose classifier has 1 row, and there are 3",
    }
    for number, (named, words) in enumerate(said.items()):
        file.write_text(json.dumps({**usual, "architectures": [named]}))
        assert run("from", tmp_path / "theirs", tmp_path / "ours.pth") == 2
        error = capsys.readouterr().err
        assert words in error and "--head" in error and not (tmp_path / "ours.pth").exists()
        out = tmp_path / f"{number}.pth"
        assert run("from", tmp_path / "theirs", out, "--head", "visualbert_pooled") == 0  # the mend that is named
        assert task_heads(out.with_suffix(".yaml")) == ["visualbert_pooled"]
    assert run("from", tmp_path / "theirs", tmp_path / "ours.pth", "--head", "visualbert_poled") == 2
    assert "there is no head 'visualbert_poled'; --head takes one of visualbert_answer" in capsys.readouterr().err
    for odd in ({"architectures": "VisualBertModel"}, {"layer_norm_eps": "tiny"}):
        file.write_text(json.dumps({**usual, **odd}))
        assert run("from", tmp_path / "theirs", tmp_path / "ours.pth") == 2
        assert next(iter(odd)) in capsys.readouterr().err
    del usual["architectures"]
    file.write_text(json.dumps(usual))
    capsys.readouterr()
    assert run("from", tmp_path / "theirs", tmp_path / "ours.pth") == 0
    out = capsys.readouterr().out
    assert "the classifier of 3 rows was taken for visualbert_answer by their number" in out and "--head" in out
    assert "taken for visualbert_answer" in (tmp_path / "ours.yaml").read_text()


def test_what_weights_do_not_show_is_taken_from_config_json(tmp_path):
    config = VisualBertConfig(visual_embedding_dim=24, hidden_act="relu", layer_norm_eps=0.5, **SIZE)
    theirs = VisualBertModel(config).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    assert run("from", tmp_path / "theirs", tmp_path / "ours.pth") == 0
    settings = OmegaConf.load(tmp_path / "ours.yaml").model_config.visualbert
    assert settings.size.hidden_act == "relu" and settings.size.layer_norm_eps == 0.5
    model = build_visual_bert(random_init=True, region_dimension=24, alignment="mean", **settings.size).eval()
    state = torch.load(tmp_path / "ours.pth", weights_only=True)["model"]
    model.load_state_dict({name.removeprefix("visual_bert."): value for name, value in state.items()})
    text, regions = ragged()
    expected = outputs(theirs, text, regions)
    torch.testing.assert_close(model(text, regions).pooled, expected.pooler_output, atol=1e-5, rtol=0)


def test_of_several_heads_one_is_chosen(tmp_path, capsys):
    heads = {}
    for name, rows in (("answer", 5), ("pooled", 2)):
        heads[f"heads.visualbert_{name}.classifier.weight"] = torch.ones(rows, 32)
        heads[f"heads.visualbert_{name}.classifier.bias"] = torch.ones(rows)
    torch.save({"model": own_state(tiny()) | heads}, tmp_path / "ours.pth")
    for target in ("transformers", "authors"):
        assert run("to", target, tmp_path / "ours.pth", tmp_path / target, "--heads", 4) == 2
        assert "the heads visualbert_answer and visualbert_pooled" in capsys.readouterr().err
        chosen = ("--head", "visualbert_answer")
        assert run("to", target, tmp_path / "ours.pth", tmp_path / target, "--heads", 4, *chosen) == 0
        assert "heads.visualbert_pooled.classifier.bias is not of the head visualbert_answer" in capsys.readouterr().out
    assert VisualBertConfig.from_pretrained(tmp_path / "transformers").num_labels == 5
    assert run("to", "mmf", tmp_path / "ours.pth", tmp_path / "mmf.pth") == 0


def test_to_transformers(tmp_path, capsys):
    model = tiny(alignment="mean")
    torch.save({"model": own_state(model)}, tmp_path / "ours.pth")
    assert run("to", "transformers", tmp_path / "ours.pth", tmp_path / "theirs", "--heads", 4) == 0
    assert "alignment: sum" in capsys.readouterr().out
    theirs, info = VisualBertModel.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    text, regions = ragged()
    expected = outputs(theirs.eval(), text, regions)
    torch.testing.assert_close(model(text, regions).pooled, expected.pooler_output, atol=1e-5, rtol=0)
    assert run("to", "transformers", tmp_path / "ours.pth", tmp_path / "theirs", "--heads", 4) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["authors", "mmf"])
def test_to_files(tmp_path, target):
    torch.save({"model": own_state(tiny())}, tmp_path / "ours.pth")
    assert run("to", target, tmp_path / "ours.pth", tmp_path / "theirs.pth") == 0
    assert run("from", tmp_path / "theirs.pth", tmp_path / "again.pth", "--heads", 4) == 0
    first, second = (torch.load(tmp_path / name, weights_only=True)["model"] for name in ("ours.pth", "again.pth"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def width_of_a_head(folder):
    """Hidden units of each attention head in a folder of transformers."""
    config = VisualBertConfig.from_pretrained(folder)
    return config.hidden_size // config.num_attention_heads


def wide(heads):
    """A model of 128 hidden units."""
    sizes = {**SIZE, "hidden_size": 128, "num_attention_heads": heads}
    return build_visual_bert(random_init=True, region_dimension=16, **sizes)


def test_the_number_of_heads_is_that_of_the_checkpoints_own_config(tmp_path, capsys):
    stored = {"model_config": {"visualbert": {"bert": None, "size": {"num_attention_heads": 8}}}}
    torch.save({"model": own_state(wide(8)), "config": stored}, tmp_path / "best.ckpt")
    assert run("to", "transformers", tmp_path / "best.ckpt", tmp_path / "theirs") == 0
    assert width_of_a_head(tmp_path / "theirs") == 16
    assert "a guess" not in capsys.readouterr().out
    assert run("to", "transformers", tmp_path / "best.ckpt", tmp_path / "other", "--heads", 2) == 2
    assert "has 8 attention heads and --heads says 2" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_the_number_of_heads_of_a_named_bert_is_read_from_it(tmp_path, capsys):
    BertConfig(**{**SIZE, "hidden_size": 128, "num_attention_heads": 8}).save_pretrained(tmp_path / "bert")
    stored = {"model_config": {"visualbert": {"bert": str(tmp_path / "bert"), "size": {"num_attention_heads": 12}}}}
    torch.save({"model": own_state(wide(8)), "config": stored}, tmp_path / "best.ckpt")
    assert run("to", "transformers", tmp_path / "best.ckpt", tmp_path / "theirs") == 0
    assert width_of_a_head(tmp_path / "theirs") == 16
    (tmp_path / "bert" / "config.json").unlink()
    bert_config.cache_clear()
    assert run("to", "transformers", tmp_path / "best.ckpt", tmp_path / "by_width") == 0
    assert "2 attention heads are a guess" in capsys.readouterr().out


def test_a_guessed_number_of_heads_is_said(tmp_path, capsys):
    torch.save(own_state(wide(8)), tmp_path / "final.pth")
    assert run("to", "transformers", tmp_path / "final.pth", tmp_path / "by_width") == 0
    assert "2 attention heads are a guess, one for every 64 hidden units" in capsys.readouterr().out
    assert run("to", "transformers", tmp_path / "final.pth", tmp_path / "given", "--heads", 8) == 0
    assert "a guess" not in capsys.readouterr().out
    assert [width_of_a_head(tmp_path / name) for name in ("by_width", "given")] == [64, 16]
    assert run("to", "authors", tmp_path / "final.pth", tmp_path / "authors.th") == 0
    assert "a guess" not in capsys.readouterr().out, "their files do not say it either"
    assert run("from", tmp_path / "authors.th", tmp_path / "ours.pth") == 0
    assert "2 attention heads are a guess" in capsys.readouterr().out


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-was-here",)


def test_wrong_files_are_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.pth").write_text("no weights")
    Path("evil.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"model": {"a": Evil()}}, "evil_torch.pth")
    torch.save([1, 2], "list.pth")
    torch.save({"model": {"conv.weight": torch.zeros(2)}}, "other.pth")
    torch.save({"weights": 3}, "number.pth")
    Path("cut.safetensors").write_bytes(b"\x10")
    Path("empty").mkdir()
    Path("half").mkdir()
    torch.save({"a": torch.zeros(1)}, "half/pytorch_model.bin")
    for name, said in {
        "nowhere.pth": "nowhere.pth does not exist",
        "text.pth": "text.pth cannot be read as weights",
        "evil.pth": "evil.pth cannot be read as weights",
        "evil_torch.pth": "evil_torch.pth cannot be read as weights",
        "list.pth": "list.pth holds no weights by name",
        "number.pth": "holds 'weights', which is no tensor",
        "other.pth": "other.pth has no names of a VisualBERT",
        "cut.safetensors": "no whole safetensors file",
        "empty": "config.json is missing or no json",
        "half": "config.json is missing or no json",
    }.items():
        assert run("from", name, "out.pth") == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and "Traceback" not in error, (name, error)
    assert run("to", "authors", "other.pth", "out.pth") == 2
    assert "has no weights for visual_bert" in capsys.readouterr().err
    assert run("from", "other.pth", "out.yaml") == 2
    assert not Path("out.pth").exists() and not Path("evil-was-here").exists()
