"""A trained VisualBERT from Python: load, encode, ask, save and share. MMF is not needed."""

from mmf_visualbert.pretrained.model import Encoding, VisualBERT

__all__ = ["Encoding", "VisualBERT"]
