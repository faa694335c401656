"""A dozen stops at random moments, amid writing and by a scheduler's signal: the end is that of a run never stopped."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TOY_PROJECT = TESTS / "toy_project"


def test_a_dozen_stops_leave_the_end_as_it_is():
    """In a process of its own: what other tests have left in this one is no part of a user's run."""
    words = [
        f"env.user_dir={TOY_PROJECT}",
        "training.seed=1",
        "training.max_updates=18",
        "training.checkpoint_interval=2",
        "training.evaluation_interval=4",
    ]
    numbers = ["--kills", "8", "--written", "4", "--signals", "4"]
    program = [sys.executable, str(TESTS / "kills.py"), str(TOY_PROJECT / "run_words.yaml"), *numbers, *words]
    tried = subprocess.run(program, cwd=TESTS, capture_output=True, text=True, timeout=600, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "stops: 4 killed, 4 signal, 4 writing" in tried.stdout, "each stop really happened"
    assert "; 0 values differ" in tried.stdout
