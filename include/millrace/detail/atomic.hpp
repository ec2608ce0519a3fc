// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include <millrace/detail/asymmetric_fence.hpp>
#include <millrace/detail/cpu.hpp>
#include <millrace/detail/pages.hpp>
#include <millrace/detail/parker.hpp>
#include <millrace/detail/thread_context.hpp>

namespace millrace {

/// The one door to the machine. Every template that synchronises takes its atomics, its memory and
/// its thread through Traits, so that a model checker, a scheduler that yields at random, or
/// tickets of 8 bits can be put in their place without touching a shipped header.
struct default_traits {
  template <class T>
  using atomic = std::atomic<T>;

  /// Stands beside non-atomic fields that threads hand to each other: a model checker reports two
  /// unordered accesses to it as a data race. Empty in production.
  struct probe {
    void read() const noexcept {}
    void write() noexcept {}
  };

  /// The word that counts the operations of one end of a ring, flags included, and its start.
  using ticket = std::uint64_t;
  static constexpr ticket first_ticket = 0;

  using parker = detail::parker;

  /// The fences of a biased_lock, and after how many turns in which nobody slept its owners may enter again.
  using fence = detail::asymmetric_fence;
  static constexpr unsigned rebias_after = 64;
  /// The same for a list of work, whose turns are short: a revocation takes up to 50 us on a virtual machine.
  static constexpr unsigned rebias_list_after = 4096;

  static void pause() noexcept { detail::cpu_pause(); }
  static void yield() noexcept { detail::cpu_yield(); }

  static detail::thread_context& this_thread() noexcept { return detail::this_thread_context(); }

  /// The same, for functions that are never inlined.
  static detail::thread_context& this_thread_inlined() noexcept {
    return detail::this_thread_context_inlined();
  }
  static void at_thread_exit(void (*leave)(void*) noexcept, void* what) noexcept {
    detail::at_thread_exit(leave, what);
  }

  /// The one T of the program. It is never destroyed.
  template <class T>
  static T& global() noexcept {
    static_assert(std::is_trivially_destructible_v<T>);
    static constinit T the_one;
    return the_one;
  }

  static void* allocate(std::size_t bytes, std::size_t alignment) {
    if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator new(bytes);  // much faster
    return ::operator new(bytes, std::align_val_t{alignment});
  }
  static void deallocate(void* memory, std::size_t alignment) noexcept {
    if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator delete(memory);
    ::operator delete(memory, std::align_val_t{alignment});
  }

  /// How many listeners of a callback_registry are disconnected, at least, before their memory is given back.
  static constexpr std::size_t least_retired = 64;

  /// So many threads that emit have a bit of their own in the sets of those who may read; the others share one.
  static constexpr unsigned own_reader_bits = 63;
  /// How often it is looked whether the threads that emit have begun anew, before a heavy fence makes sure: where none
  /// of them has, and where one has, which that would interrupt. Behind the first look lies a yield, which may cost a
  /// time slice where more threads run than processors; behind the others about 3 us.
  static constexpr unsigned looks_before_fence = 2;
  static constexpr unsigned looks_while_emitting = 16;

  /// Gives the pages of memory that is not in use back, without freeing it: who still reads there reads
  /// what was there, or zeros.
  static void discard(void* memory, std::size_t bytes) noexcept { detail::discard_pages(memory, bytes); }

  /// How many cells of so many bytes each the larger segments of segmented_queue have: as many as fit
  /// 128 KiB, and 15 of those that are longer than 2000 bytes.
  template <std::size_t CellBytes>
  static constexpr std::size_t segment_cells = CellBytes < 2000 ? (131072 - 128) / (CellBytes + 1) : 15;

  /// The least capacity of a bounded queue that lets pushers who wait in by the dozen: see bounded_core.
  static constexpr std::size_t least_refilled = 16;

  /// How many slots stand in a line of spsc_ring, where so many fit.
  template <std::size_t Fitting>
  static constexpr std::size_t line_slots = Fitting;
};

}  // namespace millrace
