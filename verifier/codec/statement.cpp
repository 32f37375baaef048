#include "statement.hpp"

namespace ingot::codec {
namespace {

constexpr const char* statement_type = "https://in-toto.io/Statement/v1";
constexpr std::size_t statement_cap_bytes = 16u << 20;

}  // namespace

std::string encode_statement(std::string_view name, const json::Value& digest, const char* type,
                             json::Value predicate) {
  const json::Value statement{{"_type", statement_type},
                              {"subject", json::Value::array({{{"name", name}, {"digest", digest}}})},
                              {"predicateType", type},
                              {"predicate", std::move(predicate)}};
  return statement.dump(-1, ' ', false, json::Value::error_handler_t::replace);
}

Result<json::Value> decode_statement(Bytes text, const char* type) {
  if (text.size() > statement_cap_bytes) return fail(ErrorCode::limit, "a statement of more than 16 MiB");
  auto statement = TRY(json::parse(text));
  TRY(json::only(statement, {"_type", "subject", "predicateType", "predicate"}));
  const auto outer = TRY(json::text(statement, "_type"));
  if (outer != statement_type)
    return fail(ErrorCode::unsupported, fmt::format("a document of type \"{}\", not an in-toto statement", outer));
  const auto inner = TRY(json::text(statement, "predicateType"));
  if (inner != type)
    return fail(ErrorCode::unsupported, fmt::format("a statement of type \"{}\" where \"{}\" is wanted", inner, type),
                "check which file was given for which option");
  TRY(json::member(statement, "predicate"));
  return std::move(statement["predicate"]);
}

}  // namespace ingot::codec
