// Marks what the shared library offers.
#pragma once

#if defined(_WIN32)
#define TASKCT_API extern "C" __declspec(dllexport)
#else
#define TASKCT_API extern "C" __attribute__((visibility("default")))
#endif
