// Rules as people know them: nft's own notation as far as the model goes.
#include <fmt/format.h>

#include "ingot/codec/nft.hpp"

namespace ingot::codec {
namespace {

std::string joined(const std::vector<NftValue>& parts, std::string_view separator);

std::string value_text(const NftValue& value, bool quoted) {
  switch (value.kind) {
    case NftValue::Kind::number:
      return fmt::format("{}", value.number);
    case NftValue::Kind::text:
      return quoted ? fmt::format("\"{}\"", value.text) : value.text;
    case NftValue::Kind::prefix:
      return fmt::format("{}/{}", value.text, value.number);
    case NftValue::Kind::range:
      return joined(value.parts, "-");
    case NftValue::Kind::set:
      return fmt::format("{{ {} }}", joined(value.parts, ", "));
    case NftValue::Kind::flags:
      return joined(value.parts, ",");
    case NftValue::Kind::concat:
      return joined(value.parts, " . ");
    case NftValue::Kind::name:
      return "@" + value.text;
    case NftValue::Kind::unknown:
      break;
  }
  return value.text;
}

std::string joined(const std::vector<NftValue>& parts, std::string_view separator) {
  std::string out;
  for (const auto& part : parts) out += fmt::format("{}{}", out.empty() ? "" : separator, value_text(part, false));
  return out;
}

/// These keys are written without "meta".
bool is_bare(std::string_view key) {
  return key == "iif" || key == "oif" || key == "iifname" || key == "oifname" || key == "iiftype" || key == "oiftype";
}

std::string expression_text(const NftExpression& left) {
  switch (left.kind) {
    case NftExpression::Kind::payload:
      return fmt::format("{} {}", left.key, left.field);
    case NftExpression::Kind::raw:
      return fmt::format("@{},{},{}", left.key, left.offset_bits, left.length_bits);
    case NftExpression::Kind::meta:
      return is_bare(left.key) ? left.key : "meta " + left.key;
    case NftExpression::Kind::ct:
      return fmt::format("ct {}{}{}", left.field, left.field.empty() ? "" : " ", left.key);
    case NftExpression::Kind::fib:
      return fmt::format("fib {} {}", left.field, left.key);
    case NftExpression::Kind::concat: {
      std::string out;
      for (const auto& part : left.parts) out += (out.empty() ? "" : " . ") + expression_text(part);
      return out;
    }
    case NftExpression::Kind::masked:
      return fmt::format("{} & {}", left.parts.empty() ? "" : expression_text(left.parts.front()),
                         value_text(left.mask, false));
    case NftExpression::Kind::unknown:
      break;
  }
  return left.key;
}

std::string_view operator_text(const NftStatement& match) {
  switch (match.op) {
    case NftOperator::equal:
      return match.left.kind == NftExpression::Kind::masked ? "== " : "";
    case NftOperator::not_equal:
      return "!= ";
    case NftOperator::less:
      return "< ";
    case NftOperator::greater:
      return "> ";
    case NftOperator::less_equal:
      return "<= ";
    case NftOperator::greater_equal:
      return ">= ";
    case NftOperator::any_bit:
      break;
  }
  return "";
}

std::string map_text(const NftStatement& vmap) {
  if (vmap.elements.empty()) return value_text(vmap.right, false);
  std::string out;
  for (const auto& [key, judgement] : vmap.elements)
    out += fmt::format("{}{} : {}", out.empty() ? "" : ", ", value_text(key, false), to_text(judgement));
  return fmt::format("{{ {} }}", out);
}

std::string nat_text(const NftStatement& nat) {
  auto out = nat.text;
  if (nat.address || nat.port) out += " to ";
  if (nat.address) out += value_text(*nat.address, false);
  if (nat.port) out += ":" + value_text(*nat.port, false);
  return out;
}

std::string statement_text(const NftStatement& statement) {
  const bool names_interface = statement.left.kind == NftExpression::Kind::meta && statement.left.key.ends_with("name");
  switch (statement.kind) {
    case NftStatement::Kind::match:
      return fmt::format("{} {}{}", expression_text(statement.left), operator_text(statement),
                         value_text(statement.right, names_interface));
    case NftStatement::Kind::verdict:
      return to_text(statement.judgement);
    case NftStatement::Kind::vmap:
      return fmt::format("{} vmap {}", expression_text(statement.left), map_text(statement));
    case NftStatement::Kind::nat:
      return nat_text(statement);
    case NftStatement::Kind::rewrite:
      return fmt::format("{} set {}", expression_text(statement.left), value_text(statement.right, false));
    case NftStatement::Kind::sometimes:
    case NftStatement::Kind::harmless:
    case NftStatement::Kind::reject:
    case NftStatement::Kind::notrack:
    case NftStatement::Kind::helper:
    case NftStatement::Kind::queue:
    case NftStatement::Kind::unknown:
      break;
  }
  return statement.text;
}

}  // namespace

std::string to_text(NftFamily family) {
  constexpr const char* names[] = {"ip", "ip6", "inet", "netdev", "bridge", "arp"};
  return names[static_cast<std::size_t>(family)];
}

std::string to_text(NftHook hook) {
  constexpr const char* names[] = {"ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"};
  return names[static_cast<std::size_t>(hook)];
}

std::string to_text(const NftJudgement& judgement) {
  constexpr const char* names[] = {"accept", "drop", "continue", "return", "jump ", "goto "};
  return names[static_cast<std::size_t>(judgement.verdict)] + judgement.chain;
}

std::string to_text(const NftRule& rule) {
  std::string out;
  for (const auto& statement : rule.statements) out += (out.empty() ? "" : " ") + statement_text(statement);
  if (!rule.comment.empty()) out += fmt::format(" comment \"{}\"", rule.comment);
  return out;
}

}  // namespace ingot::codec
