#include "json.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace ingot::codec::json {
namespace {

Error malformed(std::string message) {
  return Error{ErrorCode::malformed, std::move(message), {}, std::nullopt, std::nullopt};
}

/// Builds the document while it watches depth and member names, which nlohmann's own parser lets pass.
class Watcher : public nlohmann::json_sax<Value> {
 public:
  explicit Watcher(Value& root) : dom_(root, false) {}

  bool null() override { return dom_.null(); }
  bool boolean(bool value) override { return dom_.boolean(value); }
  bool number_integer(number_integer_t value) override { return dom_.number_integer(value); }
  bool number_unsigned(number_unsigned_t value) override { return dom_.number_unsigned(value); }
  bool number_float(number_float_t value, const string_t& raw) override { return dom_.number_float(value, raw); }
  bool string(string_t& value) override { return dom_.string(value); }
  bool binary(binary_t& value) override { return dom_.binary(value); }
  bool start_object(std::size_t size) override {
    names_.emplace_back();
    return enter() && dom_.start_object(size);
  }
  bool key(string_t& name) override {
    if (names_.back().insert(name).second) return dom_.key(name);
    problem_ = fmt::format("member \"{}\" occurs twice", name);
    return false;
  }
  bool end_object() override {
    names_.pop_back();
    --depth_;
    return dom_.end_object();
  }
  bool start_array(std::size_t size) override { return enter() && dom_.start_array(size); }
  bool end_array() override {
    --depth_;
    return dom_.end_array();
  }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    problem_ = "not a JSON document";
    at_ = at;
    return false;
  }
  [[nodiscard]] Error error() const {
    Error error = malformed(problem_.empty() ? "not a JSON document" : problem_);
    if (at_ != 0) error.offset_bytes = at_ - 1;
    return error;
  }

 private:
  bool enter() {
    if (++depth_ <= depth_cap) return true;
    problem_ = fmt::format("nested deeper than {} levels", depth_cap);
    return false;
  }
  nlohmann::detail::json_sax_dom_parser<Value> dom_;
  std::vector<std::set<std::string>> names_;
  std::size_t depth_ = 0;
  std::string problem_;
  std::size_t at_ = 0;
};

}  // namespace

std::string write(const Value& document) {
  return document.dump(1, ' ', false, Value::error_handler_t::replace) + "\n";
}

Result<Value> parse(Bytes text) {
  Value root;
  Watcher watcher(root);
  if (!Value::sax_parse(text.begin(), text.end(), &watcher)) return fail(watcher.error());
  return root;
}

const Value* find(const Value& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

Result<const Value*> member(const Value& object, const char* name) {
  if (const Value* found = find(object, name)) return found;
  return fail(malformed(fmt::format("no member \"{}\"", name)));
}

Result<std::string> text(const Value& object, const char* name) {
  const Value* found = TRY(member(object, name));
  if (!found->is_string()) return fail(malformed(fmt::format("\"{}\" is not a text", name)));
  return found->get<std::string>();
}

Result<std::string> optional_text(const Value& object, const char* name) {
  if (find(object, name) == nullptr) return std::string{};
  return text(object, name);
}

Result<std::uint64_t> number(const Value& object, const char* name) {
  const Value* found = TRY(member(object, name));
  if (!found->is_number_unsigned())
    return fail(malformed(fmt::format("\"{}\" is not a whole number of 0 or more", name)));
  return found->get<std::uint64_t>();
}

Result<const Value*> array(const Value& object, const char* name, std::size_t cap) {
  const Value* found = TRY(member(object, name));
  if (!found->is_array()) return fail(malformed(fmt::format("\"{}\" is not an array", name)));
  if (found->size() > cap)
    return fail(ErrorCode::limit,
                fmt::format("\"{}\" has {} elements; at most {} are taken", name, found->size(), cap));
  return found;
}

Result<Buffer> optional_base64(const Value& object, const char* name) {
  auto bytes = parse_base64(TRY(optional_text(object, name)));
  if (!bytes) return fail(malformed(fmt::format("\"{}\" is not base64", name)));
  return *std::move(bytes);
}

Result<Buffer> hex(const Value& value, std::string_view what) {
  if (value.is_string())
    if (auto bytes = parse_hex(value.get_ref<const std::string&>())) return *std::move(bytes);
  return fail(malformed(fmt::format("{} is not a hexadecimal text", what)));
}

Result<void> only(const Value& object, std::initializer_list<std::string_view> names) {
  if (!object.is_object()) return fail(malformed("not a JSON object"));
  for (const auto& [name, value] : object.items())
    if (std::find(names.begin(), names.end(), name) == names.end())
      return fail(malformed(fmt::format("unknown member \"{}\"", name)));
  return {};
}

}  // namespace ingot::codec::json
