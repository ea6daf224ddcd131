"""Activations and losses of neural networks, all of them ordinary expressions.

>>> import numpy as np
>>> cross_entropy(np.zeros((2, 4)), np.array([0, 3])).eval(backend="reference")
array(1.38629436)
"""

from symgraph.functions import log_softmax, relu, sigmoid, softmax, softplus, tanh
from symgraph.functions.activations import elu, gelu, leaky_relu, silu
from symgraph.functions.losses import (
    binary_cross_entropy,
    cross_entropy,
    hinge,
    huber,
    kl_div,
    l2_penalty,
    mae,
    mse,
)

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "elu",
    "gelu",
    "hinge",
    "huber",
    "kl_div",
    "l2_penalty",
    "leaky_relu",
    "log_softmax",
    "mae",
    "mse",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
