// SPDX-License-Identifier: BSL-1.0
#pragma once

// Everything of the in-process library.

#include <millrace/callback/callback_registry.hpp>
#include <millrace/callback/message_bus.hpp>
#include <millrace/callback/next.hpp>
#include <millrace/callback/on_message.hpp>
#include <millrace/callback/single_threaded.hpp>
#include <millrace/callback/subscribe_on.hpp>
#include <millrace/callback/subscription.hpp>
#include <millrace/callback/tap.hpp>
#include <millrace/callback/topic.hpp>
#include <millrace/callback/topic_pattern.hpp>
#include <millrace/lockfree/mpmc_ring.hpp>
#include <millrace/lockfree/segmented_queue.hpp>
#include <millrace/lockfree/slot_layout.hpp>
#include <millrace/lockfree/spsc_ring.hpp>
#include <millrace/pipeline/branches.hpp>
#include <millrace/pipeline/error_policy.hpp>
#include <millrace/pipeline/failed.hpp>
#include <millrace/pipeline/from.hpp>
#include <millrace/pipeline/running_pipeline.hpp>
#include <millrace/pipeline/sink.hpp>
#include <millrace/pipeline/stage.hpp>
#include <millrace/pipeline/timeout.hpp>
#include <millrace/queue/bounded_queue.hpp>
#include <millrace/queue/broadcast.hpp>
#include <millrace/queue/consumer.hpp>
#include <millrace/queue/make_channel.hpp>
#include <millrace/queue/producer.hpp>
#include <millrace/queue/rendezvous_queue.hpp>
#include <millrace/queue/spsc_queue.hpp>
#include <millrace/queue/unbounded_queue.hpp>
#include <millrace/task/resume_on.hpp>
#include <millrace/task/run_loop.hpp>
#include <millrace/task/scope.hpp>
#include <millrace/task/sync_wait.hpp>
#include <millrace/task/task.hpp>
#include <millrace/task/thread_pool.hpp>
#include <millrace/task/when_all.hpp>
#include <millrace/wait/after.hpp>
#include <millrace/wait/select.hpp>
#include <millrace/wait/stop_token.hpp>
#include <millrace/wait/timer.hpp>
#include <millrace/wait/timer_service.hpp>
#include <millrace/wait/timer_thread.hpp>
