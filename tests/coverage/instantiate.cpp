// SPDX-License-Identifier: BSL-1.0

// Every class template of the library as a whole: each member compiles, whether or not anything calls
// it, and one that no test calls shows up as uncovered.

#include <string>

#include <millrace/lockfree/segmented_queue.hpp>
#include <millrace/lockfree/spsc_ring.hpp>
#include <millrace/millrace.hpp>

namespace millrace {

namespace detail {

using traits = default_traits;

template class backoff<traits>;
template class intrusive_list<waiter<traits>>;
template class raw_slot<std::string, traits>;
template class spin_lock<traits>;
template class lock_guard<spin_lock<traits>>;

template class ring_core<std::string, traits, scattered_slots>;
template class spsc_core<std::string, traits>;
template class segment_pool<std::string, traits>;
template class segment_core<std::string, traits>;
template class bias_owner<traits>;
template class biased_lock<traits>;
template class spsc_core<std::string, traits, bias_owner<traits>>;
template class spsc_queue_core<std::string, traits>;
template class try_queue<std::string, ring_core<std::string, traits>>;
template class try_queue<std::string, spsc_core<std::string, traits>>;
template class try_queue<std::string, segment_core<std::string, traits>>;

template class stop_state<traits>;
template class timer_driver<traits>;
template class waiter_list<traits>;
template class thread_waiter<waiter<traits>, traits>;
template class decision<traits>;
template class next_waiters<traits>;
template class queued_delivery<void (*)(std::string), std::string>;
template class next_step<traits, copy_of_all<std::string>, std::string>;
template class trampoline<traits>;

using core = bounded_core<std::string, traits>;
template class bounded_core<std::string, traits>;
template class pop_step<core>;
template class push_step_base<core, push_step<core>>;
template class push_step<core>;
template class push_step_base<core, push_from_step<core>>;
template class push_from_step<core>;
template class drained_step<core>;
template class operation_awaiter<pop_step<core>, unmodified<traits>>;
template struct channel<bounded_queue<std::string>>;
template class channel_end<bounded_queue<std::string>, &channel<bounded_queue<std::string>>::producers>;

template class closable_lock<traits>;
template class broadcast_slots<std::string, traits>;
template class broadcast_core<std::string, traits>;
template class broadcast_pop_step<broadcast_core<std::string, traits>>;

template class join_counter<traits>;
template class join_step<scope>;
template class outcome<std::string>;
template class outcome<std::string&>;
template class owned_work_list<traits>;
template class shared_work_list<traits>;
template class task_promise<std::string>;

template class registry_tap<std::string>;
template class tap_point<std::string>;
template class basic_subscription_state<traits>;
template class closed_step<traits>;
template class emitters<traits>;
template class emission<traits>;
template class listener<traits>;
template class listener_array<traits>;
template class listener_list<traits>;
template class topic_listener<std::string>;
template class topic_state<std::string>;
template class retained_value<std::string>;
template class retained_gate<std::string>;

}  // namespace detail

template class mpmc_ring<std::string>;
template class spsc_ring<std::string>;
template class segmented_queue<std::string>;

template class operation<detail::pop_step<detail::core>>;
template class bounded_queue<std::string>;
template class spsc_queue<std::string>;
template class broadcast<std::string>;
template class broadcast_subscriber<std::string>;
template class pop_result<std::string>;
template class push_result<std::string>;
template class producer<std::string>;
template class consumer<std::string>;

template class basic_subscription<default_traits>;
template class basic_callback_registry<void(const std::string&, int), default_traits>;
template class basic_callback_registry<void(const std::string&, int), single_threaded>;
template class topic<std::string>;

template class basic_stop_source<default_traits>;
template class basic_stop_token<default_traits>;
template class basic_stop_callback<default_traits, void (*)()>;

template class basic_timer_queue<default_traits>;
template class basic_timer_thread<default_traits>;

template class basic_run_loop<default_traits>;
template class basic_thread_pool<default_traits>;
template class task<std::string>;
template class task<void>;

}  // namespace millrace
