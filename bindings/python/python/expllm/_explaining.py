"""Chains of thought: written from action units, checked against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from expllm import _native


@dataclass(frozen=True)
class Chain:
    """An explanation in the three parts of the paper."""

    key_observations: str
    """Action units, their intensity, and what they suggest."""
    interpretation: str
    """How the units combine and which emotion dominates."""
    conclusion: str
    """The label, in a sentence."""

    def __str__(self) -> str:
        return (
            f"**Key Observations:** {self.key_observations}\n\n"
            f"**Overall Emotional Interpretation:** {self.interpretation}\n\n"
            f"**Conclusion:** {self.conclusion}"
        )


@dataclass(frozen=True)
class Explanation:
    """Why a face shows an expression, held against its action units."""

    expression: str
    """The label that the chain concludes with."""
    chain: Chain
    """The explanation."""
    precision: float | None
    """Share of statements that the readings support; ``None`` without statements."""
    recall: float | None
    """Share of active units that are named; ``None`` when none is active."""
    unsupported: tuple[str, ...]
    """Sentences that the readings contradict."""

    @classmethod
    def of(cls, found: _native._Explained) -> Explanation:
        """From what the native part gives."""
        label, parts, precision, recall, unsupported = found
        return cls(label, Chain(*parts), precision, recall, tuple(unsupported))

    def __str__(self) -> str:
        return str(self.chain)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a text."""

    check: str
    """The check that failed, such as ``word_limit``."""
    detail: str
    """What to change."""


@dataclass(frozen=True)
class Checked:
    """A text held against a label and action units."""

    findings: tuple[Finding, ...]
    """What is wrong; empty when nothing is."""
    precision: float | None
    """Share of statements that the units support; ``None`` without statements."""
    recall: float | None
    """Share of active units that are named; ``None`` when none is active."""
    unsupported: tuple[str, ...]
    """Sentences that the units contradict."""

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.findings


class Composer:
    """Writes chains of thought from a bank of whole sentences, without any model.

    ``classes``: 8 expressions in play, or 7 without contempt.
    """

    def __init__(self, *, classes: int = 8) -> None:
        if classes not in (7, 8):
            raise ValueError(f"classes must be 7 or 8, found {classes}")
        self.classes = classes

    def compose(self, units: Mapping[str, float], label: str, *, seed: int = 0) -> Chain:
        """A chain that concludes with ``label``; the same input and seed give the same text.

        ``units``: intensities from 0 to 1 by name, such as ``Face.units``; a unit that is not
        named was not measured.
        """
        return Chain(*_native.compose(dict(units), label, self.classes, seed % 2**64))


def check_chain(
    text: str | Chain, label: str, units: Mapping[str, float], *, classes: int = 8
) -> Checked:
    """Checks a text as the Exp-CoT engine does: parts, length, label, and every statement
    against the intensities from 0 to 1 by name."""
    found = _native.check(str(text), label, dict(units), classes)
    findings, precision, recall, unsupported = found
    named = tuple(Finding(check, detail) for check, detail in findings)
    return Checked(named, precision, recall, tuple(unsupported))
