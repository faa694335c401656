"""Several processes: shares of a batch add up to the whole, and whoever is missing is named."""

import os
import signal
import socket

import pytest
import torch
from omegaconf import OmegaConf
from torch import distributed as dist

from mmf_visualbert.errors import InputError
from mmf_visualbert.losses.cross_entropy import CrossEntropy
from mmf_visualbert.losses.pretraining import MaskedLM
from mmf_visualbert.plugin import processes
from mmf_visualbert.plugin.reports import entries_by_sample, whole_batch
from mmf_visualbert.plugin.shared_losses import NOT_COUNTED, batch_size, mmf_loss

WORDS, VOCABULARY = 4, 6
RANKS = 3


@pytest.fixture
def on_ranks(tmp_path):
    """Runs a function of the rank in forked processes that know each other; gives what each returns."""

    def run(work, size=RANKS):
        children = []
        for rank in range(size):
            child = os.fork()
            if child == 0:
                try:
                    torch.set_num_threads(1)  # the threads of what ran before are not forked, and would be waited for
                    address = f"file://{tmp_path / 'store'}"
                    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
                    torch.save(work(rank), tmp_path / str(rank))
                    dist.destroy_process_group()
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * size
        return [torch.load(tmp_path / str(rank), weights_only=False) for rank in range(size)]

    return run


def batch():
    """Seven samples, whose numbers of masked words are unequal; the last process has one of them, or none."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(VOCABULARY, (7, WORDS), generator=draw)
    masked = torch.rand(7, WORDS, generator=draw) < torch.tensor([0.9, 0.1, 0.5, 0.9, 0.1, 0.1, 0.0])[:, None]
    return {
        "id": torch.arange(7),
        "x": torch.randn(7, WORDS, 5, generator=draw),
        "masked_lm_labels": torch.where(masked, labels, -1),
        "targets": labels[:, 0],
    }


def gradient(loss, samples, outputs_of):
    """The loss of a batch, and the gradient of a layer of weights."""
    weights = torch.linspace(-1, 1, 5 * VOCABULARY).view(5, VOCABULARY).requires_grad_()
    value = loss(samples, outputs_of(samples, weights))
    value.backward()
    return value.detach(), weights.grad


def words(samples, weights):
    return {"masked_lm_logits": samples["x"][samples["masked_lm_labels"] != -1] @ weights}


def sentences(samples, weights):
    return {"scores": samples["x"].sum(1) @ weights}


@pytest.mark.parametrize(("part", "outputs_of"), [(MaskedLM, words), (CrossEntropy, sentences)])
@pytest.mark.parametrize("number", [7, 2])
def test_the_gradient_of_shares_is_that_of_the_whole_batch(on_ranks, part, outputs_of, number):
    whole = {name: value[:number] for name, value in batch().items()}
    value, slope = gradient(mmf_loss(part)(), whole, outputs_of)

    def share(rank):
        own = {name: value[rank::RANKS] for name, value in whole.items()}
        if not len(own["id"]):  # stands in for none
            own = {**{name: value[:1] for name, value in whole.items()}, NOT_COUNTED: torch.ones(1, dtype=bool)}
        return gradient(mmf_loss(part)(), own, outputs_of), batch_size(own)

    shares = on_ranks(share)
    torch.testing.assert_close(sum(each for (each, _), _ in shares) / RANKS, value)  # as MMF averages what it logs
    torch.testing.assert_close(sum(each for (_, each), _ in shares) / RANKS, slope)  # as torch averages gradients
    assert {size for _, size in shares} == {number}


def test_a_loss_that_is_no_number_is_none_on_all_processes(on_ranks):
    def share(rank):
        own = {name: value[rank::RANKS] for name, value in batch().items()}
        own["x"][0] = float("inf") if rank == 1 else 1.0
        return mmf_loss(CrossEntropy)()(own, sentences(own, torch.ones(5, VOCABULARY)))

    assert not any(value.isfinite() for value in on_ranks(share))


class Answers:
    """Two entries for each sample."""

    def format_for_prediction(self, report):
        return [{"id": int(report["id"]), "n": n, "score": float(report["scores"])} for n in range(2)]


def test_predictions_come_once_and_in_order(on_ranks):
    def share(rank):
        ids = torch.arange(rank, 7, RANKS)
        report = {"id": ids, "scores": ids / 2, "flat": torch.zeros(5)}
        if rank == 2:
            report = {"id": torch.tensor([0]), "scores": torch.tensor([0.0]), NOT_COUNTED: torch.ones(1)}
        return whole_batch(entries_by_sample(Answers(), report))

    expected = [{"id": i, "n": n, "score": i / 2} for i in (0, 1, 3, 4, 6) for n in range(2)]
    assert on_ranks(share) == [expected] * RANKS


@pytest.fixture
def meeting():
    """The section `distributed` of a run of two processes, one of which does not come."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "tcp://{}:{}".format(*free.getsockname())
    return lambda rank: OmegaConf.create(
        {"init_method": address, "rank": rank, "world_size": 2, "backend": "gloo", "timeout": 1}
    )


@pytest.mark.parametrize(
    ("rank", "said"),
    [(0, "process 1 of 2 did not come within 1 seconds"), (1, "could not reach the others at 127.0.0.1:.* process 0")],
)
def test_who_does_not_come_is_named_in_time(meeting, rank, said):
    with pytest.raises(InputError, match=said):
        processes.join(meeting(rank))
    assert not dist.is_initialized()


def test_who_is_gone_is_named(meeting):
    chosen = meeting(1)
    chosen.timeout = 60
    child = os.fork()
    if child == 0:
        processes.join(chosen)
        os._exit(9)  # without a word, as after kill -9
    chosen.rank = 0
    before = signal.getsignal(signal.SIGTERM)

    def work():
        processes.join(chosen)
        os.waitpid(child, 0)
        while True:
            dist.all_reduce(torch.ones(1))

    try:
        with pytest.raises(InputError, match=rf"process 1 of 2 \(number {child} on .*\) has ended, so that process 0"):
            processes.together(work)
    finally:
        processes.leave()
        signal.signal(signal.SIGTERM, before)


SRUN = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "40007", "SLURM_NNODES": "2"}


@pytest.mark.parametrize(
    ("environment", "tasks"),
    [
        ({}, 1),
        (SRUN, 2),
        ({**SRUN, "SLURM_JOB_NAME": "bash"}, 1),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, 1),
        ({"SLURM_NTASKS": "2"}, 1),
    ],
)
def test_the_tasks_of_srun(environment, tasks):
    assert processes.slurm_tasks(environment) == tasks


@pytest.mark.parametrize(
    ("nodes", "host"), [("node[03-05,9]", "node03"), ("a1,a2", "a1"), ("gpu-[7,9].cluster", "gpu-7.cluster")]
)
def test_they_meet_on_the_first_node_at_a_port_of_their_own(nodes, host):
    assert processes.slurm_meeting({**SRUN, "SLURM_JOB_NODELIST": nodes}) == f"tcp://{host}:20007"
    assert processes.slurm_meeting({**SRUN, "SLURM_NNODES": "1"}) == "tcp://127.0.0.1:20007"


def test_a_batch_that_cannot_be_shared_is_refused():
    processes.check_shares(12, 4)
    with pytest.raises(InputError, match=r"training\.batch_size=10 .* 4 cannot share it evenly; .* such as 12"):
        processes.check_shares(10, 4)
