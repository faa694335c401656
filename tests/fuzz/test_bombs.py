"""A small file takes no more than 20 seconds of a processor and 3 GiB, and is one sentence."""

import importlib.util
import os
import resource
import tempfile
import traceback
from pathlib import Path

from mmf_visualbert.errors import LONGEST, InputError
from tests.fuzz.bombs import BOMBS, HDF5_BOMBS

SECONDS, BYTES = 20, 3 << 30


def test_bombs_end_in_one_sentence():
    """All in one process of its own, which the limits are set for; it says what came of each."""
    bombs = {**BOMBS, **(HDF5_BOMBS if importlib.util.find_spec("h5py") else {})}
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        with os.fdopen(into, "w") as stream:
            limit_memory()
            for name, bomb in bombs.items():
                print(f"\n{name}: ", end="", file=stream, flush=True)
                print(what_comes_of(bomb), end="", file=stream, flush=True)
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as stream:
        said = stream.read().strip().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f"ended by {code} at: {said[-1]}"
    wrong = [line for line in said if not line.endswith(": refused")]
    assert len(said) == len(bombs) and not wrong, "\n".join(wrong)


def limit_memory() -> None:
    """3 GiB more than this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, resource.RLIM_INFINITY))


def what_comes_of(bomb) -> str:
    """`refused`, or what else happens; the process ends where it takes too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    with tempfile.TemporaryDirectory() as folder:
        try:
            bomb(Path(folder))
        except InputError as error:
            said = str(error)
            return "refused" if "\n" not in said and len(said) <= LONGEST + 20 else f"said at length: {said[:300]!r}"
        except BaseException:
            return repr(traceback.format_exc()[-600:])
    return "was read"
