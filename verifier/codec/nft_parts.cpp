#include "nft_parts.hpp"

#include <algorithm>
#include <array>

namespace ingot::codec::detail {
namespace {

using json::Value;
using Expression = NftExpression;
using Statement = NftStatement;

std::string compact(const Value& value) { return value.dump(-1, ' ', true, Value::error_handler_t::replace); }

/// {"name": content}: the one member of an object; null when it is no such thing.
const Value* only_member(const Value& value, std::string& name) {
  if (!value.is_object() || value.size() != 1) return nullptr;
  name = value.begin().key();
  return &value.begin().value();
}

bool has_text(const Value& object, const char* name) {
  const Value* found = json::find(object, name);
  return found != nullptr && found->is_string();
}

std::string text_of(const Value& object, const char* name) {
  return has_text(object, name) ? object.at(name).get<std::string>() : std::string{};
}

Expression unknown_expression(const Value& value) {
  return {.key = compact(value), .field = {}, .parts = {}, .mask = {}};
}

Expression decode_payload(const Value& whole, const Value& content) {
  // A header inside a tunnel is not the packet's own.
  if (json::find(content, "tunnel") != nullptr) return unknown_expression(whole);
  Expression out;
  if (has_text(content, "protocol") && has_text(content, "field")) {
    out.kind = Expression::Kind::payload;
    out.key = text_of(content, "protocol");
    out.field = text_of(content, "field");
    return out;
  }
  const auto offset = json::number(content, "offset");
  const auto length = json::number(content, "len");
  if (!has_text(content, "base") || !offset || !length || *offset > UINT16_MAX || *length > UINT16_MAX)
    return unknown_expression(whole);
  out.kind = Expression::Kind::raw;
  out.key = text_of(content, "base");
  out.offset_bits = static_cast<std::uint32_t>(*offset);
  out.length_bits = static_cast<std::uint32_t>(*length);
  return out;
}

Expression decode_fib(const Value& whole, const Value& content) {
  const Value* flags = json::find(content, "flags");
  if (!has_text(content, "result") || flags == nullptr) return unknown_expression(whole);
  std::vector<std::string> names;
  for (const auto& one : flags->is_array() ? *flags : Value::array({*flags})) {
    if (!one.is_string()) return unknown_expression(whole);
    names.push_back(one.get<std::string>());
  }
  std::sort(names.begin(), names.end());
  Expression out;
  out.kind = Expression::Kind::fib;
  out.key = text_of(content, "result");
  out.field = fmt::format("{}", fmt::join(names, " "));
  return out;
}

Expression decode_parts(Expression::Kind kind, const Value& whole, const Value& content) {
  if (!content.is_array()) return unknown_expression(whole);
  Expression out;
  out.kind = kind;
  for (const auto& one : content) out.parts.push_back(decode_nft_expression(one));
  return out;
}

NftValue unknown_value(const Value& value) { return {.text = compact(value), .parts = {}}; }

NftValue list_of(NftValue::Kind kind, const Value& content) {
  NftValue out{.kind = kind, .text = {}, .parts = {}};
  for (const auto& one : content) out.parts.push_back(decode_nft_value(one));
  return out;
}

NftValue decode_prefix(const Value& whole, const Value& content) {
  const auto length = json::number(content, "len");
  if (!has_text(content, "addr") || !length || *length > 128) return unknown_value(whole);
  return {NftValue::Kind::prefix, *length, text_of(content, "addr"), {}};
}

constexpr std::array<std::pair<std::string_view, NftOperator>, 7> operators = {{{"==", NftOperator::equal},
                                                                                {"!=", NftOperator::not_equal},
                                                                                {"<", NftOperator::less},
                                                                                {">", NftOperator::greater},
                                                                                {"<=", NftOperator::less_equal},
                                                                                {">=", NftOperator::greater_equal},
                                                                                {"in", NftOperator::any_bit}}};

Result<Statement> decode_match(const Value& content) {
  Statement out;
  out.kind = Statement::Kind::match;
  const auto op = TRY(json::text(content, "op"));
  const auto found = std::find_if(operators.begin(), operators.end(), [&](const auto& one) { return one.first == op; });
  if (found == operators.end()) return fail(ErrorCode::malformed, fmt::format("unknown operator \"{}\"", op));
  out.op = found->second;
  out.left = decode_nft_expression(*TRY(json::member(content, "left")));
  out.right = decode_nft_value(*TRY(json::member(content, "right")));
  return out;
}

Result<Statement> decode_vmap(const Value& content) {
  Statement out;
  out.kind = Statement::Kind::vmap;
  out.left = decode_nft_expression(*TRY(json::member(content, "key")));
  const Value* data = TRY(json::member(content, "data"));
  std::string name;
  const Value* elements = only_member(*data, name);
  if (elements == nullptr || name != "set") {
    out.right = decode_nft_value(*data);
    if (out.right.kind == NftValue::Kind::name) return out;
    return fail(ErrorCode::malformed, "a verdict map that is neither a set nor a name");
  }
  for (const auto& one : elements->is_array() ? *elements : Value::array({*elements}))
    out.elements.push_back(TRY(decode_nft_map_element(one)));
  return out;
}

/// The address and port of a NAT statement; a range or a map is kept as it is and proves nothing.
Statement decode_nat(const std::string& name, const Value& content) {
  Statement out;
  out.kind = Statement::Kind::nat;
  out.text = name;
  if (const Value* address = json::find(content, "addr")) out.address = decode_nft_value(*address);
  if (const Value* port = json::find(content, "port")) out.port = decode_nft_value(*port);
  return out;
}

Result<Statement> decode_mangle(const Value& content) {
  Statement out;
  out.left = decode_nft_expression(*TRY(json::member(content, "key")));
  out.right = decode_nft_value(*TRY(json::member(content, "value")));
  const bool is_packet = out.left.kind != Expression::Kind::meta && out.left.kind != Expression::Kind::ct;
  out.kind = is_packet ? Statement::Kind::rewrite : Statement::Kind::harmless;
  out.text = "set";
  return out;
}

/// Adding to a set is a match, too: packets without what is added, a full set or a limit within end the rule.
Statement decode_set_statement(const Value& whole, const Value& content) {
  Statement out;
  out.text = compact(whole);
  out.kind = Statement::Kind::sometimes;
  // The set's name, so that the decoder of the ruleset can mark it.
  if (const Value* set = json::find(content, "set")) out.right = decode_nft_value(*set);
  return out;
}

Statement of_kind(Statement::Kind kind, std::string text) {
  Statement out;
  out.kind = kind;
  out.text = std::move(text);
  return out;
}

bool is_one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string log_text(const Value& content) {
  const auto prefix = text_of(content, "prefix");
  return prefix.empty() ? "log" : fmt::format("log prefix \"{}\"", prefix);
}

}  // namespace

NftExpression decode_nft_expression(const Value& value) {
  std::string name;
  const Value* content = only_member(value, name);
  if (content == nullptr) return unknown_expression(value);
  if (name == "payload") return decode_payload(value, *content);
  if (name == "fib") return decode_fib(value, *content);
  if (name == "concat") return decode_parts(Expression::Kind::concat, value, *content);
  Expression out;
  if ((name == "meta" || name == "ct") && has_text(*content, "key")) {
    out.kind = name == "meta" ? Expression::Kind::meta : Expression::Kind::ct;
    out.key = text_of(*content, "key");
    out.field = text_of(*content, "dir");
    return out;
  }
  if (name == "&" && content->is_array() && content->size() == 2) {
    out.kind = Expression::Kind::masked;
    out.parts.push_back(decode_nft_expression(content->at(0)));
    out.mask = decode_nft_value(content->at(1));
    return out;
  }
  return unknown_expression(value);
}

NftValue decode_nft_value(const Value& value) {
  if (value.is_boolean()) return {NftValue::Kind::number, value.get<bool>() ? 1u : 0u, {}, {}};
  if (value.is_number_unsigned()) return {NftValue::Kind::number, value.get<std::uint64_t>(), {}, {}};
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.starts_with('@')) return {NftValue::Kind::name, 0, text.substr(1), {}};
    return {NftValue::Kind::text, 0, text, {}};
  }
  if (value.is_array()) return list_of(NftValue::Kind::flags, value);
  std::string name;
  const Value* content = only_member(value, name);
  if (content == nullptr) return unknown_value(value);
  if (name == "prefix") return decode_prefix(value, *content);
  if (name == "range" && content->is_array() && content->size() == 2) return list_of(NftValue::Kind::range, *content);
  if (name == "set") return list_of(NftValue::Kind::set, content->is_array() ? *content : Value::array({*content}));
  if (name == "concat" && content->is_array()) return list_of(NftValue::Kind::concat, *content);
  // An element with counters, a comment or a time-out of its own.
  if (name == "elem" && json::find(*content, "val") != nullptr) return decode_nft_value(content->at("val"));
  return unknown_value(value);
}

Result<std::optional<NftJudgement>> decode_nft_judgement(const Value& value) {
  std::string name;
  const Value* content = only_member(value, name);
  if (content == nullptr) return std::nullopt;
  if (name == "accept") return NftJudgement{NftVerdict::accept, {}};
  if (name == "drop") return NftJudgement{NftVerdict::drop, {}};
  if (name == "continue") return NftJudgement{NftVerdict::go_on, {}};
  if (name == "return") return NftJudgement{NftVerdict::give_back, {}};
  if (name == "jump" || name == "goto")
    return NftJudgement{name == "jump" ? NftVerdict::jump : NftVerdict::go_to, TRY(json::text(*content, "target"))};
  return std::nullopt;
}

Result<std::pair<NftValue, NftJudgement>> decode_nft_map_element(const Value& value) {
  if (!value.is_array() || value.size() != 2)
    return fail(ErrorCode::malformed, "an element of a verdict map that is not a key and a verdict");
  const auto judgement = TRY(decode_nft_judgement(value.at(1)));
  if (!judgement) return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a verdict", compact(value.at(1))));
  return std::pair{decode_nft_value(value.at(0)), *judgement};
}

Result<NftStatement> decode_nft_statement(const Value& value) {
  std::string name;
  const Value* content = only_member(value, name);
  if (content == nullptr) return of_kind(Statement::Kind::unknown, compact(value));
  if (const auto judgement = TRY(decode_nft_judgement(value))) {
    auto out = of_kind(Statement::Kind::verdict, {});
    out.judgement = *judgement;
    return out;
  }
  if (name == "match") return decode_match(*content);
  if (name == "vmap") return decode_vmap(*content);
  if (name == "mangle") return decode_mangle(*content);
  if (name == "set" || name == "map") return decode_set_statement(value, *content);
  if (is_one_of(name, {"snat", "dnat", "masquerade", "redirect"})) return decode_nat(name, *content);
  if (name == "log") return of_kind(Statement::Kind::harmless, log_text(*content));
  if (name == "counter")
    return of_kind(Statement::Kind::harmless,
                   content->is_string() ? fmt::format("counter name \"{}\"", content->get<std::string>()) : "counter");
  if (is_one_of(name, {"limit", "quota", "ct count"})) return of_kind(Statement::Kind::sometimes, name);
  if (is_one_of(name, {"ct helper", "ct expectation"})) return of_kind(Statement::Kind::helper, name);
  // A flow table takes over established flows only; a time-out and a security mark are about what is counted.
  if (is_one_of(name, {"flow", "ct timeout", "secmark", "last"})) return of_kind(Statement::Kind::harmless, name);
  if (name == "reject") return of_kind(Statement::Kind::reject, "reject");
  if (name == "notrack") return of_kind(Statement::Kind::notrack, "notrack");
  if (name == "queue") return of_kind(Statement::Kind::queue, "queue");
  return of_kind(Statement::Kind::unknown, compact(value));
}

}  // namespace ingot::codec::detail
