"""The doctor's report."""

import importlib.util

from mmf_visualbert import doctor
from mmf_visualbert.compat import installed


def test_report_of_this_environment(start, forked):
    done = start(str(forked / "python"), "-m", "mmf_visualbert.doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Python 3.")
    assert any(line.startswith(f"MMF {installed.mmf_version()} in ") for line in lines)
    assert any(line.startswith("device: ") for line in lines)
    assert any(line.startswith("  configuration.run_from_yaml_alone: ") for line in lines)
    assert any("detectron2" in line for line in lines) == (importlib.util.find_spec("detectron2") is None)
    assert lines[-1] == "ready"


def test_without_mmf_the_exit_code_says_so(monkeypatch, capsys):
    monkeypatch.setattr(installed, "mmf_folder", lambda: None)
    assert doctor.main() == 1
    said = capsys.readouterr().out
    assert "MMF is missing - run tools/setup.sh" in said
    assert said.splitlines()[-1].startswith("not usable")
