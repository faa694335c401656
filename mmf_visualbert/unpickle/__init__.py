"""Reading other people's pickles: numpy arrays and plain containers, nothing that can run.

Python's unpickler trusts its input, and so does numpy: an array of objects over given bytes is an array of given
pointers, a view of an array that is rebuilt reads what is freed, and a tuple in tuples a million deep ends the process
where it is hashed. So the few forms that real files have are decoded here: records of MMF's LMDB files and imdbs,
BAN's and detectron2's files, in protocols 0 to 5.
"""

from mmf_visualbert.unpickle.arrays import RefusedError, check_text, plain_dtype
from mmf_visualbert.unpickle.loading import loads

__all__ = ["RefusedError", "check_text", "loads", "plain_dtype"]
