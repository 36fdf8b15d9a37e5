// Functions of a vector, written once with the primitives of the vec_*.h headers. The polynomials
// were fitted for this file (reweighted least squares on Chebyshev nodes).
//
// NaN goes in and NaN comes out. The order of operands of vec_min and vec_max matters for that:
// they return the second one when either is NaN, so the data always stands second.
#pragma once

// x limited to [low, high].
SL_INLINE vec vec_clamp(vec x, vec low, vec high) {
    return vec_min(high, vec_max(low, x));
}

// p * 2^n for p near one and whole n, where the product is a normal float.
SL_INLINE vec vec_scale_normal(vec p, vec n) {
#if defined(SL_SCALE)
    return SL_SCALE(p, n);
#elif defined(SL_ADD_TO_EXPONENT)
    return SL_ADD_TO_EXPONENT(p, n);
#else
    return vec_mul(p, vec_power_of_two(n));
#endif
}
// The same for p * 2^n = e^x, which may be more than the largest float. Less than the smallest
// normal one gives any number.
SL_INLINE vec vec_scale(vec p, vec n, vec x) {
    (void)x;
#if defined(SL_SCALE)
    return SL_SCALE(p, n);
#elif defined(SL_ADD_TO_EXPONENT)
    const vmask is_above = vec_less(vec_splat(88.7228317f), x);
    return vec_select(is_above, vec_splat(INFINITY), SL_ADD_TO_EXPONENT(p, n));
#else
    // In two factors: for n = 128 there is no float.
    const vec half = vec_floor(vec_mul(n, vec_splat(0.5f)));
    return vec_mul(vec_mul(p, vec_power_of_two(half)), vec_power_of_two(vec_sub(n, half)));
#endif
}

// e^x = p * 2^n for x in [-88, 89]: the factor p, near one.
SL_INLINE vec vec_exp_parts(vec x, vec *n) {
    // x = n ln 2 + r; ln 2 in two parts, the first exact in few bits. Floats as large as the one
    // that is added and taken away have no fraction.
    const vec whole = vec_splat(12582912.0f);
    *n = vec_sub(vec_fma(x, vec_splat(1.44269504f), whole), whole);
    vec r = vec_fnma(*n, vec_splat(0.693359375f), x);
    r = vec_fnma(*n, vec_splat(-2.12194440e-4f), r);
    vec p = vec_splat(1.99199215e-4f);
    p = vec_fma(p, r, vec_splat(1.39472117e-3f));
    p = vec_fma(p, r, vec_splat(8.33326158e-3f));
    p = vec_fma(p, r, vec_splat(4.16662540e-2f));
    p = vec_fma(p, r, vec_splat(1.66666669e-1f));
    p = vec_fma(p, r, vec_splat(5.00000008e-1f));
    return vec_add(vec_fma(vec_mul(r, r), p, r), vec_splat(1.0f));
}

// e^x for x limited to where the result is a normal number.
SL_INLINE vec vec_exp_limited(vec x) {
    vec n;
    const vec p = vec_exp_parts(vec_clamp(x, vec_splat(-87.0f), vec_splat(88.0f)), &n);
    return vec_scale_normal(p, n);
}

// e^x. Below the smallest normal result it is zero, above the largest infinity.
SL_INLINE vec vec_exp(vec x) {
    vec n;
    const vec p = vec_exp_parts(vec_clamp(x, vec_splat(-88.0f), vec_splat(89.0f)), &n);
    return vec_select(vec_less(x, vec_splat(-87.3365447f)), vec_zero(), vec_scale(p, n, x));
}

// Natural logarithm: -inf at zero, NaN below.
SL_INLINE vec vec_log(vec x) {
    const vec infinity = vec_splat(INFINITY);
    const vmask is_tiny = vec_less(x, vec_splat(1.17549435e-38f));
    const vec normal = vec_select(is_tiny, vec_mul(x, vec_splat(8388608.0f)), x);
    vec m;
    vec e = vec_split_exponent(normal, &m);
    e = vec_sub(e, vec_select(is_tiny, vec_splat(23.0f), vec_zero()));
    const vec r = vec_sub(m, vec_splat(1.0f));
    vec p = vec_splat(0.06926649f);
    p = vec_fma(p, r, vec_splat(-0.11807901f));
    p = vec_fma(p, r, vec_splat(0.11877559f));
    p = vec_fma(p, r, vec_splat(-0.12381777f));
    p = vec_fma(p, r, vec_splat(0.14217766f));
    p = vec_fma(p, r, vec_splat(-0.1666936f));
    p = vec_fma(p, r, vec_splat(0.2000227f));
    p = vec_fma(p, r, vec_splat(-0.24999985f));
    p = vec_fma(p, r, vec_splat(0.3333331f));
    const vec square = vec_mul(r, r);
    vec tail = vec_mul(vec_mul(square, r), p);
    tail = vec_fma(e, vec_splat(-2.12194440e-4f), tail);
    tail = vec_fnma(square, vec_splat(0.5f), tail);
    vec result = vec_fma(e, vec_splat(0.693359375f), vec_add(r, tail));
    // Infinity and NaN stand for themselves; the sign decides what zero and less give.
    result = vec_select(vec_less(x, infinity), result, x);
    result = vec_select(vec_less(vec_zero(), x), result, vec_add(x, vec_neg(infinity)));
    return vec_select(vec_less(x, vec_zero()), vec_splat(NAN), result);
}

// log(1 + u) for u in [0, 1], without the loss of small u in the sum.
SL_INLINE vec vec_log_of_one_plus(vec u) {
    const vec one = vec_splat(1.0f);
    const vec sum = vec_add(one, u);
    const vec kept = vec_sub(sum, one);
    const vec ratio = vec_div(vec_mul(vec_log(sum), u), kept);
    return vec_select(vec_less(vec_zero(), kept), ratio, u);
}

SL_INLINE vec vec_tanh(vec x) {
    const vec one = vec_splat(1.0f);
    const vec size = vec_abs(x);
    const vec z = vec_mul(x, x);
    vec p = vec_splat(-0.00571705f);
    p = vec_fma(p, z, vec_splat(0.02065059f));
    p = vec_fma(p, z, vec_splat(-0.0537435f));
    p = vec_fma(p, z, vec_splat(0.13331491f));
    p = vec_fma(p, z, vec_splat(-0.33333284f));
    const vec near_zero = vec_fma(vec_mul(p, z), x, x);
    const vec grown = vec_exp(vec_add(size, size));
    const vec far = vec_sub(one, vec_div(vec_splat(2.0f), vec_add(grown, one)));
    return vec_select(vec_less(size, vec_splat(0.625f)), near_zero, vec_copysign(far, x));
}

// The error function: x P(x^2) / Q(x^2), by 1.5e-8 of it wrong before rounding, up to where it
// is 1.
SL_INLINE vec vec_erf(vec x) {
    const vec limited = vec_clamp(x, vec_splat(-3.85f), vec_splat(3.85f));
    const vec z = vec_mul(limited, limited);
    vec p = vec_splat(2.10825667e-6f);
    p = vec_fma(p, z, vec_splat(2.85676533e-4f));
    p = vec_fma(p, z, vec_splat(3.67402874e-3f));
    p = vec_fma(p, z, vec_splat(5.24800101e-2f));
    p = vec_fma(p, z, vec_splat(1.87900058e-1f));
    p = vec_fma(p, z, vec_splat(1.12837915f));
    vec q = vec_splat(3.87317660e-5f);
    q = vec_fma(q, z, vec_splat(1.14552380e-3f));
    q = vec_fma(q, z, vec_splat(1.47850905e-2f));
    q = vec_fma(q, z, vec_splat(1.13129928e-1f));
    q = vec_fma(q, z, vec_splat(4.99854965e-1f));
    q = vec_fma(q, z, vec_splat(1.0f));
    return vec_div(vec_mul(limited, p), q);
}

// 1 / (1 + e^-x); from -88 on, where it is 6e-39, it does not get smaller.
SL_INLINE vec vec_sigmoid(vec x) {
    const vec one = vec_splat(1.0f);
    return vec_div(one, vec_add(one, vec_exp_limited(vec_neg(x))));
}

// x / (1 + e^-x). Below -87 it is less than 1.5e-36 and so is its error.
SL_INLINE vec vec_silu(vec x) {
    const vec low = vec_max(vec_splat(-87.0f), x);
    vec n;
    const vec p = vec_exp_parts(vec_max(vec_splat(-87.0f), vec_neg(low)), &n);
    return vec_div(low, vec_add(vec_splat(1.0f), vec_scale_normal(p, n)));
}

SL_INLINE vec vec_softplus(vec x) {
    const vec positive = vec_max(vec_zero(), x);
    return vec_add(positive, vec_log_of_one_plus(vec_exp(vec_neg(vec_abs(x)))));
}

// e^x - 1 for x <= 0, exact to rounding near zero where the difference would cancel.
SL_INLINE vec vec_exp_minus_one(vec x) {
    const vec one = vec_splat(1.0f);
    // (e^x - 1) = tanh(x / 2) * (e^x + 1), and tanh keeps small arguments.
    const vec grown = vec_exp(x);
    const vec near_zero = vec_mul(vec_tanh(vec_mul(x, vec_splat(0.5f))), vec_add(grown, one));
    return vec_select(vec_less(x, vec_splat(-0.5f)), vec_sub(grown, one), near_zero);
}

// x times the normal distribution function, by erf or by its tanh approximation. Below -5.6 it is
// less than 6e-8.
SL_INLINE vec vec_gelu(vec x) {
    const vec low = vec_max(vec_splat(-5.6f), x);
    const vec half = vec_mul(low, vec_splat(0.5f));
    return vec_fma(half, vec_erf(vec_mul(low, vec_splat(0.707106781f))), half);
}
SL_INLINE vec vec_gelu_tanh(vec x) {
    const vec low = vec_max(vec_splat(-100.0f), x);
    const vec half = vec_mul(low, vec_splat(0.5f));
    const vec cubic = vec_fma(vec_mul(vec_mul(low, low), low), vec_splat(0.044715f), low);
    return vec_fma(half, vec_tanh(vec_mul(cubic, vec_splat(0.797884561f))), half);
}

// The activations: functions of the data and the two parameters.
SL_INLINE vec act_none(vec x, vec p0, vec p1) {
    return (void)p0, (void)p1, x;
}
SL_INLINE vec act_clamp(vec x, vec p0, vec p1) {
    return vec_clamp(x, p0, p1);
}
SL_INLINE vec act_leaky(vec x, vec p0, vec p1) {
    (void)p1;
    return vec_select(vec_less(x, vec_zero()), vec_mul(x, p0), x);
}
SL_INLINE vec act_hard_sigmoid(vec x, vec p0, vec p1) {
    return vec_clamp(vec_fma(x, p0, p1), vec_zero(), vec_splat(1.0f));
}
SL_INLINE vec act_hard_swish(vec x, vec p0, vec p1) {
    (void)p0, (void)p1;
    const vec low = vec_max(vec_splat(-4.0f), x);
    const vec gate = vec_fma(low, vec_splat(1.0f / 6.0f), vec_splat(0.5f));
    return vec_mul(low, vec_clamp(gate, vec_zero(), vec_splat(1.0f)));
}
SL_INLINE vec act_elu(vec x, vec p0, vec p1) {
    (void)p1;
    return vec_select(vec_less(x, vec_zero()), vec_mul(vec_exp_minus_one(x), p0), x);
}
SL_INLINE vec act_reciprocal(vec x, vec p0, vec p1) {
    return (void)p0, (void)p1, vec_div(vec_splat(1.0f), x);
}
#define SL_PLAIN_ACTIVATION(name, function)     \
    SL_INLINE vec name(vec x, vec p0, vec p1) { \
        return (void)p0, (void)p1, function(x); \
    }
SL_PLAIN_ACTIVATION(act_sigmoid, vec_sigmoid)
SL_PLAIN_ACTIVATION(act_silu, vec_silu)
SL_PLAIN_ACTIVATION(act_tanh, vec_tanh)
SL_PLAIN_ACTIVATION(act_gelu, vec_gelu)
SL_PLAIN_ACTIVATION(act_softplus, vec_softplus)
SL_PLAIN_ACTIVATION(act_erf, vec_erf)
SL_PLAIN_ACTIVATION(act_sqrt, vec_sqrt)
SL_PLAIN_ACTIVATION(act_exp, vec_exp)
SL_PLAIN_ACTIVATION(act_log, vec_log)
SL_PLAIN_ACTIVATION(act_negate, vec_neg)
SL_PLAIN_ACTIVATION(act_absolute, vec_abs)
SL_PLAIN_ACTIVATION(act_floor, vec_floor)
SL_PLAIN_ACTIVATION(act_ceil, vec_ceil)
SL_PLAIN_ACTIVATION(act_round, vec_round_even)
SL_PLAIN_ACTIVATION(act_gelu_tanh, vec_gelu_tanh)
#undef SL_PLAIN_ACTIVATION

// Expands X(kind, function) for every activation.
#define SL_FOR_ACTIVATIONS(X)                       \
    X(SL_ACTIVATION_NONE, act_none)                 \
    X(SL_ACTIVATION_CLAMP, act_clamp)               \
    X(SL_ACTIVATION_LEAKY, act_leaky)               \
    X(SL_ACTIVATION_SIGMOID, act_sigmoid)           \
    X(SL_ACTIVATION_HARD_SIGMOID, act_hard_sigmoid) \
    X(SL_ACTIVATION_HARD_SWISH, act_hard_swish)     \
    X(SL_ACTIVATION_SILU, act_silu)                 \
    X(SL_ACTIVATION_TANH, act_tanh)                 \
    X(SL_ACTIVATION_GELU, act_gelu)                 \
    X(SL_ACTIVATION_ELU, act_elu)                   \
    X(SL_ACTIVATION_SOFTPLUS, act_softplus)         \
    X(SL_ACTIVATION_ERF, act_erf)                   \
    X(SL_ACTIVATION_SQRT, act_sqrt)                 \
    X(SL_ACTIVATION_RECIPROCAL, act_reciprocal)     \
    X(SL_ACTIVATION_EXP, act_exp)                   \
    X(SL_ACTIVATION_LOG, act_log)                   \
    X(SL_ACTIVATION_NEGATE, act_negate)             \
    X(SL_ACTIVATION_ABSOLUTE, act_absolute)         \
    X(SL_ACTIVATION_FLOOR, act_floor)               \
    X(SL_ACTIVATION_CEIL, act_ceil)                 \
    X(SL_ACTIVATION_ROUND, act_round)               \
    X(SL_ACTIVATION_GELU_TANH, act_gelu_tanh)
