"""The command `visualbert`: each file here is one of its commands, which parses, calls and prints.

A command's file has `add_arguments(parser)`, which also sets `run`, the function of the parsed options that gives the
exit code. What a command needs is imported when it runs: `--help` is quick, and needs no torch.
"""
