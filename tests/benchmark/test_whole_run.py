"""`visualbert benchmark run` starts what users start, ours beside MMF's own model; `table` draws what it found."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from mmf_runs import first_batch, load_trainer

from mmf_visualbert.benchmark import table, transformers_run, whole_run
from mmf_visualbert.benchmark.transformers_rival import Transformers
from mmf_visualbert.cli.benchmark import add_arguments
from mmf_visualbert.cli.main import main
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.timer import Timer

ROOT = Path(__file__).parents[2]
SMALL = [
    *(f"model_config.visualbert.size.{key}=16" for key in ("hidden_size", "intermediate_size")),
    *(f"model_config.visualbert.size.{key}=2" for key in ("num_hidden_layers", "num_attention_heads")),
]


def test_ours_and_mmf_s_own_learn_from_the_same_made_data(tmp_path):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["run", "--task", "nlvr2", "--against", "mmf", "--batch", "2", "--dtype", "fp32,bf16", *SMALL]
    contenders = whole_run.prepare(parser.parse_args([*words, "training.num_workers=0"]), tmp_path)
    assert [contender.label for contender in contenders] == ["ours_fp32", "ours_bf16", "mmf_fp32"]
    modules = []
    for contender in (contenders[0], contenders[2]):
        config, *arguments = contender.arguments
        trainer = load_trainer(Path(config.removeprefix("config=")), *arguments, f"env.save_dir={tmp_path / 'save'}")
        trainer.model.train()
        output = trainer.model(first_batch(trainer))
        sum(loss.mean() for loss in output["losses"].values()).backward()
        trainer.optimizer.step()
        modules.append(type(trainer.model).__module__)
        assert output["scores"].shape == (2, 2)
    assert modules == ["mmf_visualbert.plugin.model", "mmf.models.visual_bert"]


def test_a_run_that_fails_loses_nothing_of_the_others(tmp_path, monkeypatch, capsys):
    timed = {"updates": [{"wall": 2.0, "cpu": 1.0, "data": 0.5, "model": 1.0, "loop": 0.5}] * 2, "first_update": 3.0}
    timed |= {"peak_mib": 7.0, "torch": "2", "threads": 1}

    def measure(contender, folder, updates):
        if contender.label == "hf_fp32":
            raise InputError("the run hf_fp32 ended with code 1")
        return timed

    monkeypatch.setattr(whole_run, "measure", measure)
    words = ["benchmark", "run", "--task", "nlvr2", "--against", "mmf,hf", "--updates", "2"]
    assert main([*words, "--json", str(tmp_path / "f.json"), *SMALL]) == 2
    assert "hf_fp32 ended with code 1" in capsys.readouterr().err
    found = json.loads((tmp_path / "f.json").read_text())
    assert list(found["contenders"]) == ["ours_fp32", "mmf_fp32"] and found["rounds"] == 1
    assert (
        found["command"].startswith("visualbert benchmark run") and found["ratios"]["ours_fp32/mmf_fp32"]["time"] == 1
    )


def test_mmf_s_own_is_measured_in_what_it_can():
    assert whole_run.modes_of_mmf(["fp32", "bf16"], on_gpu=False) == ["fp32"]
    assert whole_run.modes_of_mmf(["bf16"], on_gpu=False) == ["fp32"]
    assert whole_run.modes_of_mmf(["fp32", "bf16"], on_gpu=True) == ["fp32", "fp16"]
    assert whole_run.modes_of_mmf(["bf16"], on_gpu=True) == ["fp16"]


def test_the_timer_says_where_an_update_s_time_goes(tmp_path):
    timer, weight = Timer(tmp_path / "timed.json"), torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    timer.start()
    for batch in torch.utils.data.DataLoader(torch.ones(4, 3)):
        (weight * batch).sum().backward()
        optimizer.step()
    timer.stop()
    optimizer.step()
    timer.write()
    found = json.loads((tmp_path / "timed.json").read_text())
    assert len(found["updates"]) == 3 and found["first_update"] > 0 and found["peak_mib"] > 10
    for update in found["updates"]:
        assert update["data"] + update["model"] + update["loop"] == pytest.approx(update["wall"], abs=1e-6)
        assert min(update["data"], update["model"], update["loop"]) > 0
    assert sum(whole_run.summary([found, found], batch=1)["shares"].values()) == pytest.approx(1)


def test_a_table_of_runs(tmp_path, capsys):
    page, folder = tmp_path / "page.md", tmp_path / "figures"
    folder.mkdir()
    figures = {"seconds": {"median": 2.0, "min": 1.0, "max": 3.0}, "cpu_seconds": 4.0, "first_update": 9.0}
    figures |= {"peak_mib": 1234.4, "shares": {"data": 0.01, "model": 0.94, "loop": 0.05}}
    measured = {"benchmark": "run", "workload": "vqa", "batch": 16, "contenders": {"ours_fp32": figures}}
    measured["machine"] = {"cpu": "a CPU", "threads": 2, "gpu": None, "instructions": "AVX2"}
    (folder / "run.json").write_text(json.dumps(measured))
    page.write_text("before\n<!-- table: runs -->\nold\n<!-- end of table -->\nafter\n")
    assert main(["benchmark", "table", str(page), "--folder", str(folder)]) == 0
    before, *_, row, _, after = page.read_text().splitlines()
    assert (before, after) == ("before", "after") and "old" not in page.read_text()
    who = "vqa, 16 questions | a CPU, 2 threads, AVX2 | ours, fp32"
    assert row == f"| {who} | 2.00 | 4.00 | 9.0 | 1,234 | 1.0 % | 94.0 % | 5.0 % |"
    assert main(["benchmark", "table", str(page), "--folder", str(folder)]) == 0
    assert capsys.readouterr().out.endswith("changed: nothing\n")


@pytest.mark.parametrize("page", ["README.md", "docs/speed.md", "docs/features.md", "benchmarks/records.md"])
def test_the_pages_have_the_figures_that_were_measured(page):
    text = (ROOT / page).read_text()
    assert table.drawn(text, table.read(ROOT / "benchmarks"), page) == text, "run visualbert benchmark table"


def test_a_page_without_a_table_and_an_unknown_one_are_refused():
    with pytest.raises(InputError, match=r"p.md has no <!-- table: name -->"):
        table.drawn("nothing", [], "p.md")
    with pytest.raises(InputError, match="asks for the table 'speeds'; name one of steps, memory, peak, runs, records"):
        table.drawn("<!-- table: speeds -->\n<!-- end of table -->", [], "p.md")


def test_several_processes_are_measured_beside_one(tmp_path):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    contenders = whole_run.prepare(parser.parse_args(["run", "--processes", "1,2", *SMALL]), tmp_path)
    assert [contender.label for contender in contenders] == ["ours_fp32", "ours_fp32_2_processes"]
    assert contenders[1].program[1:-1] == [
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python")
    ]
    assert contenders[0].arguments == contenders[1].arguments and contenders[0].program == contenders[1].program[-1:]
    figures = {"seconds": {"median": 2.0}, "cpu_seconds": 4.0, "first_update": 9.0, "peak_mib": 10.0}
    of_two = {**figures, "seconds": {"median": 1.5}, "cpu_seconds": 2.0}
    ratios = whole_run.ratios({"ours_fp32": figures, "ours_fp32_2_processes": of_two})
    expected = {"time": 0.75, "cpu": 0.5, "memory": 1.0, "first_update": 1.0}
    assert ratios == {"ours_fp32_2_processes/ours_fp32": expected}


def test_who_cannot_do_it_is_refused(capsys):
    assert main(["benchmark", "run", "--against", "jax"]) == 2
    assert "--against jax: hf, mmf can do vqa too" in capsys.readouterr().err


def test_transformers_learn_from_the_same_made_data(tmp_path, monkeypatch):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["run", "--task", "vqa", "--against", "hf", "--batch", "2", "--updates", "1", *SMALL]
    contenders = whole_run.prepare(parser.parse_args([*words, "training.num_workers=0"]), tmp_path)
    assert [contender.label for contender in contenders] == ["ours_fp32", "hf_fp32"]
    *_, workload, dtype, updates = contenders[1].program
    monkeypatch.setattr("sys.argv", ["loop", workload, dtype, updates, *contenders[1].arguments, "env.save_dir=save"])
    losses = []
    loss = Transformers.loss
    monkeypatch.setattr(Transformers, "loss", lambda self: losses.append(loss(self)) or losses[-1])
    transformers_run.main()
    assert len(losses) == 2 and all(torch.isfinite(each) for each in losses)
