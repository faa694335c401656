"""Writes the script that trains on several devices and machines, and that goes on after every stop.

visualbert launch --nodes 2 --devices 8 config=projects/visualbert/configs/vqa2/defaults.yaml env.data_dir=DATA
visualbert launch --by torchrun --devices 4 --dry-run config=... env.save_dir=FOLDER

For Slurm a file for `sbatch`, which has itself requeued until the run is at its end; by torchrun a script to start on
each machine. See docs/launch.md.
"""

import argparse
from pathlib import Path

FILES = {"slurm": "launch.sbatch", "torchrun": "launch.sh"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Machines, devices, and the words of mmf_run."""
    parser.add_argument("words", nargs="+", metavar="key=value", help="as mmf_run takes them, config=... among them")
    parser.add_argument("--by", choices=list(FILES), default="slurm", help="what starts the processes (%(default)s)")
    parser.add_argument("--nodes", type=int, default=1, help="machines (%(default)s)")
    parser.add_argument("--devices", type=int, default=1, help="of each machine, a process each (%(default)s)")
    parser.add_argument("--cpus", type=int, default=5, help="of each process (%(default)s)")
    parser.add_argument("--minutes", type=int, default=1440, help="that the job may take at once (%(default)s)")
    parser.add_argument(
        "--notice", type=int, default=120, help="seconds before that end at which it is told to save (%(default)s)"
    )
    parser.add_argument("--name", default="visualbert", help="of the job (%(default)s)")
    parser.add_argument("--out", type=Path, help="file to write (launch.sbatch or launch.sh)")
    parser.add_argument("--dry-run", action="store_true", help="print it, and write nothing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes or prints."""
    from mmf_visualbert import launching
    from mmf_visualbert.files import write_text

    asked = {name: getattr(options, name) for name in ("nodes", "devices", "cpus", "minutes", "notice", "name")}
    job = launching.job_of(options.words, **asked)
    text = {"slurm": launching.slurm, "torchrun": launching.torchrun}[options.by](job)
    if options.dry_run:
        print(text, end="")
        return
    file = options.out or Path(FILES[options.by])
    write_text(file, text)
    how = {"slurm": f"sbatch {file}", "torchrun": f"bash {file}{' FIRST_MACHINE' if options.nodes > 1 else ''}"}
    print(f"wrote {file}; start it with: {how[options.by]}")
