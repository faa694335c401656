"""Values with which MMF would do nothing, or stop with a traceback later, are refused when a run is configured."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from requests import ConnectionError, Request

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.command import named, run

VQA = "config=projects/visualbert/configs/vqa2/sample.yaml"
CRITERION = "training.early_stop.criteria"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("run_type=trian", "run_type=trian: 'trian' is none of train, val, test, inference, predict; name one"),
        ("run_type=train_vla", "'vla' is none of"),
        ("training.batch_size=0", "training.batch_size=0: at least 1 is wanted there"),
        ("training.num_workers=-1", "training.num_workers=-1: at least 0 is wanted there"),
        ("training.max_updates=-1", "training.max_updates=-1: at least 0"),
        ("training.log_format=xml", "training.log_format=xml: one of json, simple is wanted there"),
        (
            "training.logger_level=loud",
            "training.logger_level=loud: one of critical, debug, error, info, warn, warning",
        ),
        ("training.log_interval=0", "training.log_interval=0: at least 1"),
        ("scheduler.type=warmup_liner", r"scheduler: .* 'warmup_liner' \(did you mean 'warmup_linear'\?\)"),
        ("optimizer.type=AdmaW", r"optimizer: .* 'AdmaW' \(did you mean 'AdamW'\?\)"),
        ("evaluation.metrics=[vqa_acuracy]", r"evaluation.metrics\[0\]: .* \(did you mean 'vqa_accuracy'\?\)"),
        ("model_config.visualbert.losses[0].type=cross_entrpy", r"losses\[0\]: .* \(did you mean 'cross_entropy'\?\)"),
        (
            f"{CRITERION}=visualbert_vqa2/accuracy",
            "an evaluation gives total_loss, .*vqa_accuracy",
        ),
        (f"{CRITERION}=visualbert_nlvr2/visualbert_accuracy", "an evaluation gives total_loss"),
        ("run_type=test", "run_type=test trains nothing and no checkpoint is named"),
        ("model=visualbrt", r"no model named 'visualbrt' \(did you mean 'visualbert'\?\)"),
    ],
)
def test_it_is_named(configure, word, sentence):
    with pytest.raises(InputError, match=sentence):
        configure(VQA, word)


@pytest.mark.parametrize(
    "words",
    [
        ("run_type=val", "checkpoint.resume_file=best.ckpt"),
        ("run_type=train+val",),
        ("run_type=train", f"{CRITERION}=no_number"),  # nothing is evaluated
        (f"{CRITERION}=val/visualbert_vqa2/visualbert_answer_cross_entropy",),
        (f"{CRITERION}=visualbert_vqa2/visualbert_vqa_accuracy_yes_no",),
        ("optimizer.type=SGD", "scheduler.type=pythia", f"{CRITERION}=total_loss"),
    ],
)
def test_what_is_possible_passes(configure, words):
    assert configure(VQA, *words).get_config().model == "visualbert"


def test_a_run_without_an_end_or_a_prediction(configure):
    for words, sentence in (
        ((VQA, "training.max_updates=null", "training.max_epochs=null"), "are both null"),
        ((VQA, "run_type=train", "evaluation.predict=true"), "there is no split to predict in run_type=train"),
    ):
        with pytest.raises(InputError, match=sentence):
            configure(*words)


def test_folders_that_are_files(configure, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for key in ("save_dir", "report_dir"):
        with pytest.raises(InputError, match=rf"env.{key}=.*a.txt is a file; name a folder"):
            configure(VQA, f"env.{key}={tmp_path / 'a.txt' / 'deeper'}")


def test_the_users_folder(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    yaml = tmp_path / "mine.yaml"
    yaml.write_text(OmegaConf.to_yaml({"includes": [VQA.partition("=")[2]], "env": {"report_dir": "~/reports"}}))
    env = configure("config=~/mine.yaml", "env.data_dir=~/data", "env.save_dir", "~/save").get_config().env
    assert [Path(env[key]) for key in ("data_dir", "save_dir", "report_dir")] == [
        tmp_path / name for name in ("data", "save", "reports")
    ]


def test_a_run_without_a_model_is_one_sentence(capsys, monkeypatch, toy_project):
    monkeypatch.setattr("sys.argv", ["mmf_run"])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2
    assert "error: no model is named, neither on the command line nor in a yaml; give" in capsys.readouterr().err


def test_a_download_without_a_network_is_one_sentence():
    request = Request("GET", "https://example.org/model.tar.gz")

    def command():
        raise ConnectionError("name resolution failed", request=request)

    with pytest.raises(InputError, match=r"https://example.org/model.tar.gz cannot be downloaded; look whether"):
        named(command)
