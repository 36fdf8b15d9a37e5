"""An ONNX model whose file fixes its batch at 1, made for another batch."""

import onnx
from onnx import numpy_helper


def fixed_batch(model, input_name):
    """The batch that `model` fixes for the input, or None where it leaves the batch open."""
    given = next(value for value in model.graph.input if value.name == input_name)
    first = given.type.tensor_type.shape.dim[0]
    return first.dim_value if first.HasField("dim_value") else None


def rebatch(model, input_name, batch):
    """Changes `model` from batch 1 to `batch`, in place.

    The leading 1 becomes `batch` in the types of the input and of all outputs and in what each
    Reshape asks for; types of values between are dropped. For networks that keep the batch first
    throughout: `onnx.checker` with full checks refuses the result for others.
    """
    graph = model.graph
    parameters = {tensor.name: tensor for tensor in graph.initializer}
    del graph.value_info[:]
    for value in [*(v for v in graph.input if v.name == input_name), *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    # What reshapes a parameter has no batch.
    targets = {
        node.input[1] for node in graph.node
        if node.op_type == "Reshape" and node.input[0] not in parameters}
    for name in targets & parameters.keys():
        shape = numpy_helper.to_array(parameters[name]).copy()
        if len(shape) > 1 and shape[0] == 1:
            shape[0] = batch
            parameters[name].CopyFrom(numpy_helper.from_array(shape, name))
    onnx.checker.check_model(model, full_check=True)
