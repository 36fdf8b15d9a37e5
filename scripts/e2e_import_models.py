"""The small models of the import tests: (name, opset, text, random weights, dimensions).

`dimensions` gives the sizes of named dimensions; "?" is for those the model leaves open.
"""

MODELS = []


def add(name, opsets, text, weights=None, dims=None):
    """One case per opset in which the text is valid."""
    for opset in opsets if isinstance(opsets, (list, tuple)) else [opsets]:
        MODELS.append((name, opset, text, weights or {}, dims or {}))


def add_body(name, opsets, body, weights=None, shape="1,6,9,7"):
    """A model of one input `x` and one output `y`."""
    add(name, opsets, f"g (float[{shape}] x) => (float[] y) {{ {body} }}", weights)


# ---- Convolutions -----------------------------------------------------------------------------

CONV = {"w": (10, 6, 3, 3), "b": (10,)}
add_body("conv", [7, 11, 13, 21], "y = Conv <pads=[1,1,1,1]> (x, w, b)", CONV)
add_body("conv-no-attributes", 13, "y = Conv(x, w)", {"w": (10, 6, 3, 3)})
for mode in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"):
    add_body(f"conv-{mode}", 11, f'y = Conv <auto_pad="{mode}", strides=[2,3]> (x, w, b)', CONV)
add_body("conv-dilated", 11, "y = Conv <dilations=[2,3], pads=[0,3,4,1]> (x, w, b)", CONV)
add_body("conv-group", 11, "y = Conv <group=3> (x, w)", {"w": (12, 2, 3, 2)})
add_body("conv-depthwise", 11, "y = Conv <group=6, pads=[2,2,2,2]> (x, w, b)",
         {"w": (6, 1, 5, 5), "b": (6,)})
add_body("conv-depthwise-multiplier", 11, "y = Conv <group=6> (x, w)", {"w": (18, 1, 3, 3)})
add_body("conv-pads-only", 11, "y = Conv <pads=[5,5,5,5], kernel_shape=[1,1]> (x, w)",
         {"w": (3, 6, 1, 1)})
add_body("conv-shared-weight", 11, "a = Conv(x, w)  b = Relu(x)  c = Conv(b, w)  y = Add(a, c)",
         {"w": (10, 6, 3, 3)})
add_body("conv-transposed", [7, 11], "y = ConvTranspose <strides=[2,2]> (x, w, b)",
         {"w": (6, 5, 2, 2), "b": (5,)})
add_body("conv-transposed-oblong", 11,
         "a = ConvTranspose <strides=[2,3]> (x, w, b)  c = Mul(a, s)  d = Add(c, t)"
         "  y = Sigmoid(d)",
         {"w": (6, 3, 2, 3), "b": (3,), "s": (3, 1, 1), "t": (3, 1, 1)})
add_body("conv-transposed-all", 11,
         "y = ConvTranspose <strides=[3,2], pads=[1,0,1,2], output_padding=[1,0], group=2,"
         " dilations=[2,1]> (x, w)", {"w": (6, 4, 3, 4)})
for mode in ("SAME_UPPER", "SAME_LOWER"):
    add_body(f"conv-transposed-{mode}", 11,
             f'y = ConvTranspose <strides=[2,2], auto_pad="{mode}"> (x, w)', {"w": (6, 4, 3, 3)})
add_body("conv-transposed-output-shape", 11,
         "y = ConvTranspose <strides=[2,2], output_shape=[19,14]> (x, w)", {"w": (6, 4, 3, 3)})

# ---- Pooling ----------------------------------------------------------------------------------

for op in ("MaxPool", "AveragePool"):
    add_body(f"{op}", [7, 8, 10, 11, 19], f"y = {op} <kernel_shape=[3,2]> (x)")
    add_body(f"{op}-pads", 11,
             f"y = {op} <kernel_shape=[3,3], strides=[2,2], pads=[1,0,1,2]> (x)")
    add_body(f"{op}-ceil", [10, 19],
             f"y = {op} <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1> (x)",
             shape="1,6,10,8")
    for mode in ("SAME_UPPER", "SAME_LOWER"):
        add_body(f"{op}-{mode}", 11,
                 f'y = {op} <kernel_shape=[3,2], strides=[2,2], auto_pad="{mode}"> (x)')
add_body("MaxPool-dilated", 12, "y = MaxPool <kernel_shape=[2,3], dilations=[3,2]> (x)")
add_body("AveragePool-count", [7, 11, 19],
         "y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x)")
add_body("AveragePool-count-ceil", 19,
         "y = AveragePool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1,"
         " count_include_pad=1> (x)", shape="1,6,10,8")
add_body("AveragePool-whole", 11, "y = AveragePool <kernel_shape=[9,7]> (x)")
add_body("GlobalAveragePool", 7, "a = GlobalAveragePool(x)  y = Flatten(a)")

# ---- Element-wise, activations ----------------------------------------------------------------

for op in ("Add", "Sub", "Mul", "Div"):
    for suffix, shape in (
        ("scalar", ()), ("one", (1,)), ("row", (7,)), ("channel", (6, 1, 1)),
        ("column", (9, 1)), ("plane", (9, 7)), ("full", (1, 6, 9, 7)), ("wider", (2, 1, 1, 1, 7)),
    ):
        add_body(f"{op}-{suffix}", 13, f"y = {op}(x, positive)", {"positive": shape})
add_body("Sub-reversed", 7, "a = Sub(w, x)  y = Div(w, a)", {"w": (6, 1, 1)})
add("broadcast-both", 14, """g (float[1,6,9,7] x) => (float[] y)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] rows = {2}, int64[1] columns = {3}> {
    a = Slice(x, zero, one, rows)
    b = Slice(x, zero, one, columns)
    y = Mul(a, b)
}""")
add_body("Sum", [8, 13], "a = Relu(x)  y = Sum(x, a, w)", {"w": (6, 1, 1)})
add_body("Sum-single", 8, "a = Sum(x)  y = Relu(a)")
add_body("Clip-attributes", [7, 10], "y = Clip <min=-0.5, max=0.7> (x)")
add_body("Clip-minimum", 7, "y = Clip <min=0.0> (x)")
add_body("Clip-none", [7, 13], "a = Clip(x)  y = Relu(a)")
add("Clip-inputs", [11, 13], """g (float[1,6,9,7] x) => (float[] y, float[] z)
    <float low = {-0.5}, float high = {0.7}> { y = Clip(x, low, high)  z = Clip(x, "", high) }""")
add_body("HardSigmoid", 7, "a = HardSigmoid(x)  y = HardSigmoid <alpha=0.3, beta=0.4> (a)")
add_body("activations", 14, "a = Sigmoid(x)  b = LeakyRelu <alpha=0.2> (a)  c = HardSwish(b)"
         "  d = Tanh(c)  y = Elu(d)")
for axis in (1, 2):
    add_body(f"Softmax-old-{axis}", [7, 11], f"y = Softmax <axis={axis}> (x)")
add_body("Softmax-default", [11, 13], "y = Softmax(x)")
for axis in (1, -2, 3):
    add_body(f"Softmax-axis{axis}", 13, f"y = Softmax <axis={axis}> (x)")
add_body("Dropout", [7, 10], "y, mask = Dropout <ratio=0.3> (x)")
add_body("Dropout-last", 13, "a = Identity(x)  y = Dropout(a)")
add_body("Identity-chain", 13, "a = Identity(x)  b = Relu(a)  c = Identity(b)  y = Identity(c)")
add("BatchNormalization", [7, 9, 14, 15], """g (float[2,6,9,7] x) => (float[] y) {
    a = BatchNormalization <epsilon=0.01> (x, s, b, m, positive)
    y = Conv(a, w)
}""", {"s": (6,), "b": (6,), "m": (6,), "positive": (6,), "w": (5, 6, 1, 1)})
add("BatchNormalization-folded", 9, """g (float[1,6,9,7] x) => (float[] y) {
    a = Conv(x, w)
    b = BatchNormalization(a, s, t, m, positive)
    c = Unsqueeze <axes=[1,2]> (u)
    d = Mul(b, c)
    e = Unsqueeze <axes=[1,2]> (v)
    f = Add(d, e)
    y = Relu(f)
}""", {"w": (5, 6, 3, 3), "s": (5,), "t": (5,), "m": (5,), "positive": (5,), "u": (5,), "v": (5,)})
add("BatchNormalization-matrix", 9, """g (float[3,6] x) => (float[] y) {
    y = BatchNormalization(x, s, b, m, positive)
}""", {"s": (6,), "b": (6,), "m": (6,), "positive": (6,)})

# ---- Matrices ---------------------------------------------------------------------------------

for suffix, shape in (("scalar", ()), ("row", (1, 17)), ("vector", (17,)), ("column", (3, 1)),
                      ("full", (3, 17))):
    add_body(f"Gemm-{suffix}", [7, 11, 13], "y = Gemm <alpha=0.5, beta=2.0> (x, w, c)",
             {"w": (40, 17), "c": shape}, shape="3,40")
add_body("Gemm-transposed", [9, 13], "y = Gemm <transA=1, transB=1> (x, w, c)",
         {"w": (17, 40), "c": (17,)}, shape="40,3")
add_body("Gemm-no-bias", 11, "y = Gemm <transB=1> (x, w)", {"w": (17, 40)}, shape="3,40")
add_body("MatMul-chain", [9, 13], "a = MatMul(x, w)  b = Add(a, c)  d = Relu(b)  y = MatMul(d, v)",
         {"w": (40, 33), "c": (33,), "v": (33, 5)}, shape="3,40")
add_body("MatMul-batch", 13, "y = MatMul(x, w)", {"w": (2, 1, 8, 5)}, shape="3,4,8")
add_body("MatMul-vector", 13, "y = MatMul(x, w)", {"w": (8,)}, shape="3,4,8")
add_body("MatMul-left-vector", 13, "y = MatMul(w, x)", {"w": (4,)}, shape="4,8")
add("MatMul-two-inputs", 13, """g (float[2,3,4] a, float[2,4,5] b) => (float[] y) {
    y = MatMul(a, b)
}""")

# ---- Shapes -----------------------------------------------------------------------------------

add_body("Flatten", [7, 9], "y = Flatten(x)")
for axis in (0, 2, 4, -1):
    add_body(f"Flatten-{axis}", 11, f"y = Flatten <axis={axis}> (x)")
add("Reshape", [7, 13, 14], """g (float[2,6,4] x) => (float[] y) <int64[3] s = {0,-1,2}> {
    y = Reshape(x, s)
}""")
add("Reshape-allowzero", 14, """g (float[2,6] x) => (float[] y) <int64[2] s = {4,3}> {
    y = Reshape <allowzero=1> (x, s)
}""")
add_body("Unsqueeze-attribute", [7, 11], "y = Unsqueeze <axes=[0,3]> (x)", shape="3,4,5")
add_body("Squeeze-attribute", [7, 11], "y = Squeeze <axes=[0,2]> (x)", shape="1,4,1,5")
add_body("Squeeze-all", [7, 13], "y = Squeeze(x)", shape="1,4,1,5")
add("Unsqueeze-input", 13, """g (float[3,4] x) => (float[] y, float[] z)
    <int64[2] axes = {0,-1}, int64[1] last = {-1}> {
    y = Unsqueeze(x, axes)
    z = Squeeze(y, last)
}""")
add_body("Transpose", 7, "y = Transpose <perm=[0,2,3,1]> (x)")
add_body("Transpose-default", 13, "y = Transpose(x)")
add_body("Concat-channels", [7, 13], "a = Relu(x)  b = Conv(x, w)  y = Concat <axis=1> (a, b, a)",
         {"w": (3, 6, 1, 1)})
add_body("Concat-rows", 11, "a = Relu(x)  y = Concat <axis=-2> (a, x)")
add_body("Concat-single", 11, "a = Concat <axis=1> (x)  y = Relu(a)")
add("Split", 11, """g (float[1,6,9,7] x) => (float[] y, float[] z) {
    y, a = Split <axis=1, split=[2,4]> (x)
    z = Relu(a)
}""")
add("Split-equal", 18, """g (float[1,6,9,7] x) => (float[] y, float[] z) {
    y, z = Split <axis=1, num_outputs=2> (x)
}""")
add_body("ReduceMean", [7, 11, 13], "y = ReduceMean <axes=[2,3]> (x)")
add_body("ReduceMean-dropped", 13, "y = ReduceMean <axes=[-1], keepdims=0> (x)")
add_body("ReduceMean-channels", 13, "y = ReduceMean <axes=[1]> (x)")
add_body("ReduceMean-all", [11, 18], "y = ReduceMean <keepdims=0> (x)")
add("ReduceMean-input", 18, """g (float[1,6,9,7] x) => (float[] y) <int64[2] axes = {2,-1}> {
    y = ReduceMean(x, axes)
}""")
add_body("ReduceMean-noop", 18, "a = ReduceMean <noop_with_empty_axes=1> (x)  y = Relu(a)")
add_body("Slice-attributes", [7, 9],
         "y = Slice <axes=[1,3], starts=[1,-4], ends=[9223372036854775807,-1]> (x)")
add("Slice-inputs", [10, 13], """g (float[1,6,9,7] x) => (float[] y)
    <int64[3] starts = {-1,0,1}, int64[3] ends = {-9223372036854775807,100,6},
     int64[3] axes = {1,2,3}, int64[3] steps = {-2,3,2}> {
    y = Slice(x, starts, ends, axes, steps)
}""")
add_body("Pad-attribute", [7, 10], "y = Pad <pads=[0,0,1,2,0,0,3,4], value=1.5> (x)")
for mode in ("constant", "reflect", "edge"):
    add(f"Pad-{mode}", [11, 13], f"""g (float[1,6,9,7] x) => (float[] y)
        <int64[8] pads = {{0,1,2,3,0,0,1,2}}, float value = {{0.5}}> {{
        y = Pad <mode="{mode}"> (x, pads, value)
    }}""")
add("Pad-negative", 13, """g (float[1,6,9,7] x) => (float[] y)
    <int64[8] pads = {0,0,-1,2,0,0,1,-3}> { y = Pad(x, pads) }""")
add("Pad-axes", 18, """g (float[1,6,9,7] x) => (float[] y)
    <int64[2] pads = {1,2}, float value = {0.0}, int64[1] axes = {3}> {
    y = Pad(x, pads, value, axes)
}""")
add("Pad-into-conv", 13, """g (float[1,6,9,7] x) => (float[] y)
    <int64[8] pads = {0,0,1,2,0,0,3,0}> { a = Pad(x, pads)  y = Conv(a, w) }""",
    {"w": (8, 6, 3, 3)})
add("Gather-scalar", [7, 13], """g (float[4,5,6] x) => (float[] y) <int64 i = {-2}> {
    y = Gather <axis=1> (x, i)
}""")
add("Gather-matrix", 13, """g (float[4,5,6] x) => (float[] y) <int64[2,2] i = {0,3,-1,1}> {
    y = Gather(x, i)
}""")
add("Gather-run-time", 13, """g (float[6,5] x, int64[3] i) => (float[] y) { y = Gather(x, i) }""")

# ---- Resize -----------------------------------------------------------------------------------

add_body("Upsample", 7, 'y = Upsample <mode="nearest", scales=[1.0,1.0,2.0,3.0]> (x)')
add("Upsample-input", 9, """g (float[1,6,9,7] x) => (float[] y)
    <float[4] scales = {1,1,2,2}> { y = Upsample <mode="linear"> (x, scales) }""")
add("Resize-10", 10, """g (float[1,6,9,7] x) => (float[] y)
    <float[4] scales = {1,1,2,2}> { y = Resize <mode="nearest"> (x, scales) }""")
for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
    for mode in ("nearest", "linear"):
        add(f"Resize-{mode}-{coordinates}", [11, 13, 19], f"""g (float[1,6,9,7] x) => (float[] y)
            <float[0] roi = {{}}, float[4] scales = {{1,1,2,3}}> {{
            y = Resize <mode="{mode}", coordinate_transformation_mode="{coordinates}"> (
                x, roi, scales)
        }}""")
for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
    add(f"Resize-{rounding}", 13, f"""g (float[1,6,9,7] x) => (float[] y)
        <int64[4] sizes = {{1,6,14,10}}> {{
        y = Resize <mode="nearest", nearest_mode="{rounding}"> (x, "", "", sizes)
    }}""")
add("Resize-smaller", 13, """g (float[1,6,9,7] x) => (float[] y)
    <int64[4] sizes = {1,6,4,3}> { y = Resize <mode="linear"> (x, "", "", sizes) }""")
add("Resize-axes", 18, """g (float[1,6,9,7] x) => (float[] y) <float[2] scales = {2,2}> {
    y = Resize <mode="nearest", axes=[2,3]> (x, "", scales)
}""")

# ---- Constants and shape arithmetic -----------------------------------------------------------

add_body("Constant-forms", 12, """
    a = Constant <value = float[2] {1,2}> ()
    b = Constant <value_float = 0.5> ()
    c = Constant <value_floats = [3.0, 4.0]> ()
    d = Constant <value_ints = [-1, 2]> ()
    e = Reshape(x, d)
    f = Add(e, a)
    h = Mul(f, b)
    y = Sub(h, c)
""")
add("ConstantOfShape", 9, """g (float[2,3] x) => (float[] y) <int64[2] s = {2,3}> {
    a = ConstantOfShape <value = float[1] {0.25}> (s)
    b = ConstantOfShape(s)
    c = Add(x, a)
    y = Mul(c, b)
}""")
FLATTEN_BY_SHAPE = """g (float[N,6,H,W] x) => (float[] y)
    <int64 zero = {0}, int64[1] axis = {0}, int64[1] rest = {-1}> {
    shape = Shape(x)
    batch = Gather(shape, zero)
    head = Unsqueeze%s
    target = Concat <axis=0> (head, rest)
    y = Reshape(x, target)
}"""
for dims in ({"N": 1, "H": 5, "W": 4}, {"N": 3, "H": 1, "W": 9}):
    add(f"shape-arithmetic-{dims['N']}", 13, FLATTEN_BY_SHAPE % "(batch, axis)", None, dims)
add("shape-arithmetic", [9, 11], FLATTEN_BY_SHAPE % " <axes=[0]> (batch)", None,
    {"N": 2, "H": 3, "W": 4})
add("shape-halves", 15, """g (float[?,6,?,?] x) => (float[] y)
    <int64[1] two = {2}, int64[2] zeros = {0,0}, int64[2] axes = {2,3}> {
    s = Shape <start=2> (x)
    h = Div(s, two)
    y = Slice(x, zeros, h, axes)
}""", None, {"?": 8})
add("shape-resize", 13, """g (float[N,6,H,W] x, float[N,6,H2,W2] z) => (float[] y)
    <int64[1] zero = {0}, int64[1] two = {2}, int64[1] four = {4}> {
    sx = Shape(x)
    sz = Shape(z)
    head = Slice(sx, zero, two)
    tail = Slice(sz, two, four)
    sizes = Concat <axis=0> (head, tail)
    r = Resize <mode="nearest", coordinate_transformation_mode="asymmetric",
                nearest_mode="floor"> (x, "", "", sizes)
    y = Add(r, z)
}""", None, {"N": 2, "H": 4, "W": 3, "H2": 8, "W2": 6})
add("shape-cast", 13, """g (float[N,8] x) => (float[] y)
    <float half = {0.5}, int64[1] rows = {-1}> {
    s = Shape(x)
    f = Cast <to=1> (s)
    m = Mul(f, half)
    i = Cast <to=7> (m)
    one = Constant <value_ints=[1]> ()
    width = Gather(i, one)
    target = Concat <axis=0> (rows, width)
    y = Reshape(x, target)
}""", None, {"N": 4})
add("Cast-run-time", 13, """g (int64[4] i, float[4] x) => (float[] y) {
    f = Cast <to=1> (i)
    y = Mul(f, x)
}""")

# ---- Outputs ----------------------------------------------------------------------------------

add_body("output-is-also-used", 13, "y = Relu(x)  z = Sqrt(y)")
add("two-outputs", 13, """g (float[1,6,9,7] x) => (float[] a, float[] y) {
    a = Conv(x, w)
    y = Relu(a)
}""", {"w": (8, 6, 3, 3)})
add("output-of-initializer", 13, "g (float[3] x) => (float[] y, float[] w) { y = Add(x, w) }",
    {"w": (3,)})
add("view-outputs", 13, """g (float[2,6] x) => (float[] y, float[] z)
    <int64[2] s = {3,4}> { a = Relu(x)  y = Reshape(a, s)  z = Flatten(a) }""")
add("same-operand-twice", 13, "g (float[2,6] x) => (float[] y) { a = Mul(x, x)  y = Add(a, a) }")
add("dead-nodes", 13, """g (float[1,6,9,7] x) => (float[] y) {
    y = Relu(x)
    unused = Conv(x, w)
}""", {"w": (8, 6, 3, 3)})
add("odd/na me:0", 13, 'g (float[2] x) => (float[] y) { y = Neg(x) }')
add("scalars", 13, "g (float x, float z) => (float[] y) { y = Add(x, z) }")
add("newest-opset", 26, "g (float[2,6] x) => (float[] y) { a = Relu(x)  y = Softmax(a) }")

# The first layer and a pool of its result.
for kind, window in (
        ("max-3-2", "MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]> (r)"),
        ("max-2-2", "MaxPool <kernel_shape=[2,2], strides=[2,2]> (r)"),
        ("max-5-1", "MaxPool <kernel_shape=[5,5], pads=[2,2,2,2]> (r)"),
        ("max-ceil", "MaxPool <kernel_shape=[3,2], strides=[3,2], ceil_mode=1> (r)"),
        ("max-apart", "MaxPool <kernel_shape=[1,1], strides=[3,4]> (r)"),
        ("average", "AveragePool <kernel_shape=[3,3], strides=[2,1], pads=[1,0,1,2]> (r)"),
        ("average-all",
         "AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (r)")):
    add_body(f"first-layer-pool-{kind}", 13, f"""
        c = Conv <strides=[2,1], pads=[1,2,1,2]> (x, w, b)
        r = Relu(c)
        y = {window}""", {"w": (42, 3, 3, 5), "b": (42,)}, shape="2,3,61,37")

# The first layer and a depthwise convolution of its result, whose weights come in one block.
for name, size, attributes in (
        ("3-1", "3,3", "pads=[1,1,1,1]"), ("3-2", "3,3", "strides=[2,2], pads=[1,1,1,1]"),
        ("wide", "1,7", "dilations=[1,2], pads=[0,6,0,6]"), ("apart", "2,3", "strides=[3,4]")):
    add_body(f"first-layer-depthwise-{name}", 14, f"""
        a = Conv <strides=[2,1], pads=[1,2,1,2]> (x, w, b)
        r = HardSwish(a)
        d = Conv <group=42, {attributes}> (r, v, c)
        y = Relu(d)""",
             {"w": (42, 3, 3, 5), "b": (42,), "v": (42, 1, *map(int, size.split(","))),
              "c": (42,)}, shape="2,3,61,37")

# A pointwise convolution and a depthwise one of its result, whose weights come in one block.
for name, size, between, after in (
        ("relu", "3,3", "Relu(a)", "kernel_shape=[3,3], pads=[1,1,1,1]"),
        ("clip", "3,3", "Clip(a, zero, six)", "strides=[2,2], pads=[1,1,1,1]"),
        ("silu", "5,5", "Mul(a, s)", "strides=[2,2], pads=[2,2,2,2]"),
        ("wide", "1,7", "Identity(a)", "dilations=[1,2], pads=[0,6,0,6]"),
        ("apart", "2,3", "HardSwish(a)", "strides=[3,4]")):
    add_body(f"expansion-{name}", 14, f"""
        zero = Constant <value_float=0.0> ()
        six = Constant <value_float=6.0> ()
        a = Conv(x, w, b)
        s = Sigmoid(a)
        r = {between}
        d = Conv <group=43, {after}> (r, v, c)
        t = Tanh(d)
        y = Conv(t, u)""",
             {"w": (43, 20, 1, 1), "b": (43,), "v": (43, 1, *map(int, size.split(","))),
              "c": (43,), "u": (9, 43, 2, 1)}, shape="2,20,47,33")
# An inverted residual, with few weights for its rows: all of it is one kernel.
for name, stride, end in (
        ("plain", 1, "y = Conv(t, u)"),
        ("residual", 1, "p = Conv(t, u)  s = Add(p, x)  y = Relu(s)"),
        ("apart", 2, "p = Conv(t, u, d)  y = HardSwish(p)"),
        ("two-readers", 1, "p = Conv(t, u)  q = Tanh(t)  y = Concat <axis=1> (p, q)")):
    add_body(f"bottleneck-{name}", 14, f"""
        a = Conv(x, w, b)
        r = Relu(a)
        c = Conv <group=43, strides=[{stride},{stride}], pads=[1,1,1,1]> (r, v)
        t = LeakyRelu(c)
        {end}""",
             {"w": (43, 10, 1, 1), "b": (43,), "v": (43, 1, 3, 3), "u": (10, 43, 1, 1),
              "d": (10,)}, shape="3,10,47,33")
add_body("bottleneck-first-layer", 14, """
    a = Conv <strides=[2,2], pads=[1,1,1,1]> (x, w, b)
    r = HardSwish(a)
    c = Conv <group=43, strides=[2,1], pads=[2,2,2,2]> (r, v)
    t = Relu(c)
    y = Conv(t, u)""",
         {"w": (43, 3, 3, 3), "b": (43,), "v": (43, 1, 5, 5), "u": (10, 43, 1, 1)},
         shape="2,3,81,95")
# Its result is of one pixel, or it has a residual.
add_body("expansion-pixel", 13, "a = Conv(x, w)  y = Conv <group=30, pads=[1,1,1,1]> (a, v)",
         {"w": (30, 6, 1, 1), "v": (30, 1, 3, 3)}, shape="3,6,1,1")
add_body("expansion-column", 13, "a = Conv(x, w)  y = Conv <group=30, pads=[1,1,1,1]> (a, v)",
         {"w": (30, 6, 1, 1), "v": (30, 1, 3, 3)}, shape="3,6,9,1")
add_body("expansion-residual", 13,
         "a = Conv(x, w)  d = Conv <group=24, pads=[1,1,1,1]> (a, v)  y = Add(d, a)",
         {"w": (24, 6, 1, 1), "v": (24, 1, 3, 3)})

# ---- Sizes that data decides ------------------------------------------------------------------

# The positive elements of x, and the negative ones.
SELECTED = ("p = Relu(x)  n = NonZero(p)  t = Transpose(n)  v = GatherND(x, t)"
            "  q = Neg(x)  r = Relu(q)  m = NonZero(r)  u = Transpose(m)  w = GatherND(x, u)  ")
add_body("selected-concat", [13, 18], SELECTED + "y = Concat <axis=0> (v, w, v)")
add_body("selected-concat-rows", 13,
         SELECTED + "c = Concat <axis=1> (n, m)  d = Transpose(c)  y = GatherND(x, d)")
for op in ("Sum", "Mean", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"):
    add_body(f"selected-{op}", [13, 18], SELECTED + f"y = Reduce{op} (v)")
for op in ("Softmax", "LogSoftmax"):
    add_body(f"selected-{op}", 13, SELECTED + f"y = {op} <axis=0> (w)")
for op in ("ArgMax", "ArgMin"):
    add_body(f"selected-{op}", 13,
             SELECTED + f"i = {op} <axis=-1> (n)  y = Cast <to=1> (i)")
END = 2**63 - 1
for cut in ("0, 9, 1", f"5, {END}, 3", "400, 500, 1", f"-5, {END}, 1", "-500, -2, 2", "3, -3, 1",
            "-4, 2, 1", f"-1, {END}, -1", "-2, 3, -2", "7, 0, -3", "400, -400, -7"):
    first, last, step = cut.split(", ")
    add_body(f"selected-Slice-{first}-{last}-{step}", 13, SELECTED + f"""
        a = Constant <value_ints=[{first}]> ()  b = Constant <value_ints=[{last}]> ()
        c = Constant <value_ints=[0]> ()  d = Constant <value_ints=[{step}]> ()
        y = Slice(v, a, b, c, d)""")
add_body("selected-Slice-both", 13, SELECTED + """
        a = Constant <value_ints=[-9, 0]> ()  b = Constant <value_ints=[-1, 1]> ()
        c = Constant <value_ints=[1, 0]> ()  d = Constant <value_ints=[2, 1]> ()
        e = Slice(n, a, b, c, d)  y = Cast <to=1> (e)""")
for sizes in ("[-1]", "[1, -1]", "[-1, 1]", "[2, -1]", "[-1, 2]", "[1, -1, 2, 1]"):
    add_body(f"selected-Reshape-{sizes}", 13, SELECTED + f"""
        s = Constant <value_ints={sizes}> ()  f = Concat <axis=1> (n, n)
        e = Reshape(f, s)  y = Cast <to=1> (e)""")
add_body("selected-Reshape-and-back", 13, SELECTED + """
        s = Constant <value_ints=[-1]> ()  e = Reshape(t, s)
        f = Constant <value_ints=[-1, 4]> ()  h = Reshape(e, f)
        y = GatherND(x, h)  z = Add(y, v)""")
for axis in (0, 1, 2):
    add_body(f"selected-Flatten-{axis}", 13, SELECTED + f"""
        e = Flatten <axis={axis}> (n)  y = Cast <to=1> (e)""")
# What exporters write for shapes that are read back.
add_body("selected-view", 13, SELECTED + """
        s = Shape(v)  o = Constant <value_ints=[-1]> ()  e = Concat <axis=0> (s, o)
        y = Reshape(v, e)""")
add_body("selected-view-of-rows", 13, SELECTED + """
        s = Shape(t)  z = Constant <value_int=0> ()  l = Gather(s, z)
        d = Constant <value_ints=[0]> ()  k = Unsqueeze(l, d)
        a = Constant <value_ints=[1, 4]> ()  e = Concat <axis=0> (k, a)
        f = Reshape(t, e)  y = Cast <to=1> (f)""")
add_body("selected-Expand", 13, SELECTED + """
        s = Shape(v)  o = Constant <value_ints=[3]> ()  e = Concat <axis=0> (o, s)
        f = Expand(v, e)  b = Constant <value_float=2.5> ()  h = Expand(b, s)
        y = Mul(f, h)""")
add_body("selected-ConstantOfShape", 13, SELECTED + """
        s = Shape(v)  e = ConstantOfShape(s)  y = Add(e, v)""")
add_body("selected-Range", 13, SELECTED + """
        s = Shape(v)  d = Constant <value_ints=[0]> ()  l = Squeeze(s, d)
        z = Constant <value_int=0> ()  o = Constant <value_int=1> ()
        e = Range(z, l, o)  f = Cast <to=1> (e)  y = Mul(f, v)""")
add_body("selected-MatMul", 13, SELECTED + """
        f = Cast <to=1> (n)  h = Cast <to=1> (t)  y = MatMul(f, h)""")
add_body("selected-MatMul-outer", 13, SELECTED + """
        f = Cast <to=1> (n)  h = Cast <to=1> (t)  y = MatMul(h, f)""")
for a in (0, 1):
    add_body(f"selected-Gemm-{a}", 13, SELECTED + f"""
        f = Cast <to=1> (n)  y = Gemm <transA={a}, transB={1 - a}> (f, f)""")
add_body("selected-GatherND", 13, SELECTED + """
        i = Constant <value = int64[3,2] {0, -1, 1, 2, -1, -3}> ()
        e = GatherND(n, i)  y = Cast <to=1> (e)""")
for pads in ("[2, 3]", "[0, 4]", "[1, 0]"):
    add_body(f"selected-Pad-{pads}", 13, SELECTED + f"""
        a = Constant <value_ints={pads}> ()  c = Constant <value_float=1.5> ()
        y = Pad(v, a, c)""")
add_body("selected-Pad-rows", 13, SELECTED + """
        a = Constant <value_ints=[1, 0, 0, 2]> ()  e = Pad(n, a)  y = Cast <to=1> (e)""")
add_body("selected-Tile", 13, SELECTED + """
        a = Constant <value_ints=[2, 3]> ()  e = Tile(n, a)  y = Cast <to=1> (e)""")
add_body("selected-CumSum", 14, SELECTED + """
        a = Constant <value_int=0> ()  y = CumSum <reverse=1> (v, a)""")
add_body("selected-ArgMax-last", 13, SELECTED + """
        i = ArgMax <axis=0, select_last_index=1> (n)  j = ArgMax <axis=1, select_last_index=1> (n)
        s = Constant <value_ints=[-1]> ()  k = Reshape(i, s)  l = Reshape(j, s)
        h = Concat <axis=0> (k, l)  y = Cast <to=1> (h)""")
add_body("selected-Hardmax", 13, SELECTED + "y = Hardmax <axis=0> (v)")
add_body("selected-LpNormalization", 13, SELECTED + "y = LpNormalization <axis=0, p=2> (v)")
add_body("selected-OneHot", 13, SELECTED + """
        d = Constant <value_int=9> ()  b = Constant <value_floats=[0.5, 2.0]> ()
        e = Constant <value_int=1> ()  i = Gather <axis=0> (n, e)  y = OneHot(i, d, b)""")
for reduction in ("none", "add", "max"):
    add_body(f"selected-ScatterND-{reduction}", 18, SELECTED + f"""
        e = Neg(v)  f = Exp(x)  y = ScatterND <reduction = "{reduction}"> (f, t, e)""")
add_body("selected-ScatterElements", 18, SELECTED + """
        e = Constant <value_int=1> ()  i = Gather <axis=0> (n, e)
        s = Shape(x)  f = ConstantOfShape(s)  o = Constant <value_ints=[-1]> ()
        h = Reshape(f, o)  y = ScatterElements <axis=0, reduction="add"> (h, i, v)""")
add_body("selected-Gather", 13,
         SELECTED + "i = Constant <value_ints=[0, -1, 3, -4]> ()  y = Gather <axis=0> (v, i)")
add_body("selected-GatherElements", 13,
         SELECTED + "i = Constant <value_ints=[-2, 5]> ()  y = GatherElements <axis=0> (v, i)")
for largest in (0, 1):
    add_body(f"selected-TopK-{largest}", 13,
             SELECTED + "s = Shape(v)  e = Constant <value_ints=[50]> ()  k = Min(s, e)"
             f"  y, i = TopK <axis=0, largest={largest}> (v, k)")
# Boxes among those with a score above a threshold, as detectors of two stages have them.
add("selected-NonMaxSuppression", 13, """g (float[20,4] x, float[20] z) => (float[] y, int64[] j) {
    t = Constant <value_float=0.1> ()
    g = Greater(z, t)
    n = NonZero(g)
    c = Constant <value_ints=[0]> ()
    i = Squeeze(n, c)
    corners = Abs(x)
    some = Gather(corners, i)
    best = Gather(z, i)
    boxes = Unsqueeze(some, c)
    d = Constant <value_ints=[0, 1]> ()
    scores = Unsqueeze(best, d)
    most = Constant <value_ints=[9]> ()
    overlap = Constant <value_float=0.3> ()
    j = NonMaxSuppression(boxes, scores, most, overlap)
    two = Constant <value_int=2> ()
    k = Gather <axis=1> (j, two)
    y = Gather(some, k)
}""")
