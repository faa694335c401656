"""What a run measured, from a real tensorboard log; the row beside the paper's; files whole or not there."""

import json

import pytest
from torch.utils.tensorboard import SummaryWriter

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_json
from mmf_visualbert.reproduce.plan import make_plan
from mmf_visualbert.reproduce.results import final_metrics, read_scalars, table

ACCURACY = "val/visualbert_vqa2/visualbert_vqa_accuracy"


def log(folder, *scalars):
    """Writes (tag, value, step, time) into a log of its own."""
    with SummaryWriter(str(folder)) as writer:
        for tag, value, step, time in scalars:
            writer.add_scalar(tag, value, step, walltime=time)


def test_scalars_of_several_logs_are_in_the_order_of_time(tmp_path):
    log(tmp_path / "logs" / "second", (ACCURACY, 0.75, 30, 300.0))
    log(tmp_path / "logs" / "first", (ACCURACY, 0.25, 10, 100.0), (ACCURACY, 0.5, 20, 200.0), ("lr", 1.0, 10, 100.0))
    scalars = read_scalars(tmp_path)
    assert [tuple(point) for point in scalars[ACCURACY]] == [(10, 100.0, 0.25), (20, 200.0, 0.5), (30, 300.0, 0.75)]
    assert [point.value for point in scalars["lr"]] == [1.0]


def test_long_logs_are_read_whole(tmp_path):
    log(tmp_path, *((ACCURACY, step / 4096, step, float(step)) for step in range(2000)))
    assert len(read_scalars(tmp_path)[ACCURACY]) == 2000


def test_the_last_value_of_each_metric_counts(tmp_path):
    log(
        tmp_path,
        (ACCURACY, 0.75, 10, 100.0),
        (ACCURACY, 0.5, 10, 200.0),  # MMF's evaluation of the best checkpoint comes last, with an earlier step
        ("val/visualbert_vqa2/visualbert_answer_cross_entropy", 2.0, 10, 200.0),
        ("val/total_loss", 2.0, 10, 200.0),
        ("train/visualbert_vqa2/visualbert_vqa_accuracy", 0.9, 10, 300.0),
        ("test/visualbert_vqa2/visualbert_vqa_accuracy", 0.25, 10, 300.0),
    )
    assert final_metrics(tmp_path) == {"visualbert_vqa_accuracy": 0.5, "visualbert_answer_cross_entropy": 2.0}
    assert final_metrics(tmp_path, "test") == {"visualbert_vqa_accuracy": 0.25}


def test_metrics_of_an_earlier_run_do_not_count(tmp_path):
    log(tmp_path / "old", (ACCURACY, 0.5, 10, 100.0), ("val/visualbert_vqa2/visualbert_loss", 3.0, 10, 100.0))
    log(tmp_path / "new", (ACCURACY, 0.25, 10, 200.0))
    assert final_metrics(tmp_path, since=150.0) == {"visualbert_vqa_accuracy": 0.25}
    with pytest.raises(InputError, match="has no metric of the split 'val'"):
        final_metrics(tmp_path, since=250.0)


def test_a_log_that_is_missing_or_says_nothing(tmp_path):
    with pytest.raises(InputError, match=r"holds no tensorboard log; run the phase with training\.tensorboard=true"):
        read_scalars(tmp_path)
    log(tmp_path, ("train/total_loss", 1.0, 1, 1.0))
    with pytest.raises(InputError, match="has no metric of the split 'val'"):
        final_metrics(tmp_path)


def test_table_puts_the_papers_row_below_ours():
    plan = make_plan("nlvr2", "ablation_no_bert", "sample")
    heads, ours, theirs, warning = table(plan, {"visualbert_nlvr2_accuracy": 0.5125, "visualbert_loss": 1}).splitlines()
    assert heads.split() == ["Dev"]
    assert ours.split() == ["ablation_no_bert,", "sample", "scale", "51.25"]
    assert theirs.startswith("w/o BERT Initialization (Table 5") and theirs.split()[-1] == "64.70"
    assert "not the paper's data" in warning


def test_table_leaves_a_dash_where_one_side_has_no_number():
    text = table(make_plan("vcr", "fixed_resnet", "paper"), {"visualbert_vcr_answer_accuracy": 0.7})
    heads, ours, theirs = text.splitlines()
    assert heads.split() == ["Q", "→", "A", "Q", "→", "AR"]
    assert ours.split()[-2:] == ["70.00", "-"] and theirs.split()[-2:] == ["-", "51.40"]


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "result.json"
    write_json(path, {"title": "Q → A"})
    assert json.loads(path.read_text()) == {"title": "Q → A"} and "→" in path.read_text()
    with pytest.raises(TypeError):
        write_json(path, {"bad": object()})
    assert json.loads(path.read_text()) == {"title": "Q → A"}
    write_json(path, [1])
    assert json.loads(path.read_text()) == [1]
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]
