#pragma once
// Picks the Catch2 that the system has: v2 (Debian 12) or v3.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
