"""`python -m mmf_visualbert ...` is `visualbert ...`, for torchrun and where scripts are not on the path."""

import sys

from mmf_visualbert.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
