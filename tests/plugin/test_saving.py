"""Checkpoints are whole or not there, whatever the disk says and whenever the process is killed."""

import errno
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_text
from mmf_visualbert.plugin.save_folder import take
from mmf_visualbert.plugin.saving import CheckpointWriter, damage
from mmf_visualbert.plugin.torch_load import load_checkpoint

CALLS = ("write", "fsync", "replace", "link", "unlink")
NAMES = ("models/model_{}.ckpt", "best.ckpt", "current.ckpt")


def content(update: int) -> dict:
    return {"model": {"w": torch.full((500,), float(update))}, "num_updates": update}


def save(folder: Path, update: int) -> None:
    """One checkpoint under the names that MMF gives it."""
    writer, made = CheckpointWriter(), content(update)
    for name in NAMES:
        writer.write(made, folder / name.format(update))


def updates(folder: Path) -> dict[str, int]:
    """The update of each checkpoint under a final name, all of which have to be whole."""
    found = {}
    for path in folder.rglob("*.ckpt"):
        if not path.name.startswith("."):
            assert damage(path) is None, path
            loaded = load_checkpoint(str(path))
            assert (loaded["model"]["w"] == loaded["num_updates"]).all()
            found[path.name] = loaded["num_updates"]
    return found


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with two checkpoints."""
    save(tmp_path / "save", 1)
    save(tmp_path / "save", 2)
    return tmp_path / "save"


@pytest.fixture
def fail_at(monkeypatch):
    """Lets call number n of all calls that change the disk fail; gives how many were made."""

    def prepare(number: int, action) -> list[int]:
        calls = [0]

        def counted(call):
            def failing(*given, **options):
                calls[0] += 1
                if calls[0] == number:
                    return action(call, *given, **options)
                return call(*given, **options)

            return failing

        for name in CALLS:
            monkeypatch.setattr(os, name, counted(getattr(os, name)))
        return calls

    yield prepare
    monkeypatch.undo()


def test_the_names_of_a_checkpoint_are_one_file_and_the_one_before_is_kept(folder):
    assert updates(folder) == {
        "model_1.ckpt": 1,
        "model_2.ckpt": 2,
        "best.ckpt": 2,
        "current.ckpt": 2,
        "previous.ckpt": 1,
    }
    assert os.path.samefile(folder / "current.ckpt", folder / "models" / "model_2.ckpt")
    assert os.path.samefile(folder / "previous.ckpt", folder / "models" / "model_1.ckpt")


def faults():
    """What a disk can do: refuse, or take half of what it is given and then refuse."""

    def refuse(call, *given, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def shorten(call, *given, **options):
        if call.__name__ == "write":
            call(given[0], bytes(given[1])[: len(given[1]) // 2])
        raise OSError(errno.EIO, "Input/output error")

    return {"full": refuse, "half": shorten}


@pytest.mark.parametrize("fault", faults())
def test_a_fault_of_the_disk_leaves_old_or_new_at_each_call(folder, tmp_path, fail_at, monkeypatch, fault):
    failed = 0
    for number in itertools.count(1):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        calls = fail_at(number, faults()[fault])
        try:
            save(copy, 3)
        except InputError as error:
            failed += 1
            assert "\n" not in str(error) and "cannot be written" in str(error)
        monkeypatch.undo()
        found = updates(copy)
        assert found["current.ckpt"] in (2, 3) and found["previous.ckpt"] in (1, 2)
        assert found["model_2.ckpt"] == 2, "what was there stays"
        if calls[0] < number:
            break
    assert number > 8 and failed > 4, "the fault really happened"


def test_a_kill_leaves_old_or_new_at_each_call(folder, tmp_path, fail_at, monkeypatch):
    for number in itertools.count(1):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        child = os.fork()
        if child == 0:
            fail_at(number, lambda *given, **options: os._exit(9))
            save(copy, 3)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = updates(copy)
        assert found["current.ckpt"] in (2, 3) and found["previous.ckpt"] in (1, 2)
        if code == 0:
            break
    assert found == {**found, "current.ckpt": 3, "previous.ckpt": 2} and number > 8
    save(copy, 4)
    assert not [path for path in copy.rglob(".*") if path.is_file()], "what kills left is written over"


def test_a_disk_without_hard_links_has_copies(tmp_path, monkeypatch):
    def no_links(*given):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    save(tmp_path, 1)
    save(tmp_path, 2)
    assert updates(tmp_path) == {
        "model_1.ckpt": 1,
        "model_2.ckpt": 2,
        "best.ckpt": 2,
        "current.ckpt": 2,
        "previous.ckpt": 1,
    }


def test_a_flipped_bit_is_found(folder):
    path = folder / "current.ckpt"
    whole = path.read_bytes()
    place = whole.index(torch.full((500,), 2.0).numpy().tobytes()) + 40
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    torch.load(path, weights_only=True)  # torch does not look
    assert "is damaged (in" in damage(path)
    with pytest.raises(InputError, match=r"current\.ckpt is damaged"):
        load_checkpoint(str(path))


@pytest.fixture
def messages(caplog):
    """Our messages, also where MMF takes the root's handlers away."""
    logger = logging.getLogger("mmf_visualbert")
    caplog.set_level(logging.INFO, logger="mmf_visualbert")
    logger.addHandler(caplog.handler)
    yield lambda: [record.getMessage() for record in caplog.records]
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize("size", [0, 0.5])
def test_a_run_goes_on_from_the_checkpoint_before_a_cut_off_one(run_words, messages, tmp_path, size):
    saved = run_words("training.checkpoint_interval=1", "training.max_updates=5", save="save")
    whole = (saved / "current.ckpt").read_bytes()
    (saved / "current.ckpt").write_bytes(whole[: int(size * len(whole))])  # as a link: models/model_5.ckpt too
    run_words("checkpoint.resume=true", "training.checkpoint_interval=1", "training.max_updates=7")
    (said,) = {line for line in messages() if "cut off" in line}
    assert "current.ckpt is cut off or damaged; this run goes on with" in said
    assert "previous.ckpt" in said or "model_4.ckpt" in said
    assert torch.load(saved / "current.ckpt", weights_only=True)["num_updates"] == 7
    assert (saved / "current.ckpt.damaged").stat().st_size == int(size * len(whole))


def test_the_best_checkpoint_is_found_again_by_its_update(run_words, messages):
    saved = run_words(save="save")
    best = torch.load(saved / "best.ckpt", weights_only=True)
    (saved / "best.ckpt").unlink()
    (saved / "best.ckpt").write_bytes(b"")
    run_words("checkpoint.resume=true", "training.max_updates=7", "training.evaluation_interval=100")
    assert any("best.ckpt is cut off" in line for line in messages())
    again = torch.load(saved / "best.ckpt", weights_only=True)
    assert again["best_metric_value"] >= best["best_metric_value"]


def test_a_lost_best_checkpoint_is_replaced_by_the_next_evaluation(run_words, messages):
    saved = run_words(save="save")
    for path in (saved / "best.ckpt", *saved.glob("models/*.ckpt"), saved / "previous.ckpt"):
        path.unlink()
    (saved / "best.ckpt").write_bytes(b"PK")
    run_words("checkpoint.resume=true", "training.max_updates=9")
    assert any("has no best checkpoint until" in line for line in messages())
    assert torch.load(saved / "best.ckpt", weights_only=True)["num_updates"] in (7, 8, 9)


def test_nothing_whole_is_one_sentence(run_words):
    saved = run_words(save="save")
    for path in (*saved.glob("*.ckpt"), *saved.glob("models/*.ckpt")):
        path.unlink()
        path.write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"current\.ckpt is cut off.*no whole checkpoint beside it"):
        run_words("checkpoint.resume=true", "training.max_updates=9")


def test_weights_that_are_no_numbers_are_not_saved(run_words, monkeypatch):
    saved = run_words(save="save")
    before = (saved / "current.ckpt").read_bytes()

    def spoil(self):
        with torch.no_grad():
            next(iter(self.trainer.model.parameters())).fill_(float("nan"))

    checkpoint = sys.modules["mmf.utils.checkpoint"].Checkpoint
    load = checkpoint.load_state_dict
    monkeypatch.setattr(checkpoint, "load_state_dict", lambda self: (load(self), spoil(self))[0])
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", lambda scores, *given, **options: scores.sum() * 0 + 1)
    with pytest.raises(InputError, match="no numbers"):
        run_words("checkpoint.resume=true", "training.max_updates=9")
    assert (saved / "current.ckpt").read_bytes() == before


HOLDER = "import sys, time; from pathlib import Path; from mmf_visualbert.plugin.save_folder import take; "
HOLDER += "take(Path(sys.argv[1])); print('taken', flush=True); time.sleep(100)"


def test_a_second_training_in_the_folder_is_refused_while_the_first_lives(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "taken\n"
        with pytest.raises(InputError, match=rf"save_dir={tmp_path} is being written by .*process {first.pid} on"):
            take(tmp_path)
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    take(tmp_path)
    take(tmp_path)  # its own


def test_predictions_are_written_whole_or_not_at_all(run_words, tmp_path, monkeypatch):
    from mmf.common.test_reporter import TestReporter

    reporter = TestReporter.__new__(TestReporter)
    reporter.report = [{"id": 1, "answer": "two, or three"}, {"id": 2, "answer": "no"}]
    reporter.json_dump(str(tmp_path / "a.json"))
    reporter.csv_dump(str(tmp_path / "a.csv"))
    assert (tmp_path / "a.json").read_text() == '[{"id": 1, "answer": "two, or three"}, {"id": 2, "answer": "no"}]'
    assert (tmp_path / "a.csv").read_text() == 'id,answer\n1,"two, or three"\n2,no\n'
    full = faults()["half"]
    monkeypatch.setattr(os, "write", lambda *given, call=os.write: full(call, *given))
    with pytest.raises(InputError, match=r"b\.json cannot be written"):
        reporter.json_dump(str(tmp_path / "b.json"))
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.csv", "a.json"]


@pytest.mark.parametrize("fault", faults())
def test_a_fault_of_the_disk_leaves_old_or_new_predictions_at_each_call(tmp_path, fail_at, monkeypatch, fault):
    path, old, new = tmp_path / "a.json", [{"id": 1}], [{"id": 2, "answer": "x" * 5000}]
    failed = 0
    for number in itertools.count(1):
        write_text(path, json.dumps(old))
        calls = fail_at(number, faults()[fault])
        try:
            write_text(path, json.dumps(new))
        except InputError as error:
            failed += 1
            assert "\n" not in str(error) and "cannot be written" in str(error)
        monkeypatch.undo()
        assert json.loads(path.read_text()) in (old, new)
        if calls[0] < number:
            break
    assert failed >= 3 and json.loads(path.read_text()) == new
