// Conversion between the 16-bit float formats and float32 in plain integer arithmetic, the same
// bits on every CPU. Rounding is to nearest, ties to even; NaN stays NaN.
#pragma once
#include "kernel_internal.h"

SL_INLINE uint32_t sl_bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

SL_INLINE float sl_float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

SL_INLINE float sl_float_of_bfloat16(uint16_t half) {
    return sl_float_of((uint32_t)half << 16);
}

SL_INLINE uint16_t sl_bfloat16_of(float value) {
    const uint32_t bits = sl_bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

SL_INLINE float sl_float_of_float16(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) return sl_float_of(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x0400u) return sl_float_of(sign | ((magnitude << 13) + (112u << 23)));
    // Zero or subnormal: an integer multiple of 2^-24, exact in float32.
    return sl_float_of(sign | sl_bits_of((float)magnitude * 0x1p-24f));
}

SL_INLINE uint16_t sl_float16_of(float value) {
    const uint32_t bits = sl_bits_of(value);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    }
    // 65520 is the midpoint between the largest float16 and the next power of two.
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) {
        const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
        return (uint16_t)(sign | ((rounded - (112u << 23)) >> 13));
    }
    if (magnitude < 0x33000000u) return (uint16_t)sign;
    // Subnormal: shift the mantissa to multiples of 2^-24 and round what falls out.
    const uint32_t shift = 126u - (magnitude >> 23);
    const uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    const uint32_t kept = mantissa >> shift;
    const uint32_t lost = mantissa & ((1u << shift) - 1u);
    const uint32_t half = 1u << (shift - 1u);
    const uint32_t up = lost > half || (lost == half && (kept & 1u));
    return (uint16_t)(sign | (kept + up));
}

// A float32 that rounds to the same 16-bit value as `value` itself: truncated, with the last bit
// set when anything was lost, so that rounding twice cannot differ from rounding once.
SL_INLINE float sl_float_to_odd(double value) {
    const float nearest = (float)value;
    if ((double)nearest == value || nearest != nearest) return nearest;
    uint32_t bits = sl_bits_of(nearest);
    if (fabs((double)nearest) > fabs(value)) bits--;
    return sl_float_of(bits | 1u);
}
