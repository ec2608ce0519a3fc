// SPDX-License-Identifier: BSL-1.0
#include <millrace/detail/intrusive_list.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/catch.hpp"

namespace {

struct base {
  base* next = nullptr;
};

/// Linked by a pointer to its base, as waiters are.
struct node : base {
  node* previous = nullptr;
  int n = 0;
};

using list = millrace::detail::intrusive_list<node>;

std::vector<int> emptied(list& l) {
  std::vector<int> numbers;
  while (!l.empty()) numbers.push_back(l.pop_front().n);
  return numbers;
}

}  // namespace

TEST_CASE("a list gives back in the order in which it was given") {
  node nodes[3];
  list l;
  CHECK(l.empty());
  for (int lap = 0; lap < 2; ++lap) {
    for (int n = 0; n < 3; ++n) {
      nodes[n].n = n;
      l.push_back(nodes[n]);
    }
    CHECK_FALSE(l.empty());
    CHECK(emptied(l) == std::vector<int>{0, 1, 2});
  }
}

TEST_CASE("nodes leave a list in any order") {
  std::vector<int> order{0, 1, 2, 3};
  do {
    for (std::size_t removed = 0; removed <= order.size(); ++removed) {
      node nodes[4];
      std::vector<int> model{0, 1, 2, 3};
      list l;
      for (int n = 0; n < 4; ++n) {
        nodes[n].n = n;
        l.push_back(nodes[n]);
      }
      for (std::size_t i = 0; i < removed; ++i) {
        l.remove(nodes[order[i]]);
        model.erase(std::find(model.begin(), model.end(), order[i]));
      }
      node late;
      late.n = 9;
      l.push_back(late);
      model.push_back(9);
      REQUIRE(emptied(l) == model);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}
