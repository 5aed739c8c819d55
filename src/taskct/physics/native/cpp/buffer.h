// A std::vector whose data begin on a cache line, so that vector loads do not straddle two (memory.h).
#pragma once

#include <new>
#include <vector>

#include "memory.h"

namespace taskct {

template <class T> struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <class U> LineAllocator(const LineAllocator<U> &) {}
    T *allocate(std::size_t n) { return static_cast<T *>(take_memory(n * sizeof(T))); }
    void deallocate(T *p, std::size_t n) { give_memory(p, n * sizeof(T)); }
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
