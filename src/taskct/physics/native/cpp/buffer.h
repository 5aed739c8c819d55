// A std::vector whose data begin on a cache line, so that vector loads do not straddle two.
#pragma once

#include <cstdlib>
#include <new>
#include <vector>

namespace taskct {

template <class T> struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <class U> LineAllocator(const LineAllocator<U> &) {}
    T *allocate(std::size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(64))); }
    void deallocate(T *p, std::size_t) { ::operator delete(p, std::align_val_t(64)); }
    template <class U> bool operator==(const LineAllocator<U> &) const { return true; }
    template <class U> bool operator!=(const LineAllocator<U> &) const { return false; }
};

template <class T> using Buffer = std::vector<T, LineAllocator<T>>;

}  // namespace taskct
