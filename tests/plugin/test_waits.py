"""A training step of no task asks the device for anything: what decides shapes is known on the CPU."""

import pytest
import torch
from mmf_runs import CONFIGS, first_batch, load_trainer, write_config
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmf_visualbert.plugin import no_numbers, waits

SCALE = CONFIGS / "scales" / "sample"
# Operators whose result, or its shape, the CPU has to know: on a GPU each waits for all that was queued before.
ASK = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_consecutive", "is_nonzero", "equal"}
# new_tensor copies a number from memory that is not pinned, for which it waits.
READ = {"tolist", "item", "numpy", "cpu", "new_tensor", "__bool__", "__int__", "__float__", "__index__"}
SETTINGS = [
    *(("vqa2/pretrain_coco", attention) for attention in ("packed", "sdpa")),
    *((f"{task}/defaults", "packed") for task in ("vqa2", "nlvr2", "flickr30k", "vcr")),
    ("flickr30k/no_early_fusion", "sdpa"),
    ("vcr/fixed_resnet", "packed"),
]


class Device(TorchDispatchMode):
    """Plays a GPU on the CPU: knows which tensors would lie there, and notes every question that is asked of them.

    What is computed of a tensor on the device lies there too; indices that were made on the CPU are copied to it, and
    copies into the CPU's memory that nothing waits for are none of the questions.

    Args:
        tensors: on the device at first.
    """

    def __init__(self, tensors):
        super().__init__()
        self.known, self.asked = {}, []
        for tensor in tensors:
            self.add(tensor)

    def add(self, tensor):
        reference = StorageWeakRef(tensor.untyped_storage())
        self.known[reference.cdata] = reference

    def has(self, value):
        if not isinstance(value, torch.Tensor):
            return False
        known = self.known.get(value.untyped_storage()._cdata)
        return known is not None and not known.expired()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, leaves = function.overloadpacket.__name__, tree_leaves((args, kwargs))
        there = any(map(self.has, leaves))
        if there and (name in ASK or (name.startswith("index") and self.by_mask(leaves))):
            self.asked.append(name)
        result = function(*args, **(kwargs or {}))
        if there and name != "copy_":
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    self.add(leaf)
        return result

    def by_mask(self, leaves):
        """Whether a tensor of True and False is an index: their number decides the result's shape."""
        return any(self.has(leaf) and leaf.dtype == torch.bool for leaf in leaves[1:])


class Reads(TorchFunctionMode):
    """Notes what Python reads of tensors without an operator of their own."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in READ and args and self.device.has(args[0]):
            self.device.asked.append(function.__name__)
        return function(*args, **(kwargs or {}))


def a_step(trainer, batch):
    """A step as MMF makes it; gives the losses."""
    losses = trainer.model(batch)["losses"]
    total = sum(loss.mean() for loss in losses.values())
    trainer.optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
    trainer.optimizer.step()
    return losses


def step_on(device, trainer, batch):
    """A step, with the questions that are asked of the device noted."""
    with Reads(device), device:
        return a_step(trainer, batch)


def loaded(config, world, folder, *overrides):
    task, phase = config.split("/")
    overlays = [SCALE / "common.yaml", SCALE / f"{task}.yaml", SCALE / f"{task}_{phase}.yaml"]
    folders = {"data_dir": str(world), "save_dir": str(folder / "save")}
    run = write_config(folder, CONFIGS / f"{config}.yaml", *(f for f in overlays if f.exists()), env=folders)
    trainer = load_trainer(run, "training.batch_size=4", "model_config.visualbert.dropout=0.1", *overrides)
    trainer.model.train()
    return trainer


@pytest.mark.parametrize(("config", "attention"), SETTINGS)
def test_a_step_asks_the_device_for_nothing(config, attention, small_world, tmp_path, monkeypatch):
    monkeypatch.setattr(waits, "put_off", lambda losses: True)
    trainer = loaded(config, small_world, tmp_path, f"model_config.visualbert.attention={attention}")
    batch = first_batch(trainer)
    there = [value for value in batch.values() if isinstance(value, torch.Tensor)]
    # `on_host` holds the very tensors where the device is the CPU: it gets copies, as a GPU's batch has them.
    copies = {name: value.clone() for name, value in batch["on_host"]._tensors.items()}
    batch["on_host"]._tensors.update(copies)
    device = Device([*there, *trainer.model.parameters(), *trainer.model.buffers()])
    losses = step_on(device, trainer, batch)
    assert all(bool(loss.isfinite().all()) for loss in losses.values())
    assert device.asked == []


def test_the_count_sees_what_would_wait():
    there, mask = torch.ones(4), torch.tensor([True, False, True, True])
    device = Device([there, mask])
    with Reads(device), device:
        float((there * 2).sum())
        (there + 1).tolist()
        there[mask]
        mask.nonzero()
        bool(mask.all())
        there.new_tensor(3)
    assert {"_local_scalar_dense", "tolist", "index", "nonzero", "new_tensor"} <= set(device.asked) and len(
        device.asked
    ) >= 6
    device = Device([there])
    with Reads(device), device:
        torch.empty(()).copy_(there.sum(), non_blocking=True)
        there[torch.tensor([0, 2])] * mask.sum().item()
    assert device.asked == []


def test_without_what_the_cpu_knows_the_outputs_are_the_same(small_world, tmp_path):
    trainer = loaded("vqa2/pretrain_coco", small_world, tmp_path)
    trainer.model.eval()
    batch = first_batch(trainer)
    with torch.no_grad():
        known = trainer.model.forward(batch)
        del batch["on_host"]
        asked = trainer.model.forward(batch)
    assert known.keys() == asked.keys() and all(torch.equal(known[name], asked[name]) for name in known)


def test_what_the_cpu_knows_reaches_a_training_step_of_both_versions(small_world, tmp_path):
    trainer = loaded("flickr30k/defaults", small_world, tmp_path)
    forward = getattr(trainer, "_forward_pass", None) or trainer._forward  # the release's, or main's
    trainer.device = torch.device("cpu", 0)  # another name for where the batch is, as "cuda" is for "cuda:0"
    seen = []
    trainer.model.visual_bert.register_forward_pre_hook(lambda module, given: seen.extend(given))
    forward(next(iter(trainer.train_loader)))
    assert len(seen) == 2 and all(inputs.on_host is not None for inputs in seen)


def test_a_batch_that_is_prepared_twice_keeps_what_the_cpu_knows(small_world, tmp_path):
    trainer = loaded("flickr30k/defaults", small_world, tmp_path)
    batch = first_batch(trainer)
    assert trainer.dataset_loader.prepare_batch(batch)["on_host"] is batch["on_host"]


def test_a_loss_that_is_no_number_is_found_before_the_step(small_world, tmp_path, monkeypatch):
    monkeypatch.setattr(waits, "put_off", lambda losses: True)
    trainer = loaded("flickr30k/defaults", small_world, tmp_path)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    batch = first_batch(trainer)
    batch["region_features"].fill_(float("inf"))
    device = Device([])
    with pytest.raises(no_numbers.InputError, match="is no number"):
        step_on(device, trainer, batch)
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())


@pytest.fixture
def refuse_waits():
    """Switches on, when called, that torch raises where it would wait for the GPU; off at the end."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("config", "attention"), SETTINGS)
def test_a_step_does_not_wait_for_a_gpu(config, attention, precision, small_world, tmp_path, refuse_waits):
    chosen = [f"model_config.visualbert.attention={attention}", f"model_config.visualbert.precision={precision}"]
    trainer = loaded(config, small_world, tmp_path, *chosen)
    batch = first_batch(trainer)
    assert batch["input_ids"].device.type == "cuda"
    a_step(trainer, batch)  # looks for a kernel
    refuse_waits()
    losses = a_step(trainer, batch)
    torch.cuda.set_sync_debug_mode("default")
    assert all(bool(loss.isfinite().all()) for loss in losses.values())
