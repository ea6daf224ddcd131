"""One product as values of a function: the argument table, operands, sizes and strides."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Value
from . import abi

__all__ = ["Product", "Table", "turned"]


@dataclass(frozen=True, slots=True)
class Table:
    """The argument table as values of a function."""

    b: Builder
    args: Value

    def integer(self, place: int) -> Value:
        return self.b.load("i64", self.b.gep("i64", self.args, place))

    def pointer(self, place: int) -> Value:
        return self.b.load("ptr", self.b.gep("i64", self.args, place))


@dataclass(frozen=True, slots=True)
class Product:
    """Pointers, sizes and strides of one product, already turned so that C is stored by rows."""

    c: Value
    a: Value
    b: Value
    m: Value
    n: Value
    k: Value
    a_row: Value
    a_col: Value
    b_row: Value
    b_col: Value
    c_row: Value
    c_col: Value
    room: Value
    accumulate: Value


def turned(b: Builder, table: Table, pointers: list[Value], fixed: bool) -> Product:
    """The product itself or its transpose: a column, or a C stored by columns, becomes a row."""
    c, a, right = pointers
    m, n, k = (table.integer(p) for p in (abi.M, abi.N, abi.K))
    a_row, a_col, b_row, b_col, c_row, c_col = (table.integer(abi.A_ROW + i) for i in range(6))
    flag = b.icmp("ne", table.integer(abi.ACCUMULATE), b.i64(0))
    room = table.pointer(abi.WORKSPACE)
    if fixed:
        return Product(c, a, right, m, n, k, a_row, a_col, b_row, b_col, c_row, c_col, room, flag)
    one = b.i64(1)
    by_columns = b.and_(b.icmp("eq", c_row, one), b.icmp("ne", c_col, one))
    several = b.and_(b.icmp("ne", m, one), b.icmp("ne", n, one))
    single = b.and_(b.icmp("eq", n, one), b.icmp("ne", m, one))
    turn = b.or_(single, b.and_(several, by_columns))

    def swap(x: Value, y: Value) -> tuple[Value, Value]:
        return b.select(turn, y, x), b.select(turn, x, y)

    a, right = swap(a, right)
    m, n = swap(m, n)
    a_row, b_col = swap(a_row, b_col)
    a_col, b_row = swap(a_col, b_row)
    c_row, c_col = swap(c_row, c_col)
    return Product(c, a, right, m, n, k, a_row, a_col, b_row, b_col, c_row, c_col, room, flag)
