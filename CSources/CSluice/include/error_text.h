// How the implementation of the C interface sets what sluice_error_text() returns.

#ifndef SLUICE_ERROR_TEXT_H
#define SLUICE_ERROR_TEXT_H

/// Keeps the beginning of `text` for the calling thread.
void sluice_set_error_text(const char *text);

#endif
