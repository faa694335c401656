"""A dozen stops at random moments, amid writing and by a scheduler's signal: the end is that of a run never stopped."""

from collections import Counter
from pathlib import Path

from kills import try_stops

TOY_PROJECT = Path(__file__).resolve().parents[1] / "toy_project"


def test_a_dozen_stops_leave_the_end_as_it_is(toy_project, tmp_path):
    words = [
        f"config={TOY_PROJECT / 'run_words.yaml'}",
        f"env.user_dir={TOY_PROJECT}",
        "training.seed=1",
        "training.max_updates=18",
        "training.checkpoint_interval=2",
        "training.evaluation_interval=4",
    ]
    plan = Counter(killed=4, writing=4, signal=4)
    tried = try_stops(words, plan, seed=0, folder=tmp_path)
    assert tried.stops == plan, "each stop really happened"
    assert max(tried.processes) > 1 and not tried.differing
