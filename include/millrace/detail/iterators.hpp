// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <type_traits>
#include <utility>

namespace millrace::detail {

/// An iterator that neither reading nor advancing can make throw. std::move_iterator does not say so of
/// itself, so an adaptor of its shape is as good as what it adapts.
template <class It>
concept nothrow_iterator = (noexcept(*std::declval<It&>()) && noexcept(++std::declval<It&>())) ||
                           (requires(It& it) {
                             typename It::iterator_type;
                             it.base();
                             requires std::is_rvalue_reference_v<decltype(*it)>;
                           } && noexcept(*std::declval<typename It::iterator_type&>()) &&
                            noexcept(++std::declval<typename It::iterator_type&>()));

/// Messages can be built from *it in claimed slots: nothing throws once they are claimed.
template <class It, class T>
concept nothrow_source =
    nothrow_iterator<It> && std::is_nothrow_constructible_v<T, decltype(*std::declval<It&>())>;

/// Messages can be moved out of claimed slots to *it.
template <class It, class T>
concept nothrow_sink =
    nothrow_iterator<It> && std::is_nothrow_assignable_v<decltype(*std::declval<It&>()), T&&>;

}  // namespace millrace::detail
