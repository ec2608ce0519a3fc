# SPDX-License-Identifier: BSL-1.0
#
# Reads one header as tests/mutation/run needs it.
#
#   -v mode=orders               one line for each weaker order: key, tab, its caution
#   -v mode=schemata -v first=n  the header with every order chosen at run time: mutants n, n+1, ...
#   -v mode=logic -v number=n    (the logic file, then the header) the header with logic mutant n
#
# Comments, strings, spaces and line breaks do not count: a header may be reformatted.

# --- the logic file ------------------------------------------------------------------------------

mode == "logic" && NR == FNR {
  if (/^[a-z]/) ++entry
  if (entry == number) {
    if (/^[a-z]/) { place = $2; sub(/:$/, "", place); title = $0 }
    if (/^-/) old = old substr($0, 2) "\n"
    if (/^\+/) new = new substr($0, 2) "\n"
  }
  next
}

# --- the header ----------------------------------------------------------------------------------

{ line[++lines] = $0 }

# Blanks what is no code, and keeps the length; the line's comment goes to `comment`.
function blank(s,    i, c, out, string) {
  comment = ""
  for (i = 1; i <= length(s); ++i) {
    c = substr(s, i, 1)
    if (string) {
      if (c == "\\") { ++i; out = out " " }
      else if (c == "\"") string = 0
      out = out " "
    } else if (c == "\"") { string = 1; out = out " " }
    else if (c == "/" && substr(s, i, 2) == "//") {
      comment = substr(s, i)
      while (length(out) < length(s)) out = out " "
      return out
    } else out = out c
  }
  return out
}

# The function that line n of the code opens; or else the one before.
function function_at(n,    rest, name) {
  rest = code[n]
  if (rest !~ /^(  )?[A-Za-z_~\[]/ && rest !~ /^    [A-Za-z_][A-Za-z_0-9:<>&* ]* [a-z_]+[(][^;=]*[)][a-z ]* [{]$/)
    return place_of[n - 1]
  while (match(rest, /~?[A-Za-z_][A-Za-z_0-9]*[(]/)) {
    name = substr(rest, RSTART, RLENGTH - 1)
    if (name !~ /^(alignas|requires|noexcept|static_assert|decltype|nodiscard|if|for|while|switch|return|operator)$/)
      return name
    rest = substr(rest, RSTART + RLENGTH)
  }
  return place_of[n - 1]
}

function read(    n) {
  text = ""
  for (n = 1; n <= lines; ++n) {
    code[n] = blank(line[n])
    note[n] = comment
    start[n] = length(text) + 1
    text = text code[n] "\n"
    raw = raw line[n] "\n"
    place_of[n] = function_at(n)
  }
}

# What is written beside line n: its comment, and the lines of comment under it.
function beside(n,    s) {
  s = note[n]
  while (code[++n] ~ /^ *$/ && note[n] != "") {
    sub(/^\/\/ */, " ", note[n])
    s = s note[n]
  }
  return s
}

# The call whose arguments stand around `at`, and which of its orders that is.
function call_at(at,    depth, i, c, from, orders) {
  for (i = at - 1; i > 0 && depth >= 0; --i) {
    c = substr(text, i, 1)
    if (c == ")") ++depth
    if (c == "(") --depth
    if (substr(text, i, 18) == "std::memory_order_" && depth == 0) ++orders
  }
  from = i
  depth = 0
  for (; i > 0; --i) {
    c = substr(text, i, 1)
    if (c == ")") ++depth
    if (c == "(") --depth
    if (depth < 0 || (depth == 0 && c !~ /[(A-Za-z0-9_.>\-]/)) break
  }
  return substr(text, i + 1, from - i) (orders ? " on failure" : "")
}

function weaker(order, call) {
  if (order == "acquire" || order == "release") return "relaxed"
  if (order == "acq_rel") return "acquire release"
  if (order == "seq_cst") {
    if (call ~ /[.>]load$/ || call ~ /on failure$/) return "acquire"
    return call ~ /[.>]store$/ ? "release" : "acq_rel"
  }
  return ""
}

# All orders of the header, front to back: tells() each weaker one, and in `out` the schemata.
function walk(    n, rest, at, token, order, call, list, count, i, caution, edges, key, said, pick, shown) {
  out = ""
  for (n = 1; n <= lines; ++n) {
    rest = code[n]
    at = 1
    shown = line[n]
    while (match(rest, /std::memory_order_[a-z_]+/)) {
      order = substr(rest, RSTART + 18, RLENGTH - 18)
      token = RSTART
      at += token - 1
      call = call_at(start[n] + at - 1)
      count = split(weaker(order, call), list, " ")
      if (count) {
        edges = said = note[n]
        gsub(/caution:.*/, "", said)
        edges = ""
        while (match(said, /[EF][0-9]+ (and [EF][0-9]+ )?(publish|observe)/)) {
          edges = edges ", " substr(said, RSTART, RLENGTH)
          said = substr(said, RSTART + RLENGTH)
        }
        caution = beside(n)
        if (!sub(/.*caution: */, "", caution)) caution = ""
      }
      pick = "std::memory_order_" order
      for (i = 1; i <= count; ++i) {
        key = place_of[n] ": " call edges ": " order " -> " list[i]
        if (++times[key] > 1) key = key " #" times[key]
        if (mode == "orders") print key "\t" caution
        pick = "::mutation::pick(" pick ", " first++ ", std::memory_order_" list[i] ")"
      }
      out = out substr(shown, 1, token - 1) pick
      at += 18 + length(order)
      rest = substr(code[n], at)
      shown = substr(line[n], at)
    }
    out = out shown "\n"
  }
}

# The code without spaces, and for each of its characters the column in `text`.
function squeeze(    i, c, n) {
  dense = ""
  for (i = 1; i <= length(text); ++i) {
    c = substr(text, i, 1)
    if (c != " " && c != "\n") { dense = dense c; column[++n] = i }
  }
}

function fail(message) {
  print "tests/mutation/logic: " title ": " message > "/dev/stderr"
  exit 1
}

function apply(    n, fragment, from, hits, at, i, where, parts, lineno) {
  fragment = ""
  n = split(old, parts, "\n")
  for (i = 1; i <= n; ++i) fragment = fragment blank(parts[i])
  gsub(/[ \n]/, "", fragment)
  if (fragment == "") fail("no such mutant, or it replaces nothing")
  squeeze()
  for (from = 1; (i = index(substr(dense, from), fragment)) > 0; from += i) {
    where = column[from + i - 1]
    for (lineno = lines; start[lineno] > where; --lineno) {}
    if (place_of[lineno] != place) continue
    ++hits
    at = from + i - 1
  }
  if (hits != 1) fail(hits + 0 " places in " place " have this fragment, not 1: mend the mutant")
  printf "%s\n%s%s", substr(raw, 1, column[at] - 1), new, substr(raw, column[at + length(fragment) - 1] + 1)
}

END {
  if (mode == "logic" && !lines) fail("the header is not there")
  read()
  if (mode == "logic") apply()
  else {
    walk()
    if (mode == "schemata") printf "%s", out
  }
}
