"""A tagger of words: embedding, a bidirectional LSTM, and scores of tags for each word."""

import numpy as np
from onnx import TensorProto

from network_builder import NetworkBuilder

WORDS, EMBEDDING, HIDDEN, TAGS = 400, 32, 48, 12
LENGTH = 24


def build(weights):
    """The model, with parameters from `weights` (see `SeededWeights`)."""
    b = NetworkBuilder(weights)

    def parameter(name, dims, fan_in):
        return b.store(name, b.weights.he(name, dims, fan_in, 0.7))

    table = b.store("embedding", b.weights.uniform("embedding", [WORDS, EMBEDDING], -1, 1))
    x = b.add("Gather", [table, b.input("words", None)], "embedded", axis=0)
    x = b.add("Transpose", [x], "steps", perm=[1, 0, 2])
    gates = 4 * HIDDEN
    bias = b.store("lstm.bias", b.weights.uniform("lstm.bias", [2, 2 * gates], -0.1, 0.1))
    x = b.add(
        "LSTM",
        [x, parameter("lstm.input", [2, gates, EMBEDDING], EMBEDDING),
         parameter("lstm.state", [2, gates, HIDDEN], HIDDEN), bias],
        "states", hidden_size=HIDDEN, direction="bidirectional")
    # [time, directions, batch, hidden] to [batch, time, both directions].
    x = b.add("Transpose", [x], "states.batch", perm=[2, 0, 1, 3])
    shape = b.store("joined.shape", np.array([0, 0, 2 * HIDDEN], dtype=np.int64))
    x = b.add("Reshape", [x, shape], "joined")
    x = b.add("MatMul", [x, parameter("tags.weight", [2 * HIDDEN, TAGS], 2 * HIDDEN)], "tags")
    bias = b.store("tags.bias", b.weights.uniform("tags.bias", [TAGS], -0.1, 0.1))
    scores = b.add("Add", [x, bias], "scores")
    tags = b.add("ArgMax", [scores], "best", axis=2, keepdims=0)
    return b.graph(
        "lstm_tagger", {"words": ["N", LENGTH]},
        {scores: ["N", LENGTH, TAGS], tags: ["N", LENGTH]},
        types={"words": TensorProto.INT64, tags: TensorProto.INT64})
