// What Sluice uses of the system's stb library: reading and writing images, and a small font.
#pragma once

#include <stddef.h>
#include <stdio.h>

#include <stb/stb_easy_font.h>
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
