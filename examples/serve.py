"""VisualBERT behind an address: a photograph and a text in, answers out. A start for a service of your own.

    pip install "mmf_visualbert[serve]"
    MODEL=save/vqa2/defaults/best.ckpt DETECTOR=pythia_x152 uvicorn serve:app --app-dir examples
    curl -F text="What color is the cat?" -F photograph=@cat.jpg http://127.0.0.1:8000/ask

It is as open as the address that uvicorn is given: put what you need of TLS, keys and limits in front of it.
"""

import os
import threading
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, UploadFile
from pydantic import BaseModel

from mmf_visualbert import VisualBERT
from mmf_visualbert.errors import InputError

LARGEST = 20 << 20  # bytes of a photograph

app = FastAPI(title="VisualBERT")
model = VisualBERT.from_pretrained(
    os.environ["MODEL"],
    detector=os.environ.get("DETECTOR"),
    detector_weights=os.environ.get("DETECTOR_WEIGHTS", "zoo"),
)
one_at_a_time = threading.Lock()


class Answer(BaseModel):
    """One answer."""

    answer: str
    probability: float
    box: list[float] | None


@app.post("/ask")
def ask(text: Annotated[str, Form(max_length=2000)], photograph: UploadFile) -> list[Answer]:
    """Asks the model's first head, most probable answer first."""
    content = photograph.file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise HTTPException(413, f"a photograph may have {LARGEST} bytes")
    try:
        with one_at_a_time:
            replies = model.ask(model.heads[0], text, content, best=5)
    except InputError as error:
        raise HTTPException(422, str(error)) from error
    return [
        Answer(answer=str(r.answer), probability=r.probability, box=None if r.box is None else list(map(float, r.box)))
        for r in replies
    ]
