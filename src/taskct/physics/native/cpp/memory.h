// Memory for large arrays, kept from call to call: fresh pages cost a short kernel a tenth of its time, and threads queue for them.
#pragma once

#include <cstddef>

namespace taskct {

// At least `bytes` on a cache line, or on a large page when they fill one; they hold what an earlier call left there. Throws
// std::bad_alloc.
void *take_memory(std::size_t bytes);

// Gives back what `take_memory(bytes)` returned.
void give_memory(void *start, std::size_t bytes);

}  // namespace taskct
