// A std::vector whose data begin on a cache line, so that vector loads do not straddle two; a large one begins on a large page.
#pragma once

#include <cstdlib>
#include <new>
#include <vector>

#include "pages.h"

namespace taskct {

template <class T> struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <class U> LineAllocator(const LineAllocator<U> &) {}
    T *allocate(std::size_t n) {
        void *p = ::operator new(n * sizeof(T), alignment(n));
        want_large_pages(p, n * sizeof(T));
        return static_cast<T *>(p);
    }
    void deallocate(T *p, std::size_t n) { ::operator delete(p, alignment(n)); }
    static std::align_val_t alignment(std::size_t n) { return std::align_val_t(n * sizeof(T) < kLargePage ? 64 : kLargePage); }
    template <class U> bool operator==(const LineAllocator<U> &) const { return true; }
    template <class U> bool operator!=(const LineAllocator<U> &) const { return false; }
};

template <class T> using Buffer = std::vector<T, LineAllocator<T>>;

// Leaves new values as they are, so that the threads that fill a large array also touch it first.
template <class T> struct RawAllocator : LineAllocator<T> {
    RawAllocator() = default;
    template <class U> RawAllocator(const RawAllocator<U> &) {}
    template <class U> void construct(U *p) {
        ::new (static_cast<void *>(p)) U;
    }
    template <class U> bool operator==(const RawAllocator<U> &) const { return true; }
    template <class U> bool operator!=(const RawAllocator<U> &) const { return false; }
};

// A Buffer whose values are not set by `resize` and the constructor.
template <class T> using RawBuffer = std::vector<T, RawAllocator<T>>;

}  // namespace taskct
