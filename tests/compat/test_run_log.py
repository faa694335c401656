"""The end of a run's tensorboard log."""

import subprocess
import sys

SCRIPT = """
import sys, mmf
from mmf.common.registry import registry
from mmf.utils.logger import TensorboardLogger
keep = TensorboardLogger(sys.argv[1], 0)
keep.summary_writer.add_scalar("val/one", 1.0, 1)
sys.modules["kept_until_the_very_end"] = keep
"""


def test_the_log_is_whole_and_the_process_ends(tmp_path):
    from mmf_visualbert.reproduce.results import read_scalars

    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=120)
    assert [point.value for point in read_scalars(tmp_path)["val/one"]] == [1.0]
