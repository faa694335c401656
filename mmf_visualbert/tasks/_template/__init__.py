"""Template: a task of your own. Copy this folder, put your name in place of `template`, and change what is yours.

Copied into `mmf_visualbert/tasks/` it is found by itself; as a package of your own it is named by `env.user_dir` (MMF's
commands) and `--user-dir` (`visualbert`). Importing the package files its parts.
"""

from . import dataset, head, metrics, task

__all__ = ["dataset", "head", "metrics", "task"]
