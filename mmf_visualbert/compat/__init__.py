"""The only place that knows which MMF, torch, transformers or omegaconf is installed.

`activate` watches for the imports that need a repair; `repairs` lists them all; every other file here holds repairs of
one subject. This file and what it imports cost next to nothing, because each Python process of the environment runs it.
"""

from mmf_visualbert.compat.importing import activate

__all__ = ["activate"]
