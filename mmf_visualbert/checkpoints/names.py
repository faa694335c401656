"""What the weights of a VisualBERT are called by others, and by us.

A `Naming` is read in both directions: "theirs begins with this, ours begins with that", first fit first.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

MASKED_LM = "heads.visualbert_masked_lm."
SENTENCE_IMAGE = "heads.visualbert_sentence_image.classifier."
GROUNDING = "heads.visualbert_phrase_grounding."
ENCODER = "region_encoder."


class Naming(NamedTuple):
    """How one code base calls the weights.

    Attributes:
        title: what users call the code base.
        wrapper: prefix of all names in files, taken off first and put on last.
        renames: (their prefix, our prefix).
        classifier: their prefix of a task's last linear map, whose number of rows tells the task; "" where it is not
            one of ours.
        dropped: (their prefix, why it has no place in our model).
    """

    title: str
    wrapper: str
    renames: tuple[tuple[str, str], ...]
    classifier: str
    dropped: tuple[tuple[str, str], ...]


TIED = "is the word embeddings"
BUFFER = "is a constant"
UNUSED = "is not used by its own model"

ENCODER_WEIGHTS = (
    ("bert.embeddings.token_type_embeddings_visual.", "visual_bert.embeddings.visual_token_type_embeddings."),
    ("bert.embeddings.position_embeddings_visual.", "visual_bert.embeddings.visual_position_embeddings."),
    ("bert.embeddings.projection.", "visual_bert.embeddings.visual_projection."),
    ("bert.", "visual_bert."),
)
PRETRAINING = (
    ("cls.predictions.transform.", f"{MASKED_LM}transform."),
    ("cls.predictions.bias", f"{MASKED_LM}bias"),
    ("cls.seq_relationship.", SENTENCE_IMAGE),
)
# R2C's detector, which the authors' VCR models contain: a torchvision ResNet cut in two, and what comes after it.
DETECTOR = (
    ("detector.backbone.0.", f"{ENCODER}backbone.resnet.conv1."),
    ("detector.backbone.1.", f"{ENCODER}backbone.resnet.bn1."),
    ("detector.backbone.4.", f"{ENCODER}backbone.resnet.layer1."),
    ("detector.backbone.5.", f"{ENCODER}backbone.resnet.layer2."),
    ("detector.backbone.6.", f"{ENCODER}backbone.resnet.layer3."),
    ("detector.after_roi_align.0.", f"{ENCODER}backbone.resnet.layer4."),
    ("detector.mask_upsample.", f"{ENCODER}backbone.mask_convolution."),
    ("detector.object_embed.", f"{ENCODER}class_embeddings."),
    ("detector.obj_downsample.1.", f"{ENCODER}projection."),
    ("detector.regularizing_predictor.", f"{ENCODER}object_classifier."),
)
ALWAYS_DROPPED = (("cls.predictions.decoder.", TIED), ("bert.embeddings.position_ids", BUFFER))

AUTHORS = Naming(
    "the authors' code",
    "bert.",
    (
        *ENCODER_WEIGHTS,
        *PRETRAINING,
        ("flickr_attention.query.", f"{GROUNDING}query."),
        ("flickr_attention.key.", f"{GROUNDING}key."),
        *DETECTOR,
    ),
    "classifier.",
    (*ALWAYS_DROPPED, ("flickr_attention.value.", UNUSED)),
)
TRANSFORMERS = Naming(
    "transformers",
    "",
    (
        ("visual_bert.", "visual_bert."),
        *PRETRAINING,
        ("attention.query.", f"{GROUNDING}query."),
        ("attention.key.", f"{GROUNDING}key."),
    ),
    "cls.",
    (
        ALWAYS_DROPPED[0],
        ("visual_bert.embeddings.position_ids", BUFFER),
        ("attention.value.", UNUSED),
    ),
)
MMF = Naming(
    "MMF's visual_bert",
    "model.",
    (*ENCODER_WEIGHTS, *PRETRAINING),
    "",
    (*ALWAYS_DROPPED, ("classifier.", "is MMF's classifier of two linear maps, where the paper has one")),
)
NAMINGS: Mapping[str, Naming] = {"authors": AUTHORS, "transformers": TRANSFORMERS, "mmf": MMF}


def detect(names: Iterable[str]) -> str:
    """Which of `NAMINGS` these names follow, "ours", "bert" for a BERT without regions, or "unknown"."""
    names = list(names)

    def some(*prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in names)

    if some("heads.", "region_encoder."):
        return "ours"
    if some("visual_bert.embeddings.visual_projection.", "embeddings.visual_projection."):
        return "transformers"
    if some("model.bert.embeddings.projection."):
        return "mmf"
    if some("bert.bert.embeddings.projection.", "bert.embeddings.projection."):
        return "authors"
    return "bert" if some("bert.encoder.layer.", "encoder.layer.") else "unknown"


def unwrapped(naming: Naming, name: str, wrapped: bool) -> str:
    """Their name without what a whole model's file puts before it."""
    return name[len(naming.wrapper) :] if wrapped and name.startswith(naming.wrapper) else name


def our_name(naming: Naming, name: str) -> str | None:
    """Our name of their weight, None where we have none."""
    for theirs, ours in naming.renames:
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    return None


def their_name(naming: Naming, name: str) -> str | None:
    """Their name of our weight, None where they have none."""
    for theirs, ours in naming.renames:
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return None


def why_dropped(naming: Naming, name: str) -> str | None:
    """Why their weight has no place in our model; None where it has one, or is unknown."""
    return next((reason for prefix, reason in naming.dropped if name.startswith(prefix)), None)
