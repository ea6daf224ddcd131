"""Matrix products: packed panels, a register-blocked micro-kernel, matrix-vector paths."""

from __future__ import annotations

from .abi import Epilogue, MatmulKernel
from .blocking import workspace_bytes
from .caller import argument_table, call
from .driver import emit_matmul
from .loaded import library

__all__ = [
    "Epilogue",
    "MatmulKernel",
    "argument_table",
    "call",
    "emit_matmul",
    "library",
    "workspace_bytes",
]
