// What the fuzz targets promise is checked in every build, whatever NDEBUG says.
#pragma once

#include <cstdlib>

#include "ingot/base/bytes.hpp"

#define FUZZ_REQUIRE(condition)     \
  do {                              \
    if (!(condition)) std::abort(); \
  } while (false)
