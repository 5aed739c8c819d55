// Large arrays ask for large pages: the first touch of a volume's small ones takes as long as filtering it, and threads queue for them.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace taskct {

constexpr std::size_t kLargePage = std::size_t(1) << 21;

inline void want_large_pages(void *start, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const std::uintptr_t first = (std::uintptr_t(start) + kLargePage - 1) / kLargePage * kLargePage;
    const std::uintptr_t last = (std::uintptr_t(start) + bytes) / kLargePage * kLargePage;
    if (first < last) madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);  // a wish: failure changes nothing
#else
    (void)start, (void)bytes;
#endif
}

}  // namespace taskct
