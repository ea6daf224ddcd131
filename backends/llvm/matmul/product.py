"""One product as values of a function: the argument table, operands, sizes and strides."""

from __future__ import annotations

from dataclasses import dataclass

from ..builder import Builder, Value
from . import abi
from .blocking import Blocking
from .lanes import at

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
    """A rectangle of one product, already turned so that C is stored by rows.

    Pointers address its corner, which is element (``row``, ``col``) of the product. ``is_row`` and
    ``is_column`` say whether the whole product has a single row, a single column.
    """

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
    row: Value
    col: Value
    is_row: Value
    is_column: Value
    room: Value
    accumulate: Value
    finish: Value
    fused: Value


def turned(
    b: Builder, table: Table, place: list[Value], end: list[Value], blk: Blocking
) -> Product:
    """A rectangle of the product or of its transpose: C stored by columns, or a column, is turned.

    ``place`` are the pointers to C, A and B, then the first row, the number of rows, the first
    column and the number of columns. ``end`` says what to do with finished sums: the function
    ``finish``, and whether it is an epilogue, which must see rows as rows.
    """
    finish, fused = end
    c, a, right, row, m, col, n = place
    a_row, a_col, b_row, b_col, c_row, c_col = (table.integer(abi.A_ROW + i) for i in range(6))
    one = b.i64(1)
    is_row, is_column = (b.icmp("eq", table.integer(size), one) for size in (abi.M, abi.N))
    c = at(b, c, (row, c_row), (col, c_col), element=blk.storage)
    a = at(b, a, (row, a_row), element=blk.storage)
    right = at(b, right, (col, b_col), element=blk.storage)
    by_columns = b.and_(b.icmp("eq", c_row, one), b.icmp("ne", c_col, one))
    several = b.not_(b.or_(is_row, is_column))
    single = b.and_(is_column, b.not_(is_row))
    turn = b.and_(b.or_(single, b.and_(several, by_columns)), b.not_(fused))

    def swap(x: Value, y: Value) -> tuple[Value, Value]:
        return b.select(turn, y, x), b.select(turn, x, y)

    a, right = swap(a, right)
    m, n = swap(m, n)
    row, col = swap(row, col)
    a_row, b_col = swap(a_row, b_col)
    a_col, b_row = swap(a_col, b_row)
    c_row, c_col = swap(c_row, c_col)
    is_row, is_column = swap(is_row, is_column)
    return Product(
        c=c,
        a=a,
        b=right,
        m=m,
        n=n,
        k=table.integer(abi.K),
        a_row=a_row,
        a_col=a_col,
        b_row=b_row,
        b_col=b_col,
        c_row=c_row,
        c_col=c_col,
        row=row,
        col=col,
        is_row=is_row,
        is_column=is_column,
        room=table.pointer(abi.WORKSPACE),
        accumulate=b.icmp("ne", table.integer(abi.ACCUMULATE), b.i64(0)),
        finish=finish,
        fused=fused,
    )
