// The entry of libFuzzer for programs that have a main function of their own.
#ifndef SLUICE_FUZZER_H
#define SLUICE_FUZZER_H

#include <stddef.h>
#include <stdint.h>

// Calls `target` with inputs it makes up, as the arguments say, until one of them fails.
int LLVMFuzzerRunDriver(int *_Nonnull argc, char *_Nullable *_Nonnull *_Nonnull argv,
                        int (*_Nonnull target)(const uint8_t *_Nullable data, size_t size));

#endif
