"""The page and its three addresses. It is for one's own machine: only a browser there, on this page, gets an answer."""

import asyncio
import json
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mmf_visualbert.errors import InputError
from mmf_visualbert.serving.asking import Asker, BusyError

HOSTS = ["127.0.0.1", "localhost"]  # another name that leads here, as a hostile page's might, is refused
HEADER = "x-visualbert"  # a page of elsewhere cannot send it without asking first, which nothing here allows
RULES = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PAGE = {
    "/": ("serve.html", "text/html"),
    "/serve.js": ("serve.js", "text/javascript"),
    "/serve.css": ("serve.css", "text/css"),
}


def build_app(asker: Asker) -> FastAPI:
    """The application around a model."""
    app = FastAPI(title="VisualBERT", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)

    @app.middleware("http")
    async def with_rules(request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers.update(RULES)
        return response

    @app.get("/about")
    def about() -> dict[str, Any]:
        return asker.about()

    @app.get("/picture/{key:path}")
    def picture(key: str) -> Response:
        path = asker.picture(key)
        return Response(status_code=404) if path is None else FileResponse(path)

    @app.post("/ask")
    async def ask(request: Request) -> Response:
        if HEADER not in request.headers:
            return refused(403, f"questions come with the header {HEADER}; send it")
        content = await whole_body(request, asker.limits.size)
        if content is None:
            return refused(413, f"a question may have {asker.limits.size} bytes; make the photograph smaller")
        try:
            asked = json.loads(content)
        except (ValueError, RecursionError):
            return refused(422, "the question is no JSON; send JSON")
        return await answer(asker, asked)

    for address, (name, kind) in PAGE.items():
        text = files("mmf_visualbert.serving").joinpath(name).read_text(encoding="utf-8")
        app.add_api_route(address, lambda text=text, kind=kind: Response(text, media_type=kind), methods=["GET"])
    return app


async def answer(asker: Asker, asked: Any) -> Response:
    """The answer to a question, or one sentence."""
    try:
        return JSONResponse(await asyncio.wait_for(asyncio.to_thread(asker.ask, asked), asker.limits.seconds))
    except InputError as error:
        return refused(422, str(error))
    except (BusyError, asyncio.TimeoutError):
        return refused(503, f"there was no answer within {asker.limits.seconds:g} seconds; try again")


def refused(code: int, sentence: str) -> Response:
    """Why there is no answer."""
    return JSONResponse({"error": sentence}, status_code=code)


async def whole_body(request: Request, size: int) -> bytes | None:
    """What was sent; None for more than `size` bytes, of which no more are read."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > size:
            return None
    return bytes(content)
