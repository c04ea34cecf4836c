"""C10: files that come with a question are what their bytes are, few, small, and never a page."""

from __future__ import annotations

import base64
import io
import zipfile

import pytest
from django.test import RequestFactory

from predictions.requests import PredictionRequest, RequestInvalid, read_request
from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
GIF = b"GIF89a\x01\0\x01\0"
HTML = b"<html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def upload(data: bytes, mime: str, name: str, *, carried: str = "") -> dict[str, str]:
    text = base64.b64encode(data).decode()
    return {"type": "file", "name": name, "mime": mime, "data": f"data:{carried or mime};base64,{text}"}


def read(*uploads: dict[str, str]) -> PredictionRequest:
    body = {"question": "Hi", "uploads": list(uploads)}
    return read_request(RequestFactory().post("/", body, content_type="application/json"))


@pytest.mark.parametrize(("data", "mime", "name"), [(PNG, "image/png", "a.png"), (GIF, "image/gif", "a.gif")])
def test_an_image_is_taken(data: bytes, mime: str, name: str) -> None:
    assert read(upload(data, mime, name)).images


@pytest.mark.parametrize(
    ("data", "mime", "name"),
    [
        (HTML, "image/png", "a.png"),
        (SVG, "image/png", "a.png"),
        (b"GIF87" + HTML, "image/gif", "a.gif"),
        (b"MZ\x90\0", "image/png", "a.png"),
        (b"", "image/png", "a.png"),
        (PNG, "image/jpeg", "a.jpg"),
        (SVG, "image/svg+xml", "a.svg"),
        (HTML, "text/html", "a.html"),
        (b"alert(1)", "text/javascript", "a.js"),
        (PNG, "image/png", "a.html"),
        (PNG, "image/png", "a.png.html"),
        (PNG, "image/png", "a.svg"),
    ],
)
def test_what_is_not_what_it_says_is_refused(data: bytes, mime: str, name: str) -> None:
    with pytest.raises(RequestInvalid, match=r"uploads\[0\]"):
        read(upload(data, mime, name))


def test_the_type_that_the_data_carries_is_held_to_the_declared_one() -> None:
    with pytest.raises(RequestInvalid, match="mime says image/png"):
        read(upload(HTML, "image/png", "a.png", carried="text/html"))


def test_bytes_that_are_not_in_base64_are_no_image() -> None:
    for data in ("data:image/png,<svg/>", "data:image/png;base64,%%%"):
        with pytest.raises(RequestInvalid, match="no image"):
            read({"type": "file", "name": "a.png", "mime": "image/png", "data": data})


def test_there_are_few_of_them() -> None:
    with pytest.raises(RequestInvalid, match="at most 20, got 10000"):
        read(*[upload(PNG, "image/png", "a.png")] * 10_000)


def test_an_archive_is_not_unpacked() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * 10_000_000)

    taken = read(upload(packed.getvalue(), "application/zip", "a.zip"))

    assert taken.images == []
    assert taken.attached == ""


def test_a_multipart_files_type_is_not_believed(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    seeing = new_flow(drawing.conversation(model.url, allowImageUploads=True))

    refused = holder.http.post(
        f"/prediction/{seeing}", data={"question": "Hi"}, files={"files": ("cat.png", HTML, "image/png")}
    )

    assert refused.status_code == 400
    assert "its bytes are no image" in refused.json()["message"]
    assert model.requests == []


def test_a_model_that_is_not_to_see_images_is_shown_none(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel
) -> None:
    blind = new_flow(drawing.conversation(model.url))

    holder.answer(blind, "Hi", uploads=[upload(PNG, "image/png", "a.png")])

    assert "image_url" not in str(model.requests[-1].messages)
