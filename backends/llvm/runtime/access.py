"""What the parts of the entry share: header words, table rows, calls into CPython, moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..builder import Builder, Module, Value
from .abi import TYPE, Api
from .layout import Field

__all__ = ["NULL", "Entry", "function"]

NULL = Value("null", "ptr")


class Entry:
    """Writes one function of the entry; knows where the header and the table of addresses stand."""

    def __init__(self, builder: Builder, header: Value, api: Value) -> None:
        self.b, self.header, self.api = builder, header, api

    def word(self, base: Value, index: int | Value, type_: str = "i64") -> Value:
        """The ``index``-th word behind ``base``."""
        return self.b.load(type_, self.b.gep("i64", base, index))

    def get(self, field: Field, type_: str = "i64") -> Value:
        """A word of the header."""
        return self.word(self.header, int(field), type_)

    def put(self, field: Field, value: Value | int) -> None:
        """Change a word of the header."""
        stored = self.b.i64(value) if isinstance(value, int) else value
        self.b.store(stored, self.b.gep("i64", self.header, int(field)))

    def object(self, item: Api) -> Value:
        """An entry of the table of addresses."""
        return self.word(self.api, int(item), "ptr")

    def call(self, item: Api, returns: str, *args: Value) -> Value:
        """Call a function of CPython or NumPy."""
        text = f"call {returns} {self.object(item).ref}({', '.join(map(str, args))})"
        if returns == "void":
            self.b.do(text)
            return Value("", "void")
        return self.b.emit(returns, text)

    def incref(self, value: Value) -> None:
        self.call(Api.Py_IncRef, "void", value)

    def decref(self, value: Value) -> None:
        """Drop a reference; nothing happens to NULL."""
        self.call(Api.Py_DecRef, "void", value)

    def is_null(self, value: Value) -> Value:
        return self.b.icmp("eq", value, NULL)

    def leave_if(self, cond: Value, label: str) -> None:
        """Go to ``label`` where ``cond`` holds, else on."""
        on = self.b.label("on")
        self.b.branch(cond, label, on)
        self.b.start(on)

    @contextmanager
    def rows(self, table: Field, words: int) -> Iterator[tuple[Value, Value]]:
        """For each row of a table: its number and its address."""
        start = self.get(table, "ptr")
        with self.b.loop(self.b.i64(0), self.get(Field(table + 1)), 1) as loop:
            yield loop.index, self.b.gep(f"[{words} x i64]", start, loop.index)

    def address(self, row: Value, first: int) -> Value:
        """``*base + *offset``, two addresses that begin at word ``first`` of a row."""
        base = self.b.load("ptr", self.word(row, first, "ptr"))
        offset = self.b.load("i64", self.word(row, first + 1, "ptr"))
        return self.b.gep("i8", base, offset)

    def moves(self, table: Field) -> None:
        """``*target = *base + *offset`` for every row."""
        with self.rows(table, 3) as (_, row):
            self.b.store(self.address(row, 1), self.word(row, 0, "ptr"))

    def type_of(self, value: Value) -> Value:
        return self.b.load("ptr", self.b.gep("i8", value, TYPE))

    def copy(self, target: Value, source: Value, count: Value) -> None:
        """Copy bytes; the two blocks may overlap."""
        args: Sequence[Value] = (target, source, count, Value("false", "i1"))
        self.b.call("llvm.memmove.p0.p0.i64", "void", args)

    def text(self, message: str) -> Value:
        """A C string in the emitted module."""
        data = message.encode("ascii")
        name = f"text.{self.b.name}.{len(self.b.module.globals)}"
        body = f'private unnamed_addr constant [{len(data) + 1} x i8] c"{message}\\00"'
        self.b.module.globals[name] = body
        return Value(f"@{name}", "ptr")

    def complain(self, kind: Api, message: str) -> None:
        """Set a Python exception with a fixed message."""
        self.call(Api.PyErr_SetString, "void", self.object(kind), self.text(message))

    def throw(self, exception: Value) -> None:
        """Set the exception instance that a callback returned (NULL: it has set one itself)."""
        with self.b.when(self.b.icmp("ne", exception, NULL)):
            self.call(Api.PyErr_SetObject, "void", self.type_of(exception), exception)
            self.decref(exception)

    def new_array(self, descr: Value, rank: Value, dims: Value) -> Value:
        """A fresh C-contiguous ndarray, or NULL; takes over one reference to ``descr``."""
        kind, no_flags = self.object(Api.ARRAY_TYPE), Value("0", "i32")
        args = (kind, descr, rank, dims, NULL, NULL, no_flags, NULL)
        return self.call(Api.PyArray_NewFromDescr, "ptr", *args)


def function(module: Module, name: str, returns: str, extra: Sequence[tuple[str, str]]) -> Entry:
    """A function of the runtime: it receives the header and the table of addresses in front."""
    head = [("ptr", "header"), ("ptr", "api")]
    builder = Builder(module, name, returns, [*head, *extra], linkage="internal")
    return Entry(builder, builder.args[0], builder.args[1])
