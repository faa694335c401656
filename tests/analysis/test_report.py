"""The report of a run and of a chain: its numbers, and how it looks in a browser."""

import json
import re
import shutil
from html import escape

import numpy as np
import pytest
import torch
from browser import opened, serious_faults
from task_checkpoint import VCR_FRAMES, checkpoint
from torch.utils.tensorboard import SummaryWriter

from mmf_visualbert.analysis.explorer import spread
from mmf_visualbert.analysis.folders import sha256
from mmf_visualbert.analysis.judged import Judged, best_and_worst, calibration, confusions, judgements, shares
from mmf_visualbert.cli import main
from mmf_visualbert.contracts import Depicted, GoldBoxes, Reply
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.tasks.vcr.depict import written


def answer(number, probability, right, kind="other", said="red"):
    depicted = Depicted(f"q{number}", (f"image{number // 2}",), (), "what?", kind, ("blue",))
    return Judged(depicted, "what?", Reply("what?", said, probability), "blue", kind, right)


def test_calibration_is_that_worked_out_by_hand():
    """Of 4 answers of 0.9, 3 are right; of 4 of 0.35, 1 is: the error is (4 * 0.15 + 4 * 0.1) / 8."""
    several = [answer(n, 0.9, n < 3) for n in range(4)] + [answer(n + 4, 0.35, n < 1) for n in range(4)]
    bins, error = calibration(several)
    assert [(round(b.probability, 2), b.accuracy, b.answers) for b in bins] == [(0.35, 0.25, 4), (0.9, 0.75, 4)]
    assert error == pytest.approx(0.125)


def test_shares_confusions_and_best_and_worst():
    several = [answer(n, 0.5 + n / 100, n % 4 > 0, "yes/no" if n < 10 else "number") for n in range(40)]
    found = shares(several)
    assert [(one.kind, one.answers) for one in found] == [("all", 40), ("number", 30), ("yes/no", 10)]
    assert found[0].accuracy == 0.75 and found[0].interval.low < 0.75 < found[0].interval.high
    assert confusions(several)[0] == ("number", "blue", "red", 7)
    best, worst = best_and_worst(several, 3)
    assert [one.depicted.name for one in best] == ["q39", "q38", "q37"]
    assert [one.depicted.name for one in worst] == ["q36", "q32", "q28"]


def test_each_phrase_is_judged_by_its_own_boxes():
    boxes = (GoldBoxes("a man", 0, ((0, 0, 10, 10),), "people"), GoldBoxes("a dog", 0, ((20, 20, 30, 30),), "animals"))
    replies = [Reply("a man", "3", 0.9, (0, 0, 10, 9)), Reply("a dog", "4", 0.8, (0, 0, 10, 9))]
    found = list(judgements(Depicted("x", ("x",), (), "[a man] [a dog]", boxes=boxes), replies))
    assert [(one.kind, one.right) for one in found] == [("people", True), ("animals", False)]


@pytest.fixture(scope="module")
def run_folder(small_world, tmp_path_factory):
    """A run's folder as MMF leaves it: checkpoint, curves, a log with a warning, the record of reproduce."""
    folder = tmp_path_factory.mktemp("runs") / "defaults"
    folder.mkdir()
    checkpoint(small_world, "vqa2", "defaults", folder)
    with SummaryWriter(folder / "logs" / "tensorboard") as writer:
        for step in range(5):
            writer.add_scalar("train/total_loss", 2.0 - step / 5, step)
            writer.add_scalar("val/visualbert_vqa2/visualbert_vqa_accuracy", 0.5 + step / 10, step)
    line = "2026-11-26T01:01:20 | {} | mmf_visualbert.tasks.vqa2.dataset : <b>3</b> questions are cut\n"
    (folder / "train.log").write_text(line.format("WARNING") * 2 + line.format("INFO").replace("3", "4"))
    record = {"arguments": ["config=a b.yaml"], "seconds": 12.0, "metrics": {"visualbert_vqa_accuracy": 0.9}}
    (folder / "finished.json").write_text(json.dumps(record))
    return folder


def test_the_report_of_a_run(run_folder, capsys, chromium):
    page = run_folder / "report.html"
    assert main.main(["report", str(run_folder), "--count", "40"]) == 0
    assert capsys.readouterr().out == f"report: {page}\n"
    text = page.read_text()
    assert sha256(run_folder / "best.ckpt") in text and "sample-vqa2" in text
    assert "mmf_run &#39;config=a b.yaml&#39;" in text and "&lt;b&gt;3&lt;/b&gt; questions are cut" in text
    assert text.count("questions are cut") == 1
    with opened(chromium, page) as tab:
        assert re.search(r"of 40 answers are right \(95 %: [\d.]+ to [\d.]+\)", tab.inner_text(".headline"))
        assert "90.00" in tab.inner_text("main table >> nth=0") and "70.80" in tab.inner_text("main table >> nth=0")
        images = tab.eval_on_selector_all("img", "all => all.map(e => e.complete && e.naturalWidth > 50)")
        assert len(images) == 2 and all(images), "calibration and curves"
        shown = tab.locator("article").count()
        assert 6 <= shown <= 12 and tab.locator("article image").count() == shown
        assert serious_faults(tab) == []
    with opened(chromium, page, 390, "dark") as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert serious_faults(tab) == []


def test_the_report_of_a_chain(run_folder, small_world, tmp_path):
    chain = tmp_path / "full-sample-1"
    shutil.copytree(run_folder, chain / "defaults")
    (chain / "pretrain_coco").mkdir(parents=True)
    shutil.copy(run_folder / "best.ckpt", chain / "pretrain_coco" / "best.ckpt")
    result = {"task": "vqa2", "variant": "no_coco", "scale": "sample", "seed": 1}
    result |= {"phases": {"pretrain_coco": {}, "defaults": {}}, "metrics": {"visualbert_vqa_accuracy": 0.8}}
    (chain / "result.json").write_text(json.dumps(result))
    assert main.main(["report", str(chain), "--count", "5", f"env.data_dir={small_world}"]) == 0
    text = (chain / "report.html").read_text()
    assert "variant no_coco, scale sample, seed 1" in text and "w/o COCO Pre-training" in text
    assert "No curves: the run has no tensorboard log" in text and "only the order of variants" in text


def test_what_cannot_be_asked_is_said_on_the_page(run_folder, small_world, tmp_path):
    folder = tmp_path / "pretrain"
    folder.mkdir()
    checkpoint(small_world, "vqa2", "pretrain_task", folder)
    assert main.main(["report", str(folder)]) == 0
    assert "no example was asked: a phase of pre-training answers no question" in (folder / "report.html").read_text()


def test_folders_that_hold_no_run(tmp_path, capsys):
    assert main.main(["report", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert main.main(["report", str(tmp_path)]) == 2
    assert "has no checkpoint (best.ckpt" in capsys.readouterr().err
    (tmp_path / "result.json").write_text("[]")
    assert main.main(["report", str(tmp_path)]) == 2
    assert "is no result of visualbert reproduce" in capsys.readouterr().err
    assert np.all([not path.name.endswith(".html") for path in tmp_path.iterdir()])


def test_choices_are_asked_too(small_world, tmp_path):
    """VCR: the answer that the model takes of four, as by a plain pass, and the question."""
    folder = tmp_path / "vcr"
    folder.mkdir()
    _, dataset, parts = checkpoint(small_world, "vcr", "defaults", folder, overrides=VCR_FRAMES)
    assert main.main(["report", str(folder), "--count", "5", "--shown", "5"]) == 0
    text = (folder / "report.html").read_text()
    right = 0
    for place in spread(5, len(dataset)):
        batch = {name: value[None] for name, value in dataset[place].items()}
        with torch.no_grad():
            inputs = visual_bert_inputs(batch, parts.region_encoder(batch).features)
            scores = parts.heads["visualbert_choice"](parts.visual_bert(*inputs), batch).scores[0]
        record = dataset.annotations[place]
        right += int(scores.argmax()) == record.answer_label
        assert (
            escape(written(record.question)) in text and escape(written(record.answers[int(scores.argmax())])) in text
        )
    assert f"{20 * right:.1f} % of 5 answers are right" in text and "no example was asked" not in text
