// SPDX-License-Identifier: BSL-1.0
//
// orders: a small market-data program.
//
//   feed --lines--> parse --ticks--> by symbol --> rolling statistics --> unusual? --> a topic for each symbol
//                     |
//                     +--malformed lines--> a queue of dead letters --> a pipeline of its own
//
// The ticks of one symbol stay in order, those of different ones are worked on at the same time. Who wants to hear
// of unusual prices subscribes to topics; here that counts them.

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <millrace/millrace.hpp>
#include <millrace/pipeline/report.hpp>

namespace {

constexpr std::size_t symbols = 16;

struct tick {
  std::size_t symbol = 0;
  std::int64_t price = 0;  // in cents
};
struct reading {
  tick of;
  std::int64_t mean = 0;
  bool is_unusual = false;
};

/// Lines such as "7 10023", one of which in 1,000 is malformed.
class feed {
 public:
  explicit feed(std::uint64_t lines) : left_(lines) { prices_.fill(10'000); }

  std::optional<std::string> operator()() {
    if (left_ == 0) return std::nullopt;
    --left_;
    const std::uint64_t dice = next();
    if (dice % 1'000 == 0) return "7 1O023";
    const std::size_t symbol = (dice >> 20) % symbols;
    std::int64_t& price = prices_[symbol];
    price += static_cast<std::int64_t>((dice >> 40) % 11) - 5;
    const bool jumps = (dice >> 30) % 5'000 == 0;
    return std::to_string(symbol) + ' ' + std::to_string(jumps ? price + 500 : price);
  }

 private:
  std::uint64_t next() {  // xorshift64
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  }

  std::uint64_t left_;
  std::uint64_t state_ = 88172645463325252;
  std::array<std::int64_t, symbols> prices_{};
};

template <class Number>
Number number(std::string_view text) {
  Number n{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::invalid_argument("not a number: " + std::string(text));
  }
  return n;
}

tick parse(const std::string& line) {
  const std::size_t space = line.find(' ');
  if (space == std::string::npos) throw std::invalid_argument("no price: " + line);
  const std::string_view text = line;
  const auto symbol = number<std::size_t>(text.substr(0, space));
  if (symbol >= symbols) throw std::invalid_argument("no such symbol: " + line);
  return {symbol, number<std::int64_t>(text.substr(space + 1))};
}

/// The mean of the last prices of each symbol, and whether a new one is far from it. Each worker has its own, and
/// all ticks of a symbol come to one worker.
class rolling_mean {
 public:
  reading operator()(const tick& t) {
    window& w = windows_[t.symbol];
    const bool is_full = w.seen >= w.prices.size();
    const std::int64_t mean = w.sum / static_cast<std::int64_t>(w.prices.size());
    std::int64_t& oldest = w.prices[w.seen++ % w.prices.size()];
    w.sum += t.price - oldest;
    oldest = t.price;
    const std::int64_t distance = t.price < mean ? mean - t.price : t.price - mean;
    return {t, mean, is_full && distance > 250};
  }

 private:
  struct window {
    std::array<std::int64_t, 32> prices{};
    std::int64_t sum = 0;
    std::size_t seen = 0;
  };
  std::array<window, symbols> windows_;
};

struct options {
  std::uint64_t ticks = 1'000'000;
  bool stats = false;
  const char* trace = nullptr;
};

std::optional<options> read(int argc, char** argv) {
  options asked;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--stats") {
      asked.stats = true;
    } else if (word == "--trace" && i + 1 < argc) {
      asked.trace = argv[++i];
    } else if (word == "--ticks" && i + 1 < argc) {
      asked.ticks = number<std::uint64_t>(argv[++i]);
    } else {
      return std::nullopt;
    }
  }
  return asked;
}

int run(const options& asked) {
  using namespace millrace;
  using namespace std::chrono_literals;

  std::vector<topic<reading>> alerts;
  std::vector<subscription> listeners;
  std::array<std::atomic<int>, symbols> heard{};
  for (std::size_t i = 0; i < symbols; ++i) {
    alerts.emplace_back("alerts/" + std::to_string(i));
    listeners.push_back(alerts[i].subscribe([&count = heard[i]](const reading&) { ++count; }));
  }

  thread_pool pool(2);
  bounded_queue<failed<std::string>> malformed(64);
  std::string first_failure;
  int failures = 0;
  auto undertaker = start(pool, from(malformed) | for_each([&](const failed<std::string>& f) {
                                  if (++failures == 1) first_failure = f.stage + " at \"" + f.message + '"';
                                }));

  auto ticks =
      start(pool,
            from(feed(asked.ticks)) | map(parse, {.name = "parse"}).on_error(dead_letter(malformed)) |
                by_key([](const tick& t) { return t.symbol; }, 4) | map(rolling_mean()) |
                filter([](const reading& r) { return r.is_unusual; }) |
                for_each([&](const reading& r) { alerts[r.of.symbol].publish(r); }),
            run_options{.sample_every = 128, .most_spans = asked.trace != nullptr ? 10'000u : 0u});
  while (ticks.finished().within(200ms).wait() != op_status::ok) {
    const pipeline_stats now = ticks.stats();
    std::fprintf(stderr, "\r%llu ticks, %llu malformed ", static_cast<unsigned long long>(now.stages[1].in),
                 static_cast<unsigned long long>(now.stages[1].errors));
  }
  std::fputc('\r', stderr);
  malformed.close();
  undertaker.wait();

  int all_alerts = 0;
  for (const auto& count : heard) all_alerts += count;
  std::cout << asked.ticks << " lines, " << failures << " malformed, " << all_alerts << " alerts\n";
  if (failures > 0) std::cout << "the first: " << first_failure << '\n';
  if (asked.stats) std::cout << '\n' << table(ticks.stats()) << bottleneck(ticks.stats()) << '\n';
  if (asked.trace != nullptr) {
    std::ofstream(asked.trace) << chrome_trace(ticks.trace());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (const auto asked = read(argc, argv)) return run(*asked);
    std::cerr << "usage: orders [--ticks N] [--stats] [--trace FILE]\n";
  } catch (const std::exception& error) {
    std::cerr << "orders: " << error.what() << '\n';
  }
  return 2;
}
