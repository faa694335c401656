"""A caption with its phrases as a page shows it."""

from mmf_visualbert.contracts import Depicted, GoldBoxes
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k
from mmf_visualbert.tasks.flickr30k.records import Caption


def depict(dataset: Flickr30k, index: int) -> Depicted:
    """The caption, its image, and the boxes of its phrases from left to right; see `Task.depict`."""
    caption = dataset.captions[index]
    annotated = dataset.annotations[caption.image_id].boxes
    return Depicted(
        name=f"{caption.image_id}#{caption.number}",
        images=(caption.image_id,),
        records=(dataset.regions.record(caption.image_id),),
        text=bracketed(caption) if dataset.masking is None else None,
        kind=", ".join(sorted({phrase.types[0] for phrase in caption.phrases})),
        boxes=tuple(
            GoldBoxes(
                caption.text_of(phrase),
                0,
                tuple(tuple(map(float, box)) for box in annotated[phrase.chain]),
                phrase.types[0],
            )
            for phrase in caption.phrases
        ),
    )


def bracketed(caption: Caption) -> str:
    """`[A man] in [a red shirt] waits.`, as the model is asked."""
    words = list(caption.words)
    for phrase in caption.phrases:
        words[phrase.first_word] = f"[{words[phrase.first_word]}"
        words[phrase.last_word] = f"{words[phrase.last_word]}]"
    return " ".join(words)
