"""How every command ends: bad input, Ctrl-C and a pipe that nobody reads any more show a line at most."""

import errno
import os
import re
import select
import sys
from collections.abc import Callable

from mmf_visualbert.errors import IN_TEXT, InputError
from mmf_visualbert.files.writing import failure

BAD_INPUT, INTERRUPTED, PIPE_CLOSED = 2, 130, 141  # exit codes; the last two as a shell knows them
# What the system says where a file cannot be written, whoever wrote it.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# What torch says of a killed worker, from within whatever the process was about to do.
KILLED = re.compile(r"DataLoader worker \(pid (\d+)\) is killed by signal: Killed")


def finish(command: Callable[[], int | None], name: str, stopped: str = "stopped") -> int:
    """Runs a command and gives its exit code. What nobody foresaw keeps its traceback.

    Args:
        command: gives its exit code; None counts as 0. An InputError may come from a worker or a spawned process too.
        name: what the user called, which every line begins with.
        stopped: what is said after Ctrl-C.
    """
    try:
        code = command() or 0
        sys.stdout.flush()  # a closed pipe is found out here, not as Python ends
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: {stopped}\n")
        return INTERRUPTED
    except BrokenPipeError:
        if not _reader_is_gone():  # another pipe's
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be written
        return PIPE_CLOSED
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.stderr.write(f"{name}: error: {sentence}\n")
        return BAD_INPUT
    return code


def sentence_of(error: BaseException | None) -> str | None:
    """The sentence of the InputError that `error` is, was raised from, or quotes as text; None for any other error.

    That a file could not be written, on a full or read-only disk, is one sentence whoever wrote it; so is that a worker
    was killed.
    """
    while error is not None:
        killed = KILLED.search(str(error))
        if killed:
            return (
                f"a worker that reads data (process {killed[1]}) was killed, as the system does where memory runs out; "
                "take fewer workers or give them more memory, and go on from what was saved"
            )
        quoted = IN_TEXT.findall(str(error))
        if quoted:
            return quoted[-1]
        if isinstance(error, InputError):
            return str(error)
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            return str(failure(error.filename or "a file", error))
        if isinstance(error, PermissionError) and error.filename:
            return f"{error.filename} may not be opened or made by this user; change its permissions, or name another"
        error = error.__cause__
    return None


def _reader_is_gone() -> bool:
    """Whether nobody reads our output any more, as after `... | head`."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # no file at all
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
