// The text of the last failure, one for each thread.

#include "error_text.h"

#include <stdio.h>

#include "sluice.h"

static _Thread_local char error_text[2048];

void sluice_set_error_text(const char *text) {
    snprintf(error_text, sizeof error_text, "%s", text);
}

const char *sluice_error_text(void) {
    return error_text;
}
