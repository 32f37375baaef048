// One change to one rule (or set, or policy) of a ruleset's text.
#pragma once

#include <regex>
#include <string>
#include <vector>

namespace ingot::test {

struct Mutation {
  std::string what;
  std::string ruleset;
};

namespace detail {

struct Change {
  const char* name;
  std::regex pattern;
  std::string replacement;
};

inline const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"rule deleted", std::regex("^    [^#}].* (accept|drop|goto [a-z-]+|vmap .*)$"), ""},
      {"accepts what it dropped", std::regex(" drop$"), " accept"},
      {"drops what it accepted", std::regex(" accept$"), " drop"},
      {"accepts instead of going on", std::regex(" goto (spoofed|rogue-vtep|invalid)(-out)?$"), " accept"},
      {"drops instead of logging what is opened", std::regex(" goto opened$"), " drop"},
      {"policy is accept", std::regex("policy drop;"), "policy accept;"},
      {"any source", std::regex("ip6? saddr @[a-z0-9-]+ (?!.*goto spoofed)"), ""},
      {"any destination", std::regex("ip6? daddr @[a-z0-9-]+ "), ""},
      {"another port", std::regex("dport [0-9]+ "), "dport 7 "},
      {"ports from 1 on", std::regex("dport ([0-9]+) "), "dport 1-$1 "},
      {"source is in, not out of the set", std::regex("saddr != @"), "saddr @"},
      {"one verdict less in the map", std::regex("established : accept, "), ""},
      {"invalid is not looked at", std::regex(", invalid : goto invalid"), ""},
      {"related is accepted", std::regex("related : goto related"), "related : accept"},
      {"no hop limit", std::regex(" ip6 hoplimit 255"), ""},
      {"no counter", std::regex("counter name \"[a-z0-9-]+\" "), ""},
      {"set of everybody", std::regex("elements = \\{ [0-9]+\\..*\\}"), "elements = { 0.0.0.0-255.255.255.255 }"},
      {"set of everybody", std::regex("elements = \\{ [0-9a-f]+:.*\\}"),
       "elements = { ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff }"},
      {"another priority", std::regex("priority filter;"), "priority filter + 5;"},
      {"no log", std::regex("^    limit rate .* log .*$"), ""},
  };
  return all;
}

}  // namespace detail

/// Every change that applies to some line, in the order of changes and lines.
inline std::vector<Mutation> mutations_of(const std::string& ruleset) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < ruleset.size();) {
    const auto end = ruleset.find('\n', at);
    lines.push_back(ruleset.substr(at, end - at));
    at = end == std::string::npos ? ruleset.size() : end + 1;
  }
  std::vector<Mutation> out;
  for (const auto& change : detail::changes())
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto line = std::regex_replace(lines[i], change.pattern, change.replacement);
      if (line == lines[i]) continue;
      Mutation one{change.name + std::string(": ") + lines[i].substr(std::min<std::size_t>(4, lines[i].size())), {}};
      for (std::size_t j = 0; j < lines.size(); ++j) one.ruleset += (j == i ? line : lines[j]) + "\n";
      out.push_back(std::move(one));
    }
  return out;
}

}  // namespace ingot::test
