"""Commands of this environment out of one process that has imported what others wrote, and forks for each of them.

A command's start is almost all torch, transformers and the like. In the fork MMF, the package and the command begin
anew, in a process of their own, in the folder and with the words that the shell gives them.

    python forked_commands.py SOCKET        the process that forks; ends with its standard input
"""

import array
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import runpy
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

COMMANDS = ("mmf_run", "mmf_predict", "visualbert", "python")
# Written by others alone: a fork has to find MMF and the package as its folders are at that time.
IMPORTED = (
    "torch._dynamo",
    "torch.utils.tensorboard",
    "torchvision",
    "torchmetrics",
    "transformers.models.bert.modeling_bert",
    "pytorch_lightning",
    "sklearn.metrics",
    "scipy.stats",
    "pandas",
    "matplotlib.pyplot",
    "requests",
    "pytest",
)
ASK = """import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    files = array.array("i", [0, 1, 2])
    asked.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    asked.sendall((json.dumps([[{command!r}, *sys.argv[1:]], os.getcwd(), dict(os.environ)]) + "\\n").encode())
    sys.exit(int(asked.makefile().readline() or 1))
"""


@contextlib.contextmanager
def forked_commands(folder: Path, sources: Path) -> Iterator[Path]:
    """A folder to put first in PATH, whose commands are forks that take the package from `sources`."""
    address = str(folder / "asked")
    for command in COMMANDS:
        path = folder / command
        path.write_text(f"#!{sys.executable} -IS\n{ASK.format(address=address, command=command)}")
        path.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(sources)}
    with subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield folder
        finally:
            process.stdin.close()
            process.wait()


def serve(address: str) -> list[str]:
    """Forks for each command that is asked for, until standard input ends; in a fork, returns its words."""
    for name in IMPORTED:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as asked:
        asked.bind(address)
        asked.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([asked, sys.stdin], [], [])[0]:
            connection, _ = asked.accept()
            if os.fork() == 0:
                asked.close()
                return answer(connection)
            connection.close()
    sys.exit()


def answer(connection: socket.socket) -> list[str]:
    """Runs the command in one more fork, which returns its words, and tells its exit code."""
    _, sent, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    files = array.array("i", sent[0][2])
    words, folder, environment = json.loads(connection.makefile().readline())
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status) % 256}\n".encode())
        os._exit(0)
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return words


def run(command: str, words: list[str]) -> None:
    """Runs a command as the interpreter runs its file, or as `python` a file or a module."""
    if command != "python":
        words = [str(Path(sys.executable).parent / command), *words]
    if words[0] == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    sys.path[0] = str(Path(words[0]).resolve().parent)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    program, *arguments = serve(sys.argv[1])
    run(program, arguments)
