// libzip, which reads and writes the archives that NumPy calls .npz (Debian: libzip-dev).

#ifndef SLUICE_ARCHIVES_H
#define SLUICE_ARCHIVES_H

#include <zip.h>

#endif
