// Transposes a square of VEC_LANES x VEC_LANES floats in registers:
//     target[j * target_stride + i] = source[i * source_stride + j]
// In three steps (two at 4 lanes): interleave pairs of rows inside 128-bit quarters, join pairs of
// those, then move quarters, so that each step is one shuffle instruction a vector.
#pragma once

#define SL_SHUFFLE(a, b, ...) ((vec)__builtin_shufflevector(a, b, __VA_ARGS__))

#if VEC_LANES == 4
#define SL_LOW_SINGLES(a, b) SL_SHUFFLE(a, b, 0, 4, 1, 5)
#define SL_HIGH_SINGLES(a, b) SL_SHUFFLE(a, b, 2, 6, 3, 7)
#define SL_LOW_PAIRS(a, b) SL_SHUFFLE(a, b, 0, 1, 4, 5)
#define SL_HIGH_PAIRS(a, b) SL_SHUFFLE(a, b, 2, 3, 6, 7)
#elif VEC_LANES == 8
#define SL_LOW_SINGLES(a, b) SL_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define SL_HIGH_SINGLES(a, b) SL_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define SL_LOW_PAIRS(a, b) SL_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define SL_HIGH_PAIRS(a, b) SL_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define SL_EVEN_QUARTERS(a, b) SL_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define SL_ODD_QUARTERS(a, b) SL_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#elif VEC_LANES == 16
#define SL_LOW_SINGLES(a, b) \
    SL_SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define SL_HIGH_SINGLES(a, b) \
    SL_SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define SL_LOW_PAIRS(a, b) \
    SL_SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define SL_HIGH_PAIRS(a, b) \
    SL_SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define SL_EVEN_QUARTERS(a, b) \
    SL_SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define SL_ODD_QUARTERS(a, b) \
    SL_SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#else
#error "transpose_body.h knows 4, 8 and 16 lanes"
#endif

SL_INLINE void SL_FN(transpose_tile)(const float *source, ptrdiff_t source_stride, float *target,
                                     ptrdiff_t target_stride) {
    vec row[VEC_LANES];
    SL_UNROLL for (ptrdiff_t i = 0; i < VEC_LANES; i += 4) {
        const float *const at = source + i * source_stride;
        const vec r0 = vec_load(at);
        const vec r1 = vec_load(at + source_stride);
        const vec r2 = vec_load(at + 2 * source_stride);
        const vec r3 = vec_load(at + 3 * source_stride);
        const vec low01 = SL_LOW_SINGLES(r0, r1);
        const vec low23 = SL_LOW_SINGLES(r2, r3);
        const vec high01 = SL_HIGH_SINGLES(r0, r1);
        const vec high23 = SL_HIGH_SINGLES(r2, r3);
        // Quarter q of row[i + j] is now column 4q + j of source rows i to i + 3.
        row[i] = SL_LOW_PAIRS(low01, low23);
        row[i + 1] = SL_HIGH_PAIRS(low01, low23);
        row[i + 2] = SL_LOW_PAIRS(high01, high23);
        row[i + 3] = SL_HIGH_PAIRS(high01, high23);
    }
    SL_UNROLL for (ptrdiff_t j = 0; j < 4; j++) {
        float *const at = target + j * target_stride;
#if VEC_LANES == 4
        vec_store(at, row[j]);
#elif VEC_LANES == 8
        vec_store(at, SL_EVEN_QUARTERS(row[j], row[j + 4]));
        vec_store(at + 4 * target_stride, SL_ODD_QUARTERS(row[j], row[j + 4]));
#else
        const vec even0 = SL_EVEN_QUARTERS(row[j], row[j + 4]);
        const vec even1 = SL_EVEN_QUARTERS(row[j + 8], row[j + 12]);
        const vec odd0 = SL_ODD_QUARTERS(row[j], row[j + 4]);
        const vec odd1 = SL_ODD_QUARTERS(row[j + 8], row[j + 12]);
        vec_store(at, SL_EVEN_QUARTERS(even0, even1));
        vec_store(at + 4 * target_stride, SL_EVEN_QUARTERS(odd0, odd1));
        vec_store(at + 8 * target_stride, SL_ODD_QUARTERS(even0, even1));
        vec_store(at + 12 * target_stride, SL_ODD_QUARTERS(odd0, odd1));
#endif
    }
}
