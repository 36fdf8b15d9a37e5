// OpenBLAS on first use. It chooses its core when it is loaded, by environment or by detection;
// the detection of older releases takes newer CPUs for very old ones, so the core type is set
// before loading, from what this CPU offers. A run with the native kernels never loads it, and so
// never pays for its threads and buffers.
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "sluice_platform.h"

typedef void (*cblas_sgemm_fn)(int order, int trans_a, int trans_b, int m, int n, int k,
                               float alpha, const float *a, int lda, const float *b, int ldb,
                               float beta, float *c, int ldc);

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static cblas_sgemm_fn blas_sgemm;
static char *(*blas_core)(void);
static char *(*blas_config)(void);

static const char *best_core(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        return "SkylakeX";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return NULL;
}

static void load(void) {
    const char *core = best_core();
    if (core != NULL) setenv("OPENBLAS_CORETYPE", core, 0);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) library = dlopen("libopenblas.so", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return;
    void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    blas_core = (char *(*)(void))dlsym(library, "openblas_get_corename");
    blas_config = (char *(*)(void))dlsym(library, "openblas_get_config");
    if (set_threads != NULL) set_threads(1);
    blas_sgemm = (cblas_sgemm_fn)dlsym(library, "cblas_sgemm");
}

static void sgemm(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                  size_t ldb, float *c, size_t ldc) {
    enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111 };
    blas_sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, (int)m, (int)n, (int)k, 1.0f, a, (int)lda, b,
               (int)ldb, 1.0f, c, (int)ldc);
}

sl_platform_sgemm sl_openblas_load(void) {
    pthread_once(&load_once, load);
    return blas_sgemm != NULL ? sgemm : NULL;
}

const char *sl_openblas_core(void) {
    return blas_core != NULL ? blas_core() : NULL;
}

const char *sl_openblas_config(void) {
    return blas_config != NULL ? blas_config() : NULL;
}
