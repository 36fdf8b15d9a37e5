// A loop of independent fused multiply-adds: what this ISA can do at most.
#pragma once

static float SL_FN(fma_loop)(size_t rounds) {
    // The factors pass through volatile memory: the compiler must not know them.
    volatile float opaque = 0.5f;
    const vec factor = vec_splat(opaque);
    const vec term = vec_splat(opaque);
    vec sum[SL_FMA_CHAINS];
    SL_UNROLL for (int i = 0; i < SL_FMA_CHAINS; i++) sum[i] = vec_splat(opaque + (float)i);
    _Pragma("clang loop unroll_count(4)") for (size_t round = 0; round < rounds; round++) {
        SL_UNROLL for (int i = 0; i < SL_FMA_CHAINS; i++) sum[i] = vec_fma(sum[i], factor, term);
    }
    vec total = sum[0];
    SL_UNROLL for (int i = 1; i < SL_FMA_CHAINS; i++) total = vec_add(total, sum[i]);
    float lanes[VEC_LANES];
    vec_store(lanes, total);
    return lanes[0] + lanes[VEC_LANES - 1];
}
