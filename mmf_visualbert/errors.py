"""The one exception for everything that a user can mend."""


class InputError(ValueError):
    """A file, record, config key or checkpoint that cannot be used.

    The message is one sentence that names the file, the record and the mend. The command lines print it without a
    traceback and exit with code 2.
    """
