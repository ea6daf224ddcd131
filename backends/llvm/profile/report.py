"""The outcome of a profile: a row per kernel, printed as a table."""

from __future__ import annotations

from dataclasses import dataclass

from .peaks import Peaks

__all__ = ["KernelProfile", "Profile"]


@dataclass(frozen=True, slots=True)
class KernelProfile:
    """One kernel call: ``seconds`` (median over the rounds), distinct ``bytes`` of memory touched,
    floating-point operations ``flops``, the ``dtype`` they are done in, and the user's ``lines``.
    """

    step: int
    title: str
    seconds: float
    bytes: int
    flops: int
    dtype: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """Time, memory traffic and work of every kernel of one call, slowest first.

    ``call_seconds`` is the median of a whole call; what the kernels do not account for is spent on
    entering, checking, allocating and returning. ``str()`` is a table. ``of FMA`` compares with the
    multiply-add peak of one core measured on this machine, ``of memory`` with reading from main
    memory; data that lie in a cache come faster, so that share may exceed 100 %.
    """

    name: str
    threads: int
    rounds: int
    call_seconds: float
    kernels: tuple[KernelProfile, ...]
    peaks: Peaks

    @property
    def kernel_seconds(self) -> float:
        """The sum over all kernels."""
        return sum(k.seconds for k in self.kernels)

    def __str__(self) -> str:
        lines = [["step", "time", "share", "MB", "GB/s", "of memory", "MFLOP", "GFLOP/s", "of FMA"]]
        lines[0] += ["kernel", "lines"]
        lines += [self._row(k) for k in self.kernels]
        widths = [max(len(line[c]) for line in lines) for c in range(len(lines[0]) - 1)]
        text = [
            "  ".join(
                [
                    cell.rjust(w) if c < len(widths) - 1 else cell.ljust(w)
                    for c, (cell, w) in enumerate(zip(line, widths, strict=False))
                ]
                + [line[-1]]
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self._head(), *text])

    def _head(self) -> str:
        flops = ", ".join(f"{v / 1e9:.0f} GFLOP/s in {n}" for n, v in self.peaks.flops.items())
        return (
            f"profile of {self.name}: {_time(self.call_seconds)} a call, "
            f"{_time(self.kernel_seconds)} in {len(self.kernels)} kernels "
            f"(median of {self.rounds}, threads={self.threads})\n"
            f"peaks of one core: {flops}; {self.peaks.bytes / 1e9:.1f} GB/s from memory"
        )

    def _row(self, k: KernelProfile) -> list[str]:
        t = max(k.seconds, 1e-12)
        total = max(self.kernel_seconds, 1e-12)
        peak = self.peaks.flops.get(k.dtype, 0.0) * self.threads
        return [
            str(k.step),
            _time(k.seconds),
            f"{100 * k.seconds / total:.0f}%",
            f"{k.bytes / 1e6:.3g}",
            f"{k.bytes / t / 1e9:.3g}",
            f"{100 * k.bytes / t / self.peaks.bytes:.0f}%",
            f"{k.flops / 1e6:.3g}",
            f"{k.flops / t / 1e9:.3g}",
            f"{100 * k.flops / t / peak:.0f}%" if peak else "",
            k.title if len(k.title) <= 44 else k.title[:41] + "...",
            ", ".join(k.lines[:2]) + (f" and {len(k.lines) - 2} more" if len(k.lines) > 2 else ""),
        ]

    def __repr__(self) -> str:
        return f"<profile of {self.name}: {len(self.kernels)} kernels, {_time(self.call_seconds)}>"


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
