"""Faces in a notebook."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expllm._readings import Face, Readings

_SHOWN = 24
_CARD = "display:inline-block;vertical-align:top;width:15em;margin:4px;font-size:12px"
_BAR = "display:inline-block;height:.7em;background:#4a7fb5"


def page(readings: Readings) -> str:
    """The first faces with their active units."""
    summary = escape(repr(readings).split("\n", 1)[0])
    cards = "".join(_card(face) for face in readings.faces[:_SHOWN])
    return f"<div><div>{summary}</div>{cards}</div>"


def _card(face: Face) -> str:
    title = face.error if face.error is not None else _title(face)
    active = list(face.units.active().items())[:8]
    bars = "".join(_bar(name, value) for name, value in active)
    file = escape(face.file or "")
    return f'<div style="{_CARD}">{_picture(face)}<div>{file}</div><b>{escape(title)}</b>{bars}</div>'


def _title(face: Face) -> str:
    expression = face.expression or ""
    share = (face.probabilities or {}).get(expression)
    return expression if share is None else f"{expression} {100 * share:.0f} %"


def _bar(name: str, value: float) -> str:
    label = escape(name.replace("_", " "))
    return f'<div><span style="{_BAR};width:{5 * value:.2f}em"></span> {label} {value:.2f}</div>'


def _picture(face: Face) -> str:
    png = face.native.crop_png()
    if png is None:
        return ""
    data = base64.b64encode(png).decode("ascii")
    return f'<img width="128" height="128" src="data:image/png;base64,{data}">'
