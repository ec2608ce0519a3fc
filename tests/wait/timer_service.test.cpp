// SPDX-License-Identifier: BSL-1.0
#include <millrace/wait/timer_service.hpp>

#include <chrono>
#include <thread>

#include <millrace/detail/atomic.hpp>

#include "support/catch.hpp"

namespace {

using millrace::timer_node;
using millrace::timer_service;
using time_point = timer_node::clock::time_point;

constexpr time_point at(long n) {
  return time_point() + std::chrono::seconds(n);
}

struct counted : timer_node {
  int fired = 0;
  explicit counted(time_point when) {
    deadline = when;
    fire = [](timer_node* self) noexcept { ++static_cast<counted*>(self)->fired; };
  }
};

struct driver final : millrace::detail::timer_driver<millrace::default_traits> {
  int told = 0;
  bool sleeps = false;
  parker bed;

 private:
  parker* sleeps_too_long() noexcept override {
    ++told;
    return sleeps ? &bed : nullptr;
  }
};

}  // namespace

TEST_CASE("a driver is told of each timer that is due before it wakes") {
  driver d;
  timer_service& service = d;
  counted awake(at(0));
  service.add(awake);
  service.remove(awake);
  CHECK(d.told == 0);
  CHECK(d.sleeps_until() == time_point::max());
  counted five(at(5));
  counted six(at(6));
  counted four(at(4));
  service.add(five);
  CHECK(d.told == 1);
  CHECK(d.sleeps_until() == at(5));
  service.add(six);
  CHECK(d.told == 1);
  service.add(four);
  CHECK(d.told == 2);
  CHECK(d.earliest() == at(4));
  service.remove(four);
  CHECK(d.told == 2);
  CHECK(d.sleeps_until() == at(5));
  CHECK(d.expire(at(9)) == 2);
  CHECK(five.fired == 1);
  CHECK(six.fired == 1);
  CHECK(four.fired == 0);
}

TEST_CASE("timers that come and go after the one for which it went to sleep do not wake a driver") {
  driver d;
  counted first(at(5));
  d.add(first);
  d.sleeps_until();
  d.remove(first);
  for (const long when : {5, 6, 9}) {
    counted later(at(when));
    d.add(later);
    d.remove(later);
  }
  CHECK(d.told == 0);
  counted sooner(at(4));
  d.add(sooner);
  CHECK(d.told == 1);
  d.remove(sooner);
}

TEST_CASE("a driver that sleeps is woken") {
  driver d;
  d.sleeps = true;
  d.sleeps_until();
  counted timer(at(1));
  std::thread adder([&] { d.add(timer); });
  d.bed.park();
  adder.join();
  d.remove(timer);
  CHECK(d.told == 1);
}

TEST_CASE("a driver looks at the clock") {
  driver d;
  d.expire();
  counted past(timer_node::clock::now());
  counted future(timer_node::clock::now() + std::chrono::hours(1));
  d.add(past);
  d.add(future);
  d.expire();
  CHECK(past.fired == 1);
  CHECK(future.fired == 0);
  d.remove(future);
}

TEST_CASE("the rough time is not far from the time") {
  const driver d;
  const auto before = d.now();
  const auto rough = d.roughly_now();
  CHECK(rough >= before - std::chrono::seconds(1));
  CHECK(rough <= d.now());
}
