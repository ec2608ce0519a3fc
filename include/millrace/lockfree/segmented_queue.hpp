// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <millrace/detail/atomic.hpp>
#include <millrace/lockfree/segment_core.hpp>
#include <millrace/lockfree/try_queue.hpp>

namespace millrace {

/// An unbounded FIFO queue for any number of producers and consumers: a chain of segments that are used
/// again and again.
///
/// Threads     any thread may call any operation; construction and destruction are exclusive. Threads may
///             come and go: nothing is kept for each.
/// Progress    lock-free within a segment. At its end, one thread moves its side to the next segment, and
///             those of the same side spin until it has; a spin lock guards the spare segments. A thread
///             stopped in the middle of a push makes pops say empty from that message on; one stopped in
///             the middle of a pop keeps its segment from being used again, and nothing else.
/// Ordering    linearizable FIFO; what precedes a push happens-before the return of the pop that takes
///             its message. A batch is in order, but others may come in between.
/// Answers     a push always succeeds. A pop that fails: empty, or the push of the oldest message is in
///             flight.
/// Errors      std::bad_alloc from the constructor, and from a push, which then has not touched its message
///             (arguments of try_emplace are used up where T's construction can throw). try_push_n throws
///             it only if not one message went in, unless T's construction or the iterator can throw
///             as well: then what went in before stays.
/// Complexity  constant, amortized: one CAS and one release store, two for a pop; a batch needs one CAS for
///             each segment. No allocation once there are enough segments for the longest queue so far. An
///             operation that loses a race for its ticket pauses (2 to 4 us on x86) before it tries again;
///             a producer that needs one more segment yields once first.
/// Memory      sizeof(T) plus 9 bytes for each cell, rounded up to T's alignment. The first segment is 2 KiB,
///             and each time that none can be used again, one twice as large is added, up to 128 KiB; of
///             messages of 2000 bytes and more, 15 to 63 in each. All segments together hold at most the
///             longest queue so far, 3 large segments and the small ones (256 KiB) more, and one for each
///             thread that is stopped inside an operation. They are freed by the destructor; but when
///             the queue has drained, the pages of all but 64 of them go back to the system (on Linux), a
///             system call of a consumer for each.
/// Source      sequence stamps: D. Vyukov's bounded queue (2011); segments: J. M. Mellor-Crummey (1987); that a
///             stamp is never used twice replaces hazard pointers.
/// Use instead mpmc_ring where memory must be bounded, for nothing holds back a producer here.
template <class T, class Traits = default_traits>
class segmented_queue : public detail::try_queue<T, detail::segment_core<T, Traits>> {
 public:
  segmented_queue() = default;
};

}  // namespace millrace
