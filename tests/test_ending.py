"""How commands end: bad input, Ctrl-C, and a pipe that nobody reads any more."""

import os
import signal
import subprocess
import sys

import pytest

from mmf_visualbert.ending import finish
from mmf_visualbert.errors import InputError


def fail(error):
    raise error


def test_an_exit_code_is_passed_on():
    assert [finish(lambda code=code: code, "x") for code in (None, 0, 1)] == [0, 0, 1]


def test_bad_input(capsys):
    assert finish(lambda: fail(InputError("a.json is cut off; download it again")), "visualbert x") == 2
    assert capsys.readouterr().err == "visualbert x: error: a.json is cut off; download it again\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        finish(lambda: 1 / 0, "x")


def test_another_broken_pipe_is_not_hidden():
    def write_to_nobody():
        read, write = os.pipe()
        os.close(read)
        os.write(write, b"x")

    with pytest.raises(BrokenPipeError):
        finish(write_to_nobody, "x")


def python(body):
    # What is started in the background ignores the key, and hands that on.
    script = "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += f"from mmf_visualbert.ending import finish\n{body}"
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_interrupted():
    process = python(
        "def run():\n    print('on', flush=True)\n    time.sleep(60)\n"
        "sys.exit(finish(run, 'x', 'stopped; the same command goes on here'))"
    )
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.stderr.read() == "x: stopped; the same command goes on here\n"


@pytest.mark.parametrize("lines", [1, 100_000])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_went_away(lines, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = python(
        f"def run():\n    time.sleep(0.5)\n    for number in range({lines}): print(number)\nsys.exit(finish(run, 'x'))"
    )
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
