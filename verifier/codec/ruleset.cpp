#include "ingot/codec/ruleset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "json.hpp"

namespace ingot::codec {
namespace {

std::string text_of(const json::Value& value);

/// Names and numbers as they are; anything that could be read as several words, in quotes.
std::string word(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.:/*@+-").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  return json::Value(text).dump(-1, ' ', true, json::Value::error_handler_t::replace);
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (const auto& part : parts) out.append(out.empty() ? std::string_view{} : between).append(part);
  return out;
}

std::vector<std::string> texts_of(const json::Value& list) {
  std::vector<std::string> out;
  if (!list.is_array()) return {text_of(list)};
  for (const auto& one : list) out.push_back(text_of(one));
  return out;
}

/// Flags: a list in nft 1.0.6, "|" of "|" in later ones.
void add_flags(const json::Value& value, std::vector<std::string>& out) {
  if (value.is_array())
    for (const auto& one : value) add_flags(one, out);
  else if (value.is_object() && value.size() == 1 && value.contains("|"))
    add_flags(value["|"], out);
  else
    out.push_back(text_of(value));
}
std::string flags_text(const json::Value& value) {
  std::vector<std::string> flags;
  add_flags(value, flags);
  return joined(flags, ",");
}

/// Members by name, but for those that change by themselves.
std::string members_text(const json::Value& object, const std::set<std::string_view>& left_out = {}) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : object.items())
    if (!left_out.contains(name)) parts.push_back(fmt::format("{} {}", name, text_of(value)));
  return joined(parts, " ");
}

/// An element of a set, or key and value of a map's.
std::string element_text(const json::Value& element) {
  if (element.is_array() && element.size() == 2)
    return fmt::format("{} : {}", element_text(element[0]), text_of(element[1]));
  return text_of(element);
}
std::string elements_text(const json::Value& list) {
  std::vector<std::string> parts;
  if (list.is_array())
    for (const auto& one : list) parts.push_back(element_text(one));
  else
    parts.push_back(element_text(list));
  std::sort(parts.begin(), parts.end());
  return fmt::format("{{ {} }}", joined(parts, ", "));
}

std::string payload_text(const json::Value& value) {
  if (value.is_object() && value.size() == 2 && value.contains("protocol") && value.contains("field"))
    return fmt::format("{} {}", text_of(value["protocol"]), text_of(value["field"]));
  return fmt::format("payload({})", text_of(value));
}

std::string match_text(const json::Value& value) {
  if (!value.is_object() || !value.contains("left") || !value.contains("right") || !value.contains("op"))
    return fmt::format("match({})", text_of(value));
  const auto op = value["op"].is_string() ? value["op"].get<std::string>() : text_of(value["op"]);
  const auto left = text_of(value["left"]), right = text_of(value["right"]);
  return op == "==" ? fmt::format("{} {}", left, right) : fmt::format("{} {} {}", left, op, right);
}

std::string set_member_text(const json::Value& value, const char* between) {
  if (!value.is_object() || !value.contains("key") || !value.contains("data")) return text_of(value);
  return fmt::format("{} {} {}", text_of(value["key"]), between, text_of(value["data"]));
}

std::string pair_text(const json::Value& value, const char* first, const char* second, std::string_view between) {
  if (!value.is_object() || value.size() != 2 || !value.contains(first) || !value.contains(second))
    return text_of(value);
  return fmt::format("{}{}{}", text_of(value[first]), between, text_of(value[second]));
}

/// An expression or statement: an object with one member, which names it.
std::string expression_text(const std::string& kind, const json::Value& value) {
  if (kind == "match") return match_text(value);
  if (kind == "payload") return payload_text(value);
  if (kind == "set") return value.is_array() ? elements_text(value) : fmt::format("set {}", text_of(value));
  if (kind == "map" || kind == "vmap") return set_member_text(value, kind.c_str());
  if (kind == "prefix") return pair_text(value, "addr", "len", "/");
  if (kind == "range") return joined(texts_of(value), "-");
  if (kind == "concat") return joined(texts_of(value), " . ");
  if (kind == "|") return flags_text(value);
  if (kind == "&" || kind == "^" || kind == "<<" || kind == ">>")
    return fmt::format("({})", joined(texts_of(value), fmt::format(" {} ", kind)));
  if (kind == "elem") return value.is_object() ? members_text(value, {"expires", "counter"}) : text_of(value);
  // Packets and bytes count up; a named counter is a text.
  if (kind == "counter" && value.is_object()) return kind;
  if (kind == "quota" && value.is_object())
    return fmt::format("quota ({})", members_text(value, {"used", "used_unit"}));
  if (value.is_null()) return kind;
  if (value.is_object() && value.size() == 1) {
    const auto& inner = value.begin();
    if (inner.key() == "key" || inner.key() == "target") return fmt::format("{} {}", kind, text_of(inner.value()));
  }
  return value.is_object() && value.size() > 1 ? fmt::format("{} ({})", kind, text_of(value))
                                               : fmt::format("{} {}", kind, text_of(value));
}

std::string text_of(const json::Value& value) {
  if (value.is_string()) return word(value.get_ref<const std::string&>());
  if (value.is_array()) return flags_text(value);
  if (!value.is_object()) return value.dump();
  if (value.size() == 1) return expression_text(value.begin().key(), value.begin().value());
  return members_text(value);
}

std::string rule_text(const json::Value& rule) {
  auto parts = texts_of(rule.value("expr", json::Value::array()));
  if (rule.contains("comment")) parts.push_back(fmt::format("comment {}", text_of(rule["comment"])));
  return joined(parts, " ");
}

std::string set_text(const std::string& kind, const json::Value& set) {
  std::vector<std::string> flags;
  if (set.contains("flags")) add_flags(set["flags"], flags);
  const auto has = [&](const char* flag) { return std::find(flags.begin(), flags.end(), flag) != flags.end(); };
  const bool changes = has("dynamic") || has("timeout");
  std::erase(flags, "dynamic");  // nft 1.0.6 tells one flag only
  std::sort(flags.begin(), flags.end());
  std::string out = kind;
  const auto rest = members_text(set, {"handle", "family", "table", "name", "type", "auto-merge", "elem", "flags"});
  if (!rest.empty()) out += " " + rest;
  if (!flags.empty()) out += fmt::format(" flags {}", joined(flags, ","));
  if (changes) return out + " elements come and go";
  return set.contains("elem") ? fmt::format("{} {}", out, elements_text(set["elem"])) : out + " {}";
}

struct Listing {
  std::map<std::string, std::string> objects;             ///< tables, chains, sets, counters
  std::map<std::string, std::vector<std::string>> rules;  ///< by their chain
};

Result<void> add_object(const std::string& kind, const json::Value& object, Listing& listing) {
  if (!object.is_object()) return fail(ErrorCode::malformed, fmt::format("a {} that is no object", kind));
  const auto family = TRY_IN(kind, json::text(object, "family"));
  if (kind == "table") {
    const auto name = fmt::format("{} {}", family, TRY_IN(kind, json::text(object, "name")));
    const auto rest = members_text(object, {"handle", "family", "name"});
    listing.objects[name] = rest.empty() ? "table" : "table " + rest;
    return {};
  }
  const auto table = fmt::format("{} {}", family, TRY_IN(kind, json::text(object, "table")));
  if (kind == "rule") {
    const auto chain = TRY_IN(kind, json::text(object, "chain"));
    listing.rules[fmt::format("{} {}", table, chain)].push_back(rule_text(object));
    return {};
  }
  const auto name = TRY_IN(kind, json::text(object, "name"));
  if (kind == "chain") {
    const auto rest = members_text(object, {"handle", "family", "table", "name", "dev"});
    listing.objects[fmt::format("{} {}", table, name)] = rest.empty() ? "chain" : "chain " + rest;
  } else if (kind == "set" || kind == "map") {
    listing.objects[fmt::format("{} {} {}", table, kind, name)] = set_text(kind, object);
  } else {
    // Named counters, quotas, limits, helpers. A quota's "bytes" is its limit.
    std::set<std::string_view> left_out = {"handle", "family", "table", "name"};
    if (kind == "counter") left_out.insert({"packets", "bytes"});
    if (kind == "quota") left_out.insert("used");
    const auto rest = members_text(object, left_out);
    listing.objects[fmt::format("{} {} {}", table, kind, name)] = rest.empty() ? kind : kind + " " + rest;
  }
  return {};
}

}  // namespace

Result<std::vector<RulesetLine>> canonical_ruleset(Bytes text) {
  const auto document = TRY_IN("nft", json::parse(text));
  const auto* list = TRY_IN("nft", json::member(document, "nftables"));
  if (!list->is_array()) return fail(ErrorCode::malformed, "nft: \"nftables\" is not an array");
  Listing listing;
  for (const auto& one : *list) {
    if (!one.is_object() || one.size() != 1)
      return fail(ErrorCode::malformed, "nft: an object of the ruleset without a kind");
    if (one.begin().key() != "metainfo") TRY_IN("nft", add_object(one.begin().key(), one.begin().value(), listing));
  }
  std::vector<RulesetLine> lines;
  for (const auto& [name, rules] : listing.rules)
    if (!listing.objects.contains(name))
      return fail(ErrorCode::malformed, fmt::format("nft: rules of a chain \"{}\" that is not listed", name));
  for (auto& [name, object] : listing.objects) {
    lines.push_back({name, std::move(object)});
    std::size_t place = 0;
    for (auto& rule : listing.rules[name]) lines.push_back({fmt::format("{} #{}", name, ++place), std::move(rule)});
  }
  return lines;
}

Result<std::vector<Setting>> firewall_settings(Bytes text, const std::string& file, const std::string& source) {
  std::vector<Setting> settings;
  for (auto& line : TRY(canonical_ruleset(text)))
    settings.push_back({SettingArea::firewall, std::move(line.name), std::move(line.text), file, source, ""});
  return settings;
}

}  // namespace ingot::codec
