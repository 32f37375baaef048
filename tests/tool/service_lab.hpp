// What tests of rendered services have in common: scripts that run them and tell what happened, one "NAME VALUE" a
// line, and systemd's own judgement of the units.
#pragma once

#include <sstream>

#include "oracle_tree.hpp"

namespace ingot::test {

/// What a script tells by name; on standard error, too.
class Told {
 public:
  Told(const std::string& subject, std::vector<std::string> argv) {
    builder::Command command;
    command.argv = std::move(argv);
    command.timeout_seconds = 600;
    const auto done = builder::run_checked(command);
    if (!done) FAIL(describe(done.error()));
    std::istringstream lines{std::string(as_text(done->output))};
    for (std::string name, value; lines >> name && std::getline(lines, value);)
      values_[name] = value.empty() ? value : value.substr(1);
    for (const auto& [name, value] : values_) std::cerr << subject << ": " << name << " " << value << "\n";
  }
  /// Fails the test where the script told nothing of that name.
  [[nodiscard]] const std::string& at(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) FAIL("nothing was told of " << name);
    return found->second;
  }
  [[nodiscard]] const std::map<std::string, std::string>& all() const { return values_; }
  void says(const std::string& name, const std::string& part) const {
    INFO(name << " is " << at(name) << ", expected " << part);
    CHECK(at(name).find(part) != std::string::npos);
  }
  [[nodiscard]] long number(const std::string& name) const {
    INFO(name << " is " << at(name));
    CHECK_FALSE(at(name).empty());
    CHECK(at(name).find_first_not_of("0123456789") == std::string::npos);
    return std::strtol(at(name).c_str(), nullptr, 10);
  }

 private:
  std::map<std::string, std::string> values_;
};

/// systemd takes every line of the units below `files`, laid over Debian's tree, and none of the services is more
/// exposed than 2.0.
inline void check_units(const std::string& files, const std::vector<std::string>& units) {
  std::vector<std::string> argv = {std::string(INGOT_SOURCE) + "/tests/tool/units", oracles, files};
  argv.insert(argv.end(), units.begin(), units.end());
  std::istringstream lines(output_of(argv));
  std::size_t judged = 0;
  for (std::string kind, line; lines >> kind && std::getline(lines, line);) {
    INFO(kind << line);
    if (kind == "verify") FAIL_CHECK("systemd-analyze verify has something to say");
    if (kind != "exposure") continue;
    std::istringstream words(line);
    std::string unit;
    int tenths = -1;
    words >> unit >> tenths;
    std::cerr << "exposure of " << unit << " is " << tenths / 10 << "." << tenths % 10 << "\n";
    CHECK(tenths >= 0);
    CHECK(tenths <= 20);
    ++judged;
  }
  const auto is_service = [](const std::string& unit) { return unit.ends_with(".service"); };
  CHECK(judged == static_cast<std::size_t>(std::count_if(units.begin(), units.end(), is_service)));
}

}  // namespace ingot::test
