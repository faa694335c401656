"""What the contenders of `train` and `infer` work on; torch is not needed to list it."""

from typing import NamedTuple

VOCABULARY, ANSWERS = 30522, 3129
PADDED_WORDS = 128  # what MMF's own configs pad every text to


class Lengths(NamedTuple):
    """Lengths of texts in word pieces, special tokens counted: normal, rounded, clipped."""

    mean: float
    deviation: float
    least: int
    most: int

    def describe(self) -> str:
        """The distribution in words."""
        return f"normal({self.mean}, {self.deviation}) clipped to [{self.least}, {self.most}] word pieces"


class Workload(NamedTuple):
    """A step of one phase of a task.

    Attributes:
        task, phase: our model is the one of `projects/visualbert/configs/<task>/<phase>.yaml`.
        lengths: of the texts; None for VCR, whose sequences have lengths of their own (`benchmark.vcr`).
        images: whose regions a text is read with.
        rivals: who can do it too.
    """

    task: str
    phase: str
    lengths: Lengths | None
    images: int = 1
    rivals: tuple[str, ...] = ("hf", "mmf")

    @property
    def config(self) -> str:
        """The yaml of our model, below `projects/visualbert/configs`."""
        return f"{self.task}/{self.phase}.yaml"


# VQA 2.0: questions of about 6 words, "?", [MASK] and two special tokens. COCO: two captions of about 11 pieces each.
WORKLOADS = {
    "vqa": Workload("vqa2", "defaults", Lengths(10.6, 2.5, 7, 24)),
    "pretrain": Workload("vqa2", "pretrain_coco", Lengths(26, 4, 19, 50)),
    "nlvr2": Workload("nlvr2", "defaults", Lengths(21, 6, 9, 45), images=2),
    "vcr_answer": Workload("vcr", "defaults", None, rivals=()),
    "vcr_rationale": Workload("vcr", "rationale", None, rivals=()),
}
LABELS = {"vqa": ANSWERS, "pretrain": 2, "nlvr2": 2}
