"""What a checkpoint and our model have in common is reported, and a checkpoint that does not fit is refused."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmf.utils import checkpoint
from mmf.utils.general import lr_lambda_update
from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.checkpoint import compare
from mmf_visualbert.plugin.torch_load import TorchOfCheckpoints, load_checkpoint, weights_alone
from mmf_visualbert.plugin.whole_checkpoints import make_room

PRETRAINED = "checkpoint.resume_pretrained=True"


class Object:
    """Something that a file of somebody else's could run code with."""


def state(**shapes):
    return {name.replace("__", "."): torch.zeros(shape) for name, shape in shapes.items()}


@pytest.fixture
def finished(run_words) -> Path:
    """The folder of a finished run of six updates."""
    return run_words(save="first")


def test_names_have_to_be_equal_without_a_mapping():
    report = compare(state(a=2, b=3, c=4), state(a=2, b=5, d=1), {})
    assert report == (["a"], ["c"], ["d"], [("b", (3,), (5,))])
    assert report.summary("f.pth") == (
        "Load report of f.pth: 1 of 3 weights of the model loaded, 1 not in the checkpoint (c), "
        "1 of the checkpoint not used (d), 1 of another shape (b)"
    )


def test_a_mapping_takes_over_a_part_under_another_name():
    own = state(visual_bert__w=2, visual_bert__v=1, heads__one__w=2)
    report = compare(own, state(bert__w=2, other=1), {"visual_bert": "bert"})
    assert report == (["visual_bert.w"], ["visual_bert.v"], ["other"], [])


@pytest.fixture
def messages(caplog):
    """Our messages, also where MMF takes the root's handlers away."""
    logger = logging.getLogger("mmf_visualbert")
    caplog.set_level(logging.INFO, logger="mmf_visualbert")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_a_report_is_logged_and_the_part_is_taken_over(run_words, finished, messages):
    run_words(f"checkpoint.resume_file={finished / 'best.ckpt'}", PRETRAINED, "training.max_updates=1", save="second")
    said = [record.getMessage() for record in messages.records if "Load report" in record.getMessage()]
    assert len(set(said)) == 1
    assert "best.ckpt: " in said[0] and "not in the checkpoint" not in said[0]
    assert "2 of the checkpoint not used (heads.visualbert_pooled.classifier.weight" in said[0]


def test_a_run_goes_on_where_it_stopped(run_words, finished):
    middle = finished / "models" / "model_3.ckpt"
    saved = run_words(f"checkpoint.resume_file={middle}", save="second")
    first, second = (torch.load(folder / "current.ckpt", weights_only=True) for folder in (finished, saved))
    assert (first["num_updates"], second["num_updates"]) == (6, 6)
    assert not (saved / "models" / "model_3.ckpt").exists(), "the first three updates were not made again"


def test_a_finished_run_is_not_resumed_for_nothing(run_words, finished):
    with pytest.raises(InputError, match=r"current\.ckpt.*6 updates.*resume_pretrained=true"):
        run_words(f"checkpoint.resume_file={finished / 'current.ckpt'}", save="second")
    run_words(f"checkpoint.resume_file={finished / 'current.ckpt'}", "training.max_updates=7", save="third")
    run_words(f"checkpoint.resume_file={finished / 'current.ckpt'}", "run_type=test", save="fourth")


def test_epochs_are_counted_in_updates(run_words):
    every = "training.checkpoint_interval=4"
    first = run_words("training.max_epochs=2", every, save="first")
    assert torch.load(first / "current.ckpt", weights_only=True)["num_updates"] == 8
    goes_on = f"checkpoint.resume_file={first / 'current.ckpt'}"
    with pytest.raises(InputError, match="8 updates"):
        run_words("training.max_epochs=2", every, goes_on, save="second")
    third = run_words("training.max_epochs=3", every, goes_on, save="third")
    assert torch.load(third / "current.ckpt", weights_only=True)["num_updates"] == 12


def test_a_run_shorter_than_the_evaluation_interval_has_a_best_checkpoint(run_words):
    saved = run_words("training.evaluation_interval=100", "run_type=train_val", save="short")
    assert torch.load(saved / "best.ckpt", weights_only=True)["best_update"] == 6


def test_nothing_in_common_is_refused(run_words, tmp_path):
    other = tmp_path / "other.pth"
    torch.save(state(bert__encoder=3), other)
    with pytest.raises(InputError, match=r"other\.pth shares no weight.*bert\.encoder.*visualbert convert"):
        run_words(f"checkpoint.resume_file={other}")
    with pytest.raises(InputError, match="shares no weight"):
        run_words(f"checkpoint.resume_file={other}", PRETRAINED)


def test_an_entry_of_the_mapping_that_matches_nothing_is_refused(run_words, finished, tmp_path):
    config = tmp_path / "mapped.yaml"
    words = Path(__file__).resolve().parents[1] / "toy_project" / "run_words.yaml"
    config.write_text(f"includes: [{words}]\ncheckpoint:\n  pretrained_state_mapping:\n    heads: bert_heads\n")
    with pytest.raises(InputError, match=r"'heads: bert_heads' of checkpoint\.pretrained_state_mapping"):
        run_words(f"config={config}", f"checkpoint.resume_file={finished / 'best.ckpt'}", PRETRAINED, save="second")


def test_another_size_is_refused(run_words, finished):
    with pytest.raises(InputError, match=r"of another shape.*\(20, 8\) instead of \(20, 16\)"):
        run_words(
            f"checkpoint.resume_file={finished / 'best.ckpt'}",
            PRETRAINED,
            "model_config.visualbert.size.hidden_size=16",
            save="second",
        )


def test_a_model_that_does_not_train_needs_all_its_weights(run_words, finished, tmp_path):
    whole = torch.load(finished / "best.ckpt", weights_only=True)["model"]
    visual_bert = tmp_path / "visual_bert.pth"
    torch.save({name: value for name, value in whole.items() if name.startswith("visual_bert.")}, visual_bert)
    with pytest.raises(InputError, match=r"visual_bert\.pth has no weights for 2 parts.*at random"):
        run_words(f"checkpoint.resume_file={visual_bert}", "run_type=test", save="second")


def test_a_file_that_is_not_there(run_words):
    with pytest.raises(InputError, match=r"nowhere\.ckpt does not exist"):
        run_words("checkpoint.resume_file=nowhere.ckpt")


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"these are words, not weights"])
def test_a_file_that_is_no_checkpoint(tmp_path, content, mapped):
    path = tmp_path / "cut.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cut\.ckpt is not a checkpoint, or was cut off") as error:
        load_checkpoint(str(path), mapped=mapped)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_is_cut_off(finished, tmp_path, run_words):
    whole = (finished / "best.ckpt").read_bytes()
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.ckpt is not a checkpoint, or was cut off"):
        run_words(f"checkpoint.resume_file={cut}", PRETRAINED, save="second")


@pytest.mark.parametrize("mapped", [False, True])
def test_objects_of_others_are_not_loaded(tmp_path, mapped):
    path = tmp_path / "theirs.ckpt"
    torch.save({"model": {}, "config": Object()}, path)
    with pytest.raises(InputError, match=r"theirs\.ckpt holds Python objects \(.*Object\)"):
        load_checkpoint(str(path), mapped=mapped)


@pytest.mark.parametrize("mapped", [False, True])
def test_numbers_of_numpy_are_loaded(tmp_path, mapped):
    path = tmp_path / "numbers.ckpt"
    torch.save({"best_metric_value": np.float64(0.5), "n": np.int64(3), "f": np.float32(2)}, path)
    with open(path, "rb") as file:
        assert load_checkpoint(file, mapped=mapped) == {"best_metric_value": 0.5, "n": 3, "f": 2.0}


@pytest.mark.parametrize("packed", [True, False])
def test_weights_that_stay_in_the_file_are_the_same_and_never_change_it(tmp_path, packed):
    path, model = tmp_path / "a.ckpt", {"w": torch.randn(70, 30), "h": torch.randn(9).half()}
    torch.save({"model": model, "n": 3}, path, _use_new_zipfile_serialization=packed)
    before, loaded = path.read_bytes(), load_checkpoint(str(path), mapped=True)
    assert loaded["n"] == 3 and all(torch.equal(loaded["model"][name], value) for name, value in model.items())
    loaded["model"]["w"].zero_()
    assert path.read_bytes() == before and torch.equal(load_checkpoint(str(path))["model"]["w"], model["w"])


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_room_for_the_best_weights_is_given_back_to_the_system():
    torch.ones(7 << 20)  # GNU's C library keeps what is freed and smaller from now on
    weights = [torch.nn.Parameter(torch.ones(1 << 20)) for _ in range(20)]
    optimizer = torch.optim.AdamW(weights)
    for weight in weights:
        weight.grad = torch.ones(1 << 20)
    optimizer.step()
    kept, before = torch.ones(2 << 20), resident()  # above all that is freed
    make_room(optimizer)
    assert before - resident() > 0.5 * 3 * 4 * sum(weight.numel() for weight in weights)
    assert not optimizer.state and kept.all()


def test_what_is_not_used_of_a_checkpoint_takes_no_memory(tmp_path):
    path, many = tmp_path / "a.ckpt", 12 << 20
    torch.save({"model": {"w": torch.ones(4)}, "optimizer": {"m": torch.ones(many)}}, path)
    before = resident()
    with weights_alone():
        loaded = TorchOfCheckpoints.load(str(path))
    assert resident() - before < many
    assert loaded["model"]["w"].sum() == 4 and loaded["optimizer"]["m"].sum() == many
    assert resident() - before > 3 * many  # of 4 bytes each


def test_the_best_weights_come_back_with_their_optimizer_where_its_own_was(run_words, monkeypatch):
    restored, restore = [], checkpoint.Checkpoint.restore

    def watched(self):
        restore(self)
        states = self.trainer.optimizer.state.values()
        moments = [state["exp_avg"].clone() for state in states]
        gradients = [weight.grad for weight in self.trainer.model.parameters()]
        restored.append((dict(self.trainer.model.state_dict()), moments, gradients))

    monkeypatch.setattr(checkpoint.Checkpoint, "restore", watched)
    best = load_checkpoint(str(run_words() / "best.ckpt"))
    ((weights, moments, gradients),) = restored
    assert all(torch.equal(weights[name], value) for name, value in best["model"].items())
    assert set(gradients) == {None} and len(moments) == len(best["optimizer"]["state"])
    for moment, kept in zip(moments, best["optimizer"]["state"].values(), strict=True):
        assert torch.equal(moment, kept["exp_avg"])


def test_the_function_that_mmfs_schedule_names_is_loaded(tmp_path):
    """`pythia`, with a list of a yaml beside it."""
    path = tmp_path / "pythia.ckpt"
    state = {"_lambda_func": lr_lambda_update, "betas": OmegaConf.create([0.9, 0.98])}
    torch.save({"lr_scheduler": state}, path)
    assert load_checkpoint(str(path)) == {"lr_scheduler": {"_lambda_func": lr_lambda_update, "betas": [0.9, 0.98]}}
