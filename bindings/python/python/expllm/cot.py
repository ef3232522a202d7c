"""The Exp-CoT engine: checked chains of thought from labelled faces, by any writer.

>>> from expllm import cot
>>> def writer(request):
...     return client.chat(messages=request.messages)
>>> cot.build("labels.jsonl", writer=writer, out="chains.jsonl")
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from expllm import _native
from expllm._units import Units

__all__ = ["Built", "SkipRecord", "WriteRequest", "build"]


class SkipRecord(Exception):
    """Raised by a writer that cannot write this record; the run goes on with the next."""


@dataclass(frozen=True)
class WriteRequest:
    """What a text is asked for."""

    file_name: str
    """Path of the image below the image root."""
    label: str
    """The expression to conclude with."""
    units: Units
    """Intensities of the action units."""
    seed: int
    """Varies the wording."""
    messages: list[dict[str, str]]
    """The conversation so far as ``role`` and ``content``; the last is from the user."""


@dataclass(frozen=True)
class _Settings:
    """Settings of a run, as the native part reads them."""

    name: str
    classes: int
    repairs: int
    seed: int
    word_limit: int
    compose: bool
    threads: int


@dataclass(frozen=True)
class Built:
    """A data set of chains."""

    path: str
    """The file: one JSON record per line."""
    records: int
    """How many records it holds."""
    by_status: dict[str, int]
    """How the records of this run ended: ``checked``, ``composed``, ``set_aside``, ``rejected``."""
    findings: dict[str, int]
    """How often each check failed on the last text of the writer."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The records, read from the file one by one."""
        with open(self.path, encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def build(
    records: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    *,
    writer: Callable[[WriteRequest], str],
    out: str | os.PathLike[str],
    name: str | None = None,
    classes: int = 8,
    repairs: int = 2,
    word_limit: int = 130,
    on_failure: Literal["compose", "set_aside"] = "compose",
    seed: int = 0,
    threads: int = 1,
) -> Built:
    """Writes a chain per record, checks it, and sends what fails back to the writer.

    ``records``: a file (.json, .jsonl, .parquet), or dictionaries with ``file_name``, ``emo``
    (the label) and ``au`` (24 numbers from 0 to 1 in the official order, or intensities by
    name). ``writer`` gives a text for a request; it is called in other threads, ``threads`` at a
    time. An exception in it ends the run and comes out here; what was finished stays in ``out``,
    and the same call goes on where it stopped. ``SkipRecord`` passes over one record.

    ``name`` of the writer is kept with each record. ``on_failure``: the composer's text stands
    in for one that never passed, or the record is set aside.
    """
    if on_failure not in ("compose", "set_aside"):
        raise ValueError(f'on_failure must be "compose" or "set_aside", found {on_failure!r}')
    if not 1 <= threads <= 1024:
        raise ValueError(f"threads must be from 1 to 1024, found {threads}")
    settings = _Settings(
        name=name or str(getattr(writer, "__name__", type(writer).__name__)),
        classes=classes,
        repairs=repairs,
        seed=seed,
        word_limit=word_limit,
        compose=on_failure == "compose",
        threads=threads,
    )
    given: str | list[str]
    if isinstance(records, (str, os.PathLike)):
        given = os.fspath(records)
    else:
        given = [json.dumps(dict(record)) for record in records]
    path = os.fspath(out)
    count, statuses, findings = _native.build(given, _call(writer), path, settings)
    return Built(path, count, dict(statuses), dict(findings))


def _call(writer: Callable[[WriteRequest], str]) -> _native._Writer:
    """The writer as the native part calls it."""

    def call(
        file_name: str,
        label: str,
        units: list[tuple[str, float]],
        seed: int,
        messages: list[tuple[str, str]],
    ) -> tuple[str | None, str | None]:
        talk = [{"role": role, "content": content} for role, content in messages]
        try:
            text = writer(WriteRequest(file_name, label, Units(dict(units)), seed, talk))
        except SkipRecord as error:
            return None, str(error) or "the writer skipped it"
        if not isinstance(text, str):
            raise TypeError(f"a writer must return a text, found {type(text).__name__}")
        return text, None

    return call
