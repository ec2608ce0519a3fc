// SPDX-License-Identifier: BSL-1.0
//
// biased_lock under every schedule: its owners and who locks it exclude each other, also where the bias is
// revoked, given back and revoked again, with either kind of fence.

#include <support/model.hpp>

#include <millrace/detail/biased_lock.hpp>

namespace {

using namespace millrace;
using namespace millrace::model;

template <class Fence>
struct traits : model_traits {
  using fence = Fence;
};

/// What each owner uses inside, and what the lock guards beside.
template <class Derived, class Fence, int Threads>
struct guarded : scenario<Derived, Threads> {
  using lock_type = detail::biased_lock<traits<Fence>>;

  typename lock_type::owner owners[2];
  lock_type lock{owners[0], owners[1]};
  probe sides[2];
  probe beside;
  int inside = 0;  // who is, by sides; for locks that are not excluded by probes alone

  void use(unsigned side) {
    if (lock.enter(owners[side])) {
      RL_ASSERT((inside & (4 | 1 << side)) == 0);
      inside |= 1 << side;
      sides[side].write();
      inside &= ~(1 << side);
      lock.leave(owners[side]);
    } else {
      exclude(0);
    }
  }
  unsigned exclude(unsigned marks) {
    const unsigned had = lock.lock();
    RL_ASSERT(inside == 0);
    inside = 4;
    sides[0].write();
    sides[1].write();
    beside.write();
    inside = 0;
    lock.unlock(had | marks);
    return had;
  }
  void look_beside() {
    const unsigned marks = lock.lock_beside();
    beside.write();
    lock.unlock_beside(marks);
  }
};

/// An owner that comes again and again, and one who excludes him.
template <class Fence>
struct revokes : guarded<revokes<Fence>, Fence, 2> {
  void thread(unsigned index) {
    for (int turn = 0; turn < 3; ++turn) {
      if (index == 0) {
        this->use(0);
      } else {
        this->exclude(0);
      }
    }
  }
};

/// Two owners, and one who excludes both.
template <class Fence>
struct revokes_both : guarded<revokes_both<Fence>, Fence, 3> {
  void thread(unsigned index) {
    if (index == 2) {
      this->exclude(0);
      this->look_beside();
    } else {
      this->use(index);
      this->use(index);
    }
  }
};

/// Two who exclude the same owner, and each other; one is there beside him.
template <class Fence>
struct two_revoke : guarded<two_revoke<Fence>, Fence, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      this->use(0);
      this->use(0);
    } else if (index == 1) {
      this->exclude(0);
    } else {
      this->look_beside();
      this->exclude(0);
    }
  }
};

/// An owner who locks it for the other one, sleeps, and is inside again after that.
template <class Fence>
struct marks : guarded<marks<Fence>, Fence, 2> {
  static constexpr unsigned mark = guarded<marks<Fence>, Fence, 2>::lock_type::a_mark;
  void thread(unsigned index) {
    if (index == 0) {
      this->exclude(mark);
      RL_ASSERT(this->lock.marks() == mark);
      RL_ASSERT(!this->lock.enter(this->owners[0]));
    } else {
      this->use(1);
      if (this->lock.marks() == mark) RL_ASSERT(!this->lock.enter(this->owners[1]));
    }
  }
};

template <class Fence>
void all() {
  check<revokes<Fence>>("an owner | who excludes him", {3, 5000});
  check<revokes_both<Fence>>("two owners | who excludes both", {2, 5000});
  check<two_revoke<Fence>>("an owner | two who exclude him", {2, 5000});
  check<marks<Fence>>("a mark keeps it revoked", {4, 5000});
}

}  // namespace

int main() {
  std::printf("the fences of the language\n");
  all<symmetric_fence>();
  std::printf("a fence of all threads\n");
  all<asymmetric_fence>();
  return result();
}
