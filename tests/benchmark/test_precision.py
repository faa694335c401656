"""What fewer bits cost a model: the same examples in each precision, and int8's own maps."""

import json

import numpy as np
import pytest
import torch
from task_checkpoint import checkpoint
from torch import nn

from mmf_visualbert import VisualBERT
from mmf_visualbert.cli.main import main
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.int8 import Int8Linear


@pytest.fixture(scope="module")
def path(small_world, tmp_path_factory):
    return checkpoint(small_world, "vqa2", "defaults", tmp_path_factory.mktemp("precision"))[0]


def test_a_rounded_map_is_the_map_of_rounded_weights():
    """Weights to 127 steps of each row's largest; inputs to 7 bits of the batch's range."""
    torch.manual_seed(0)
    linear = nn.Linear(64, 24)
    with torch.no_grad():
        linear.weight *= torch.logspace(-3, 1, 24)[:, None]  # rows of very different sizes: each has its own scale
    states = torch.randn(5, 7, 64)
    scales = linear.weight.abs().amax(1, keepdim=True) / 127
    rounded = (linear.weight / scales).round() * scales
    expected = nn.functional.linear(states, rounded, linear.bias).detach()
    step = (states.max() - states.min()) / 127
    off = (Int8Linear(linear)(states) - expected).abs() / rounded.abs().sum(1).detach()
    assert float(off.max()) <= float(step) / 2 * 1.01 and float(off.max()) > 0


def test_the_command_measures_each(path, tmp_path, capsys):
    out = tmp_path / "precision.json"
    assert main(["benchmark", "precision", "--checkpoint", str(path), "--count", "64", "--json", str(out)]) == 0
    found = json.loads(out.read_text())["precisions"]
    assert list(found) == ["fp32", "bf16", "int8"] and found["fp32"]["changed"] == 0
    assert len({figures["answers"] for figures in found.values()}) == 1
    assert found["int8"]["megabytes"] < found["fp32"]["megabytes"]
    assert "int8" in capsys.readouterr().out


def test_a_model_in_int8_encodes_nearly_alike(path):
    whole, small = (VisualBERT.from_pretrained(path, precision=precision) for precision in ("fp32", "int8"))
    image = np.random.default_rng(0).random((4, 128), np.float32)
    states, rounded = (model.encode("a red circle", image).text for model in (whole, small))
    off = float((states - rounded).norm() / states.norm())
    assert 0 < off < 0.1
    assert len(small.answer(["what ?", "is it red ?"], [image, image])) == 2
    with pytest.raises(InputError, match=r"a model in int8 is not saved; load it with precision='fp32'"):
        small.save_pretrained(path.parent / "int8")
    with pytest.raises(InputError, match="a model in int8 does not run on cuda"):
        small.to("cuda")
    with pytest.raises(InputError, match="precision is 'int4'"):
        VisualBERT.from_pretrained(path, precision="int4")
