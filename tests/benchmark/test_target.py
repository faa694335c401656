"""`visualbert benchmark target`: a run is stopped where it has what was asked for, and its time is told."""

import sys
from pathlib import Path

import pytest

from mmf_visualbert.benchmark import table, target
from mmf_visualbert.benchmark.whole_run import mmf_run
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import METRICS
from mmf_visualbert.plugin.run_metrics import lines_of

PROJECT = Path(__file__).resolve().parents[1] / "toy_project"


def test_a_run_ends_where_the_target_is_reached(tmp_path):
    save = tmp_path / "save"
    words = [f"config={PROJECT / 'run_words.yaml'}", f"env.user_dir={PROJECT}", f"env.save_dir={save}"]
    words += ["training.evaluation_interval=1", "training.max_updates=100000"]
    metrics = save / METRICS
    found = target.until([*mmf_run(sys.executable), *words], metrics, "val/toy_words/accuracy", 0.3)
    assert 0.3 <= found["value"] <= 1 and 1 <= found["update"] < 100000
    assert 0 < found["cpu_seconds"] and 1 < found["seconds"]
    evaluated = [row["val/toy_words/accuracy"] for _, row in lines_of(metrics) if row["split"] == "val"]
    assert found["value"] == next(value for value in evaluated if value >= 0.3)


def test_a_run_that_ends_before_is_refused(forked, tmp_path):
    command = [*mmf_run(str(forked / "python")), "config=none.yaml", f"env.save_dir={tmp_path}"]
    with pytest.raises(InputError, match=r"ended with code 2 before val/a was 0.8 \(best 0.0000\).*none.yaml"):
        target.until(command, tmp_path / "metrics.jsonl", "val/a", 0.8)


def test_a_line_that_is_being_written_is_left_for_later(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert [*lines_of(file)] == []
    file.write_text('{"update": 1}\n{"upda')
    assert [row for _, row in lines_of(file)] == [{"update": 1}]


def test_records_are_drawn_in_the_order_of_their_dates():
    machine = {"cpu": "a CPU", "threads": 2, "gpu": None}
    record = {"benchmark": "target", "target": 0.8, "machine": machine, "command": "visualbert benchmark target"}
    record |= {"seconds": 60.04, "cpu_seconds": 100.0, "update": 250}
    found = [{**record, "date": "2026-02-01", "change": "new"}, {**record, "date": "2026-01-01", "change": "old"}]
    first, second = table.records(found).splitlines()[2:]
    assert (
        first == "| 2026-01-01 | 80 % | 60.0 | 100.0 | 250 | a CPU, 2 threads | old | `visualbert benchmark target` |"
    )
    assert "| new |" in second
