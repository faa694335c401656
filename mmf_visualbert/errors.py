"""The one exception for everything that a user can mend."""

import re

_LINE_END = re.compile(r"\s*[\r\n]\s*")
# How a worker's traceback ends, passed on as text; torch raises the error anew with it as the message.
IN_TEXT = re.compile(r"^(?:\S*\.)?InputError: (.+)$", re.MULTILINE)
LONGEST = 2000  # characters of a message


class InputError(ValueError):
    """A file, record, config key or checkpoint that cannot be used.

    The message is one sentence that names the file, the record and the mend. The command lines print it without a
    traceback and exit with code 2. It is one line, and not endless, whatever stood in the file that it quotes.

    Args:
        message: the sentence.
    """

    def __init__(self, message: str) -> None:
        quoted = IN_TEXT.findall(message)
        message = _LINE_END.sub(" ", quoted[-1] if quoted else message)
        if len(message) > LONGEST:
            message = f"{message[: LONGEST * 2 // 3]} ... {message[-LONGEST // 3 :]}"
        super().__init__(message)
