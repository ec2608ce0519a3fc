// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace millrace::detail {

/// A doubly linked list through the nodes' own `next` (a Node* or a pointer to a base of Node) and
/// `previous`. Owns nothing.
///
/// Threads     none: its owner's lock guards it.
/// Complexity  constant, removal from the middle included.
template <class Node>
class intrusive_list {
 public:
  bool empty() const noexcept { return front_ == nullptr; }

  void push_back(Node& node) noexcept {
    node.next = nullptr;
    node.previous = back_;
    if (back_ != nullptr) {
      back_->next = &node;
    } else {
      front_ = &node;
    }
    back_ = &node;
  }

  void remove(Node& node) noexcept {
    Node* const next = static_cast<Node*>(node.next);
    if (node.previous != nullptr) {
      node.previous->next = next;
    } else {
      front_ = next;
    }
    if (next != nullptr) {
      next->previous = node.previous;
    } else {
      back_ = node.previous;
    }
  }

  Node& pop_front() noexcept {
    Node& node = *front_;
    remove(node);
    return node;
  }

  /// The first node, and the one after another; null: there is none.
  Node* front() const noexcept { return front_; }
  Node* after(const Node& node) const noexcept { return static_cast<Node*>(node.next); }

 private:
  Node* front_ = nullptr;
  Node* back_ = nullptr;
};

}  // namespace millrace::detail
