"""However MMF comes to be imported, it works and has our parts."""

import sys

HAS_OURS = "from mmf.common.registry import registry; assert registry.get_model_class('visualbert') is not None"
SPAWN = """
import multiprocessing, sys

def in_worker(_):
    assert "mmf" not in sys.modules, "a spawned worker begins afresh"
    {has_ours}
    return registry.get_model_class("visualbert").__name__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(in_worker, [0]) == ["VisualBERT"]
"""
# What takes long to import, and is none of ours or of MMF's, is imported once for all.
FORKED = """
import os, sys
import sklearn.metrics, torch, torchvision, transformers.models.bert.modeling_bert

FIRST = ["{has_ours}", "import mmf_cli.run, mmf_visualbert"]
FIRST += [f"import mmf_visualbert.plugin.{{module}}" for module in ("registration", "datasets", "model")]
for first in FIRST:
    assert "mmf" not in sys.modules
    if not os.fork():
        exec(first)
        {has_ours}
        print("done", flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, first
"""


def test_a_fresh_interpreter(start):
    done = start("python", "-c", f"import mmf\n{HAS_OURS}")
    assert done.returncode == 0, done.stderr


def test_whatever_is_imported_first(start):
    done = start("python", "-c", FORKED.format(has_ours=HAS_OURS))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["done"] * 5


def test_a_spawned_worker(start, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SPAWN.format(has_ours=HAS_OURS))
    done = start("python", str(script))
    assert done.returncode == 0, done.stderr


def test_importing_us_imports_nothing_else(start):
    heavy = "torch", "mmf", "transformers", "omegaconf", "numpy"
    done = start("python", "-c", f"import mmf_visualbert, sys; print([m for m in {heavy} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_activating_again_changes_nothing():
    from mmf_visualbert.compat import activate

    before = list(sys.meta_path)
    activate()
    assert sys.meta_path == before


def test_watched_modules_keep_their_own_loaders():
    import mmf

    assert type(mmf.__spec__.loader).__module__ != "mmf_visualbert.compat.importing"
    assert mmf.__loader__ is mmf.__spec__.loader
