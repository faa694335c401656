"""A model computes in the type that was asked for, and says where that is no gain."""

import logging

import pytest
import torch

from mmf_visualbert.compat import onednn
from mmf_visualbert.modules import precision


@pytest.fixture(autouse=True)
def fresh():
    """Each test hears what is said once."""
    precision._say_if_emulated.cache_clear()
    yield
    precision._say_if_emulated.cache_clear()


@pytest.mark.parametrize(("asked", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_products_are_of_the_type_asked_for(asked, dtype):
    with precision.in_precision(asked, "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(("has_products", "times"), [(True, 0), (False, 1)])
def test_a_cpu_that_emulates_bf16_is_named_once(has_products, times, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(onednn, "has_bf16_products", lambda: has_products)
    for asked in ("fp32", "bf16", "bf16"):
        precision.in_precision(asked, "cpu")
    assert caplog.text.count("set model_config.visualbert.precision=fp32") == times


def test_whether_this_cpu_has_bf16_is_known():
    assert onednn.has_bf16_products() in (True, False)
