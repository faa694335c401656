"""The benchmark of the analysis measures what it says, on a model of two layers."""

import json

from mmf_visualbert.cli import main


def test_all_heads_beside_a_forward_pass(tmp_path, capsys):
    given = [
        "--images",
        "32",
        "--layers",
        "2",
        "--rounds",
        "2",
        "--dimension",
        "16",
        "--json",
        str(tmp_path / "a.json"),
    ]
    assert main.main(["benchmark", "analysis", *given]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert (
        found["images"] == 32 and found["heads"] == 24 and found["command"].startswith("visualbert benchmark analysis")
    )
    assert found["time_ratios"]["all_heads / forward"] > 0 and found["resident_mib"]["end"] > 100
    assert "time_ratios" in capsys.readouterr().out
