"""What an audit found, and its text."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

__all__ = ["Audit", "Measured", "RuleAudit"]

#: Errors of more ulps than this are shown with a witness.
TOLD = 4.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The worst errors, in units in the last place, of one thing before and after.

    ``worse_by`` is the largest growth at any one element beyond what rounding explains: twice the
    error before, a few ulps, and what changing the operands by one ulp changes. ``witness`` holds
    the values at which the error grew so, or at which it was largest before, ``outcome`` what both
    sides gave there. An infinite error means a NaN or infinity where mathematics has a number, or
    the other way around. ``same_bits``: both sides of an exact rule gave the same bits everywhere,
    so that it added no error; how large the error of both is was not asked, and stands as 0.
    """

    before: float
    after: float
    worse_by: float
    witness: str = ""
    outcome: str = ""
    same_bits: bool = False

    @property
    def worse(self) -> bool:
        """Whether some element lost more than rounding explains."""
        return self.worse_by > 0


@dataclass(frozen=True, slots=True)
class RuleAudit:
    """One rule: how often it fired, how many of these rewrites were measured, and the worst."""

    rule: str
    contract: str
    fired: int
    measured: int
    result: Measured | None
    left_out: str = ""

    @property
    def harmless(self) -> bool:
        """Whether there is no error to tell of, neither before nor after."""
        told = self.result is None or self.result.before > 0 or self.result.after > 0
        return not told and not self.left_out

    def __str__(self) -> str:
        times = f"{self.measured} of {self.fired}"
        if self.result is None:
            return f"{self.rule} [{self.contract}], {times} measured: {self.left_out}"
        text = f"{self.rule} [{self.contract}], {times} measured: {_change(self.result)}"
        text += f"; others: {self.left_out}" if self.left_out else ""
        return "\n".join([text, *_seen(self.result)])


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """The errors of every rule that fired and of the whole function. ``str()`` is a report."""

    name: str
    rules: tuple[RuleAudit, ...]
    whole: Measured | None
    left_out: str
    samples: int

    @property
    def worse(self) -> tuple[RuleAudit, ...]:
        """The rules that made something worse."""
        return tuple(r for r in self.rules if r.result is not None and r.result.worse)

    def __str__(self) -> str:
        fired = sum(r.fired for r in self.rules)
        head = (
            f"audit of {self.name}: {fired} rewrites by {len(self.rules)} rules, "
            f"{self.samples} draws; worst errors in ulps, NumPy against mpmath"
        )
        bad = ", ".join(r.rule for r in self.worse)
        verdict = f"made something worse: {bad}" if bad else "no rule made anything worse"
        parts = [_change(self.whole)] if self.whole is not None else []
        whole = ", ".join([*parts, *([self.left_out] if self.left_out else [])])
        lines = [head, *[str(r) for r in self.rules if not r.harmless]]
        lines += _listed([r for r in self.rules if r.harmless])
        lines += [verdict, f"the whole function: {whole}"]
        lines += _seen(self.whole) if self.whole is not None else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def _listed(rules: list[RuleAudit]) -> list[str]:
    """Rules without errors, each kind in one paragraph."""
    same = [r for r in rules if r.result is not None and r.result.same_bits]
    none = [r for r in rules if r not in same]
    kinds = (("the same bits before and after", same), ("no error before or after", none))
    return [
        textwrap.fill(
            f"{what}: " + ", ".join(f"{r.rule} {r.measured} of {r.fired}" for r in found),
            100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False,
        )
        for what, found in kinds
        if found
    ]  # fmt: skip


def _seen(m: Measured) -> list[str]:
    """Where it was seen, if it is more than rounding."""
    telling = m.worse or max(m.before, m.after) > TOLD
    return [f"    at {m.witness}:", f"    {m.outcome}"] if m.witness and telling else []


def _change(m: Measured) -> str:
    note = f", WORSE by {_number(m.worse_by)}" if m.worse else ""
    return f"{_number(m.before)} before, {_number(m.after)} after{note}"


def _number(error: float) -> str:
    return f"{error:.2g}" if error < 1e6 or error == math.inf else f"{error:.1e}"
