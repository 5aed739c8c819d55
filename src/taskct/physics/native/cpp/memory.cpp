#include "memory.h"

#include <mutex>
#include <new>

#include "pages.h"

namespace taskct {
namespace {

constexpr std::size_t kLeastKept = 256 << 10;  // smaller blocks the C library keeps by itself
constexpr std::size_t kMostKept = 64 << 20;    // bytes in all: the largest arrays are fresh every time
constexpr int kBlocksKept = 16;

// The size that a block of so many bytes has: of eight steps between powers of two, so that calls of like sizes find it.
std::size_t capacity(std::size_t bytes) {
    if (bytes < kLeastKept) return bytes;
    std::size_t step = kLeastKept / 8;
    while (step * 16 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

std::align_val_t alignment(std::size_t bytes) { return std::align_val_t(bytes < kLargePage ? 64 : kLargePage); }

void release(void *start, std::size_t bytes) { ::operator delete(start, alignment(bytes)); }

// Blocks that nobody uses, the oldest first.
struct Kept {
    struct Block {
        void *start;
        std::size_t bytes;
    };
    std::mutex lock;  // only ever tried: a process that forks while it is held must not wait for it
    Block blocks[kBlocksKept];
    int count = 0;
    std::size_t bytes = 0;

    Block remove(int n) {
        const Block block = blocks[n];
        for (int i = n + 1; i < count; i++) blocks[i - 1] = blocks[i];
        count--;
        bytes -= block.bytes;
        return block;
    }
};

Kept &kept() {
    static Kept *const one = new Kept;  // never destroyed: arrays may be freed while the process ends
    return *one;
}

}  // namespace

void *take_memory(std::size_t bytes) {
    const std::size_t size = capacity(bytes);
    if (size >= kLeastKept) {
        Kept &k = kept();
        const std::unique_lock<std::mutex> held(k.lock, std::try_to_lock);
        for (int n = held ? k.count - 1 : -1; n >= 0; n--)
            if (k.blocks[n].bytes == size) return k.remove(n).start;
    }
    void *start = ::operator new(size, alignment(size));
    want_large_pages(start, size);
    return start;
}

void give_memory(void *start, std::size_t bytes) {
    const std::size_t size = capacity(bytes);
    if (size < kLeastKept || size > kMostKept) return release(start, size);
    Kept &k = kept();
    const std::unique_lock<std::mutex> held(k.lock, std::try_to_lock);
    if (!held) return release(start, size);
    while (k.count == kBlocksKept || k.bytes + size > kMostKept) {
        const Kept::Block oldest = k.remove(0);
        release(oldest.start, oldest.bytes);
    }
    k.blocks[k.count++] = {start, size};
    k.bytes += size;
}

}  // namespace taskct
