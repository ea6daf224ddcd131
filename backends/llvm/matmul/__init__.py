"""Matrix products: packed panels, a register-blocked micro-kernel, matrix-vector paths."""

from __future__ import annotations

from .abi import Epilogue, MatmulKernel
from .caller import argument_table, call
from .driver import emit_matmul
from .loaded import library, path_of
from .units import units
from .workspace import workspace_bytes

__all__ = [
    "Epilogue",
    "MatmulKernel",
    "argument_table",
    "call",
    "emit_matmul",
    "library",
    "path_of",
    "units",
    "workspace_bytes",
]
