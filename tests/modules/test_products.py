"""fp32 products go to oneDNN only where they stay fp32's."""

import contextlib
import logging

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmf_visualbert.compat import onednn
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules import products


class RoundsToBf16(TorchDispatchMode):
    """What a CPU with AMX does after the switch: fp32 products of numbers rounded to bf16."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.mm.default and args[0].dtype == torch.float32:
            args = tuple(matrix.bfloat16().float() for matrix in args)
        return function(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Each test probes anew, and leaves torch as it was."""
    products.why_not_onednn.cache_clear()
    monkeypatch.setattr(products, "is_intel", lambda: False)
    with onednn.switched_on() if onednn.has_switch() else contextlib.nullcontext():
        yield
        monkeypatch.undo()
    products.why_not_onednn.cache_clear()


def test_the_probe_declines_where_products_are_not_those_of_fp32(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(onednn, "has_switch", lambda: True)
    monkeypatch.setattr(onednn, "switched_on", RoundsToBf16)
    assert products.choose_products("auto") == "torch"
    assert "oneDNN's products are" in caplog.text and "off on this CPU" in caplog.text
    with pytest.raises(InputError, match=r"fp32_products is 'onednn', but oneDNN's .* set 'auto' or"):
        products.choose_products("onednn")


@pytest.mark.skipif(not onednn.has_switch(), reason="this torch cannot hand products to oneDNN")
def test_what_is_chosen_has_the_error_of_fp32():
    own = products.error_of_product()
    products.choose_products("auto")
    assert products.error_of_product() <= products.TIMES_THE_ERROR * own < 1e-5


def test_intels_cpus_keep_mkl(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(products, "is_intel", lambda: True)
    monkeypatch.setattr(products, "why_not_onednn", lambda: None)
    assert products.choose_products("auto") == "torch"
    assert "made by Intel" in caplog.text


def test_a_torch_without_the_switch_is_said(monkeypatch):
    monkeypatch.setattr(onednn, "has_switch", lambda: False)
    assert products.choose_products("auto") == "torch"
    with pytest.raises(InputError, match="cannot hand fp32 products to oneDNN"):
        products.choose_products("onednn")


def test_torchs_own_choice_is_left_alone(monkeypatch):
    monkeypatch.setattr(onednn, "switch_on", lambda: pytest.fail("switched"))
    assert products.choose_products("torch") == "torch"
    with pytest.raises(InputError, match="fp32_products is 'mkl'; set one of auto, torch, onednn"):
        products.choose_products("mkl")


@pytest.mark.parametrize(
    ("text", "intel"),
    [("vendor_id\t: GenuineIntel\n", True), ("vendor_id\t: AuthenticAMD\n", False), ("CPU part\t: 0xd0c\n", True)],
)
def test_who_made_the_cpu(tmp_path, monkeypatch, text, intel):
    monkeypatch.undo()
    (tmp_path / "cpuinfo").write_text(text)
    assert products.is_intel(tmp_path / "cpuinfo") is intel
    assert products.is_intel(tmp_path / "nothing") is True
