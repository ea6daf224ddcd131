"""ONNX Runtime: inference only, so products, layers and (in float32) element-wise formulas."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.cases import Case
from comparison.library import Library, NotWritten, Prepared

np: Any
onnx: Any
runtime: Any

Node = tuple[str, Sequence[str], str]


class Column(Library):
    def load(self) -> None:
        global np, runtime
        np = importlib.import_module("numpy")
        runtime = importlib.import_module("onnxruntime")

    def version(self) -> str:
        return str(runtime.__version__)

    def warm_up(self) -> None:
        self.session([("Relu", ["x"], "y")], {"x": np.ones(3, np.float32)}, {})

    def session(
        self, nodes: Sequence[Node], inputs: Mapping[str, Any], constants: Mapping[str, float]
    ) -> Any:
        """A session that computes ``y`` with these nodes, on one thread."""
        global onnx
        onnx = importlib.import_module("onnx")
        make = onnx.helper
        dtype = next(iter(inputs.values())).dtype
        kind = make.np_dtype_to_tensor_dtype(dtype)
        graph = make.make_graph(
            [make.make_node(op, list(args), [out]) for op, args, out in nodes],
            "case",
            [make.make_tensor_value_info(n, kind, a.shape) for n, a in inputs.items()],
            [make.make_tensor_value_info("y", kind, None)],
            [onnx.numpy_helper.from_array(np.array(v, dtype), n) for n, v in constants.items()],
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def prepared(
        self, nodes: Sequence[Node], inputs: dict[str, Any], **constants: float
    ) -> Prepared:
        session = self.session(nodes, inputs, constants)
        return lambda: session.run(None, inputs)[0], lambda y: {"y": y}

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        nodes = [("Mul", ["x", "two"], "a"), ("Add", ["a", "one"], "y")]
        return self.prepared(nodes, {"x": given["x"]}, two=2, one=1)

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        if case.dtype != "float32":
            raise NotWritten("it has no float64 code for some of these functions")
        nodes = [
            ("Mul", ["x", "x"], "s"), ("Mul", ["s", "half"], "h"), ("Exp", ["h"], "e"),
            ("Tanh", ["x"], "t"), ("Mul", ["e", "t"], "p"), ("Add", ["s", "one"], "o"),
            ("Log", ["o"], "l"), ("Add", ["p", "l"], "y"),
        ]  # fmt: skip
        return self.prepared(nodes, {"x": given["x"]}, half=-0.5, one=1)

    def product(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        return self.prepared([("MatMul", ["a", "b"], "y")], {"a": given["a"], "b": given["b"]})

    def layer(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        nodes = [("MatMul", ["a", "b"], "m"), ("Add", ["m", "s"], "z"), ("Relu", ["z"], "y")]
        return self.prepared(nodes, {n: given[n] for n in "abs"})
