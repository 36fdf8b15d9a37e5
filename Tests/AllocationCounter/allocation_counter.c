#include "allocation_counter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AC_SANITIZED 1
#endif
#endif

static atomic_int armed;
static atomic_long count;
static _Thread_local bool is_watched;

bool ac_is_sanitized(void) {
#ifdef AC_SANITIZED
    return true;
#else
    return false;
#endif
}

void ac_begin(void) {
    is_watched = true;
    atomic_store(&count, 0);
    atomic_store(&armed, 1);
}

long ac_end(void) {
    atomic_store(&armed, 0);
    is_watched = false;
    return atomic_load(&count);
}

#ifndef AC_SANITIZED

// The allocator of the C library under the names it keeps for this.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t elements, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static void note(void) {
    if (!atomic_load_explicit(&armed, memory_order_relaxed)) return;
    if (!is_watched) {
        // Workers carry the name of the engine.
        char name[16] = {0};
        if (prctl(PR_GET_NAME, name) != 0 || strncmp(name, "sluice-", 7) != 0) return;
    }
    atomic_fetch_add(&count, 1);
}

void *malloc(size_t size) {
    note();
    return __libc_malloc(size);
}

void *calloc(size_t elements, size_t size) {
    note();
    return __libc_calloc(elements, size);
}

void *realloc(void *block, size_t size) {
    note();
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    note();
    void *const made = __libc_memalign(alignment, size);
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}

#endif
