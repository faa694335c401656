"""As `test_needs.py`, for the repairs of MMF's training, its processes and its messages."""

import atexit
import logging
import math
import types

import mmf.utils.distributed
import pytest
import torch
from omegaconf import OmegaConf
from repair_stand_ins import leaves, module, repair

# what goes wrong in MMF's training


class OldTrainer:
    """The parts of rc10's trainer that are repaired, with their faults."""

    num_updates = 0

    def __init__(self, max_updates=2, max_epochs=None, batches=5):
        self.max_updates, self.max_epochs = max_updates, max_epochs
        self.train_loader = types.SimpleNamespace(loaders=[range(batches)])
        self.watched = []

    def train(self):
        if self.max_epochs is not None:
            self.max_updates = math.inf
        torch.autograd.set_detect_anomaly(True)
        should_break = False
        while not should_break:
            self._forward_pass(None)
            self.num_updates += 1
            should_break = self._logistics(None)
            if self.num_updates > self.max_updates:
                should_break = True

    def _forward_pass(self, batch):
        self.watched.append(torch.is_anomaly_enabled())

    def _logistics(self, report):
        return False


class RightTrainer(OldTrainer):
    """The same, right already."""

    def train(self):
        while self.num_updates < self.max_updates:
            self._forward_pass(None)
            self.num_updates += 1


def copy_of(cls: type) -> type:
    """A class that a test may change, with its own methods."""
    return type(cls.__name__, cls.__bases__, {**{k: v for k, v in vars(OldTrainer).items()}, **vars(cls)})


@pytest.mark.parametrize(
    "function", ["leave_anomaly_detection_off", "stop_after_max_updates", "count_updates_of_epochs"]
)
def test_a_right_trainer_is_left_alone(function):
    leaves(f"training.{function}", module(BaseTrainer=copy_of(RightTrainer)))


def test_anomaly_detection_is_turned_off():
    made = module(BaseTrainer=copy_of(OldTrainer))
    assert repair("training.leave_anomaly_detection_off", made)
    trainer = made.BaseTrainer()
    try:
        trainer.train()
    finally:
        torch.autograd.set_detect_anomaly(False)
    assert trainer.watched and not any(trainer.watched)

    class Asks:
        def train(self):
            torch.autograd.set_detect_anomaly(self.config.detect_anomaly)

        def _forward_pass(self, batch):
            pass

    leaves("training.leave_anomaly_detection_off", module(BaseTrainer=Asks))


def test_no_update_too_many():
    made = module(BaseTrainer=copy_of(OldTrainer))
    wrong, trainer = OldTrainer(), made.BaseTrainer()
    assert repair("training.stop_after_max_updates", made)
    leaves("training.stop_after_max_updates", module(BaseTrainer=copy_of(RightTrainer)))
    for one in (wrong, trainer):
        one.train()
    torch.autograd.set_detect_anomaly(False)
    assert (wrong.num_updates, trainer.num_updates) == (3, 2)


def test_updates_of_epochs_are_counted():
    made = module(BaseTrainer=copy_of(OldTrainer))
    assert repair("training.count_updates_of_epochs", made)
    leaves("training.count_updates_of_epochs", module(BaseTrainer=copy_of(RightTrainer)))
    trainer = made.BaseTrainer(max_epochs=3, batches=5)
    trainer.train()
    torch.autograd.set_detect_anomaly(False)
    assert trainer.max_updates == 15


def test_several_data_sets_begin_anew():
    class Once:
        def __init__(self):
            self.loaders, self._iterators, self._finished_iterators, self._used_once = ["ab", "c"], [], {}, {}

        @property
        def iterators(self):
            return self._iterators

        def __iter__(self):
            for loader in self.loaders:
                self.iterators.append(iter(loader))
            return self._entries()

        def _entries(self):
            return (entry for n, one in enumerate(self.iterators) if n not in self._finished_iterators for entry in one)

    class Right(Once):
        def __iter__(self):
            self._finished_iterators = {}
            self.iterators.append(iter("abc"))
            return iter(self.iterators.pop())

    for right in (module(), module(MultiDatasetLoader=Right), module(MultiDatasetLoader=type("Other", (Right,), {}))):
        leaves("training.begin_several_anew", right)
    made = module(MultiDatasetLoader=Once)
    assert repair("training.begin_several_anew", made)
    loader = made.MultiDatasetLoader()
    for _ in range(2):
        assert "".join(loader) == "abc"
        loader._finished_iterators.update({0: 1, 1: 1})


def test_rates_in_step():
    class Late:
        num_updates = 0

        def load_extras(self):
            self.lr_scheduler = types.SimpleNamespace(step=steps.append)
            self.num_updates = 4

        def _run_scheduler(self):
            self.lr_scheduler.step(self.num_updates)

        def _backward(self, loss):
            self._run_scheduler()
            self.num_updates += 1

    class Right(Late):
        def _backward(self, loss):
            self.num_updates += 1
            self._run_scheduler()

    steps = []
    leaves("training.keep_rates_in_step", module(BaseTrainer=Right))
    leaves("training.keep_rates_in_step", module(BaseTrainer=type("Abstract", (), {})))
    assert repair("training.keep_rates_in_step", module(BaseTrainer=Late))
    trainer = Late()
    trainer.load_extras()
    trainer._backward(None)
    assert steps == [4, 5], "the updates of before, and one"


def test_the_last_evaluation_counts():
    class Loop:
        def __init__(self):
            self.judged = []
            self.early_stop_callback = types.SimpleNamespace(on_validation_end=lambda **kw: self.judged.append(kw))

        def on_validation_end(self, **evaluation):
            pass

        def after_training_loop(self):
            self.on_validation_end(report=1, meter=2)

    class Right(Loop):
        def after_training_loop(self):
            self.early_stop_callback.on_validation_end(report=1, meter=2)

    function = "training.judge_the_last_evaluation"
    leaves(function, module(TrainerTrainingLoopMixin=Right))
    assert repair("training.judge_the_last_evaluation", module(TrainerTrainingLoopMixin=Loop))
    loop = Loop()
    loop.after_training_loop()
    assert loop.judged == [{"report": 1, "meter": 2}]


def test_a_seed_for_each_rank(packages):
    def set_seed(seed):
        return seed

    def set_seed_of_rank(seed):
        return seed + get_rank()  # noqa: F821

    packages(mmf_cli__run="set_seed(seed + get_rank())")
    leaves("training.seed_each_rank", module(set_seed=set_seed))
    packages(mmf_cli__run="set_seed(seed)")
    leaves("training.seed_each_rank", module(set_seed=set_seed_of_rank))
    made = module(set_seed=set_seed)
    assert repair("training.seed_each_rank", made)
    assert made.set_seed(5) == 5, "of rank 0"


def test_early_stopping_on_all_ranks(monkeypatch):
    class Waits:
        should_stop, activated = True, False

        def __call__(self, update, iteration, meter):
            self.activated = True
            if self.should_stop:
                self.checkpoint.restore()
            return self.should_stop

    class Right(Waits):
        def __call__(self, update, iteration, meter):
            return self.should_stop

    leaves("training.stop_early_on_all_ranks", module(EarlyStopping=Right))
    assert repair("training.stop_early_on_all_ranks", module(EarlyStopping=Waits))
    monkeypatch.setattr(mmf.utils.distributed, "get_world_size", lambda: 2)
    assert Waits()(1, 1, None) is True, "decided, and nothing restored"


def makes_a_tuple(config):
    other_args = {}
    other_args["persistent_workers"] = (
        config.get(
            "persistent_workers",
            True,
        ),
    )
    return other_args


def makes_a_truth_value(config):
    other_args = {}
    other_args["persistent_workers"] = config.get("persistent_workers", True)
    other_args["sizes"] = (config.get("sizes"),)
    return other_args


def test_persistent_workers(monkeypatch):
    own = torch.utils.data.DataLoader.__init__
    monkeypatch.setattr(torch.utils.data.DataLoader, "__init__", own)
    leaves("training.heed_persistent_workers", module(build_dataloader_and_sampler=makes_a_truth_value))
    leaves("training.heed_persistent_workers", module())
    assert torch.utils.data.DataLoader.__init__ is own
    assert repair("training.heed_persistent_workers", module(build_dataloader_and_sampler=makes_a_tuple))
    loader = torch.utils.data.DataLoader([1], num_workers=1, persistent_workers=(False,))
    assert loader.persistent_workers is False


# several processes


def old_get_rank():
    return 0 if not torch.distributed.is_nccl_available() else 1


def old_distributed_init(config):
    if config.distributed.world_size == 1:
        raise ValueError("Cannot initialize distributed with distributed_world_size=1")
    torch.zeros(1).cuda()


def test_gloo(monkeypatch):
    function = "distributed.take_gloo_without_cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    leaves(function, module(get_rank=lambda: 0, distributed_init=lambda config: 0))
    made = module(get_rank=old_get_rank, distributed_init=old_distributed_init)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    leaves(function, made)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert repair("distributed.take_gloo_without_cuda", made)
    assert (made.get_rank(), made.get_world_size()) == (0, 1)


def test_one_process(monkeypatch):
    asked = []
    leaves(
        "distributed.run_alone_with_one_process",
        module(infer_init_method=asked.append, distributed_init=lambda config: 0),
    )
    made = module(infer_init_method=lambda config: asked.append(config), distributed_init=old_distributed_init)
    assert repair("distributed.run_alone_with_one_process", made)
    for size in ("1", "2"):
        monkeypatch.setenv("WORLD_SIZE", size)
        made.infer_init_method(size)
    assert asked == ["2"]


class OldDevice:
    """A trainer that takes CUDA for several processes."""

    def __init__(self):
        self.config = OmegaConf.create({"device_id": 1, "distributed": {"init_method": "env://", "rank": 1}})

    def choose(self):
        if self.config.distributed.init_method is not None:
            self.distributed = True
            self.device = torch.device("cuda", self.local_rank)

    def parallelize_model(self):
        raise AssertionError("not on CPUs")


class RightDevice(OldDevice):
    def choose(self):
        self.distributed = True
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    "function, cls, method",
    [
        ("distributed.train_release_without_cuda", "BaseTrainer", "_set_device"),
        ("distributed.train_main_without_cuda", "TrainerDeviceMixin", "configure_device"),
    ],
)
def test_devices_without_cuda(function, cls, method, monkeypatch):
    noted = {}
    registry = types.SimpleNamespace(register=noted.__setitem__)

    def made(trainer):
        methods = {
            method: trainer.choose,
            "parallelize_model": OldDevice.parallelize_model,
            "__init__": OldDevice.__init__,
        }
        return module(registry=registry, **{cls: type(cls, (), methods)})

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    leaves(function, made(OldDevice))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    leaves(function, made(RightDevice))
    leaves(function, module(registry=registry, **{cls: type(cls, (), {})}))
    old = made(OldDevice)
    assert repair(function, old)
    trainer = vars(old)[cls]()
    getattr(trainer, method)()
    assert (trainer.device, trainer.local_rank, trainer.distributed) == (torch.device("cpu"), 1, True)
    assert noted["global_device"] == 1


def test_each_rank_its_device(packages, monkeypatch):
    class Configuration:
        def get_config(self):
            return OmegaConf.create({"device_id": 0, "distributed": {"no_spawn": True}})

    packages(mmf_cli__run="os.environ['LOCAL_RANK']", mmf__utils__distributed="")
    leaves("distributed.give_each_rank_its_device", module(Configuration=Configuration))
    packages(mmf_cli__run="distributed_main(0)")
    assert repair("distributed.give_each_rank_its_device", module(Configuration=Configuration))
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert Configuration().get_config().device_id == 3


# messages of a run


def test_our_messages(monkeypatch):
    class Logger:
        def __init__(self, config, name=None):
            self._logger = logging.getLogger("visualbert_test_theirs")
            self._logger.setLevel("INFO")
            self._logger.handlers = [handler]

    class Right:
        def __init__(self, config, name=None):
            logging.basicConfig(level="INFO")

    handler = logging.NullHandler()
    leaves("run_log.show_our_messages", module())
    leaves("run_log.show_our_messages", module(Logger=Right))
    ours = logging.getLogger("mmf_visualbert")
    monkeypatch.setattr(ours, "handlers", [])
    assert repair("run_log.show_our_messages", module(Logger=Logger))
    Logger(None)
    assert ours.handlers == [handler]


def test_the_tensorboard_log(monkeypatch):
    class Left:
        def __init__(self, folder):
            self.summary_writer = types.SimpleNamespace(close=lambda: closed.append(folder))

    class Right:
        def __init__(self, folder):
            atexit.register(print, folder)

    closed, at_exit = [], []
    monkeypatch.setattr(atexit, "register", lambda *call: at_exit.append(call))
    leaves("run_log.close_tensorboard_in_time", module(TensorboardLogger=Right))
    assert repair("run_log.close_tensorboard_in_time", module(TensorboardLogger=Left))
    Left("here")
    ((function, *arguments),) = at_exit
    function(*arguments)
    assert closed == ["here"]
