"""The callable of a native program: what it tells of itself beside running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.runtime.callable import release
from symgraph.backends.llvm.runtime.program import Program
from symgraph.errors import UsageError
from symgraph.passes.trace import Rewrites
from symgraph.program import Function
from symgraph.sizes import Dim

if TYPE_CHECKING:  # these are loaded by the methods that need them
    from symgraph.backends.llvm.assemble import Assembly
    from symgraph.backends.llvm.c_function import CFunction
    from symgraph.backends.llvm.details import Details, Later
    from symgraph.backends.llvm.kernel import Call
    from symgraph.backends.llvm.profile import Profile

__all__ = ["CompileStats", "LLVMFunction"]


@dataclass(frozen=True, slots=True)
class CompileStats:
    """What a compilation did.

    There are ``calls`` of ``kernels`` distinct kernels, of which ``compiled`` were compiled now,
    ``from_disk`` were read from the cache folder and ``from_memory`` were known to the process.
    ``code_bytes`` is the size of their object code, ``seconds`` the time of each stage, ``cache``
    the cache folder, or why none is used. ``program`` is empty where the graph was compiled;
    ``"memory"`` or ``"disk"`` where the whole program was known.
    """

    calls: int
    kernels: int
    compiled: int
    seconds: dict[str, float]
    from_disk: int = 0
    from_memory: int = 0
    code_bytes: int = 0
    cache: str = ""
    program: str = ""


class LLVMFunction(Function):
    """A function that runs machine code; calls enter it directly.

    Where its program came from the cache, ``graph``, ``rewrites``, ``calls`` and what follows from
    them are made when first asked for.
    """

    calls: tuple[Call, ...]
    compile_stats: CompileStats
    arena_bytes: Dim
    _assembly: Assembly
    _details: Details | Later
    _nodes: int
    _make: Callable[[Program], Any]
    _convert: Callable[..., tuple[Any, ...]]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            find = LATE.get(name)
            if find is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            found = self.__dict__[name] = find(self._details)
            return found

    def _size(self) -> int:
        return self._nodes

    def profile(self, *args: Any, rounds: int = 20, **kwargs: Any) -> Profile:
        """Time, bytes and operations of every kernel, measured over ``rounds`` calls.

        The other arguments are those of a call. Shared variables keep their values. The result's
        ``str()`` is a table with the slowest kernel first; ``kernels`` are its rows.
        """
        from symgraph.backends.llvm.profile import profile
        from symgraph.backends.reference.evaluate import bind_sizes

        if rounds < 1:
            raise UsageError(f"profile: rounds={rounds} is not a positive int")
        arrays = self._convert(*args, **kwargs)
        found = bind_sizes(zip(self.signature.inputs, arrays, strict=True))
        assembly = self._assembly
        return profile(
            self.name, assembly.program, assembly.calls, self._make, arrays, found,
            rounds,
        )  # fmt: skip

    def peak_bytes(self, *arrays: Any, **sizes: int) -> int:
        """The bytes that a call holds at once, beside its arguments and shared variables.

        The sizes come by name (``f.peak_bytes(n=1000)``), or from one array or shape for each
        input. Exact: the results and the work memory of all threads; where the size of a result
        is known only after the call, the largest it can have. Work memory stays with the function
        until `release`, and so do its last large results (at most two of each).

        Raises:
            UsageError, ShapeError: sizes that are missing, unknown or impossible.
        """
        from symgraph.backends.llvm.peak import argument_sizes, peak_bytes

        signature = self.signature
        found = argument_sizes(signature.name, signature.inputs, arrays, sizes)
        results = self.graph.outputs[: signature.n_outputs]
        return peak_bytes(self.graph, results, self.arena_bytes, found)

    def release(self) -> None:
        """Let go of the memory kept for further calls: work memory and results nobody holds."""
        release(self)

    def _c_function(self, form: str) -> CFunction:
        """The C function of a form, emitted when it is first asked for."""
        from symgraph.backends.llvm.c_function import c_function

        made: dict[str, CFunction] = self.__dict__.setdefault("_c_functions", {})
        if form not in made:
            outputs, program = self.graph.outputs, self._assembly.program
            made[form] = c_function(self.signature, tuple(outputs), program, form)
        return made[form]

    @property
    def ctypes(self) -> Any:
        """A ctypes function that C code may call too; it stays valid without this function.

        Its arguments are those of `address`. Calls let the GIL go, and may be made from several
        threads at once; shared variables are read as they are at that moment.

        Raises:
            UnsupportedError: with the reason why this function cannot be called from C.
        """
        return self._c_function("").ctypes

    @property
    def address(self) -> int:
        """Where ``double f(double x0, ...)`` stands, as long as this function lives.

        A number comes as ``double``, a vector as ``double *`` of the declared size. All inputs are
        float64, and the one result is a number. The call allocates nothing of Python's.

        Raises:
            UnsupportedError: with the reason why this function cannot be called from C.
        """
        return self._c_function("").address

    def as_low_level_callable(self, signature: str | None = None, user_data: Any = None) -> Any:
        """A ``scipy.LowLevelCallable``, for scipy.integrate and others.

        ``signature`` is "double (double)", "double (double, void *)", "double (int, double *)" or
        "double (int, double *, void *)"; without it, the first for one number, else the third. An
        ``int`` that is not the number of inputs gives nan; the ``void *`` is not used.

        Raises:
            UnsupportedError: scipy is missing, or the reason why C cannot call this function.
            UsageError: any other signature.
        """
        from symgraph.backends.llvm.c_function import choose_form, low_level_callable

        form = choose_form(self.signature, signature)
        return low_level_callable(self.name, self._c_function(form), user_data)

    def llvm_ir(self) -> str:
        """The LLVM IR of the program's kernels, each once."""
        from symgraph.backends.llvm.kernels import emit_module

        return str(emit_module(self.calls, jit.host())[0])

    def assembly(self) -> str:
        """The kernels as assembly text for this machine."""
        return jit.assembly(self.llvm_ir())

    def stages(self) -> str:
        """The loop nests and other kernels of the program, in order, as text."""
        return "\n\n".join(f"# {k}: {c.node.op.name}\n{c.key}" for k, c in enumerate(self.calls))


#: What is made when it is first asked for, each from the function's details.
LATE: dict[str, Callable[[Details | Later], Any]] = {
    "graph": lambda details: details.graph,
    "rewrites": lambda details: Rewrites(details.rewrites),
    "calls": lambda details: details.made.calls,
    "arena_bytes": lambda details: details.made.assembly.arena_bytes,
    "_assembly": lambda details: details.made.assembly,
}
