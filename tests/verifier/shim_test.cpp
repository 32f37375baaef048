// shim's variables, as the agent reads them of a node's efivarfs, and as a verdict judges them.
#include "../../verifier/agent/shim.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "boot_vectors.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/check/settings.hpp"
#include "ingot/codec/report.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kept = 7, of_this_boot = 6;
constexpr const char* shim = "605dab50-e046-4300-abb6-3dd810dd8b23";
constexpr const char* global = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// vectors/moklist.origin
constexpr const char* list_line =
    "MokListRT\tkept\t567 bytes\tsha256 6e8c3d4a29b2a3fb87fe845395c08cef70167f514ebbe6fbb0b4fda62778c88a\t"
    "certificate d129f55f829af8ab7a2f4d228ec4eeceb98b62fb6e2bef011ffc602f3711df69 CN=A module vendor,O=Somebody, Inc."
    "\tdigest 32cab00c99673e8b50d5d7f7602b2f8fdb5138aba67d1d2e422fdc8464310bc1\n";
/// printf '\1' | sha256sum
constexpr const char* flag_line =
    "MokIgnoreDB\tkept\t1 bytes\tsha256 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\tvalue 1\n";

/// A folder that stands for efivarfs.
class Variables {
 public:
  Variables() {
    REQUIRE(::mkdtemp(folder_.data()) != nullptr);
    put("SetupMode", global, {0}, of_this_boot);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  ~Variables() { fs::remove_all(folder_); }
  Variables& put(const std::string& name, const char* guid, const Buffer& data, std::uint32_t attributes = kept) {
    return file(name + "-" + guid, Writer{}.u32le(attributes).bytes(data).take());
  }
  Variables& file(const std::string& name, const Buffer& content) {
    REQUIRE(write_file(folder_ + "/" + name, content));
    return *this;
  }
  [[nodiscard]] Result<std::string> report() const { return agent::report_shim(folder_); }

 private:
  std::string folder_ = (fs::temp_directory_path() / "ingot-test-XXXXXX").string();
};

using Rows = std::vector<std::pair<std::string, std::string>>;

std::vector<Finding> findings_on(const Rows& rows, const char* text) {
  std::vector<Setting> settings = {{SettingArea::security_module, "lockdown", "integrity", "", "", ""}};
  for (const auto& [name, value] : rows)
    settings.push_back({SettingArea::security_module, name, value, "", "Ingot, boot chain", ""});
  NodeReport report;
  for (const auto* part : {"accounts", "groups", "tcp", "tcp6", "udp", "udp6", "units", "unit_files"})
    report.parts[part] = "";
  report.parts["lockdown"] = "none [integrity] confidentiality\n";
  if (text != nullptr) report.parts["shim"] = text;
  return check::check_settings(settings, report);
}

}  // namespace

TEST_CASE("shim: each variable with its digest, and what a list holds, and no other program's") {
  const auto list = test::vector_file("moklist.esl");
  CHECK(Variables().report().value().empty());
  CHECK(Variables().put("MokListRT", global, list).put("db", global, list).report().value().empty());
  CHECK(Variables().put("MokListRT", shim, list).put("MokIgnoreDB", shim, {1}).report().value() ==
        std::string(flag_line) + list_line);
  auto of_boot = std::string(list_line);
  of_boot.replace(of_boot.find("kept"), 4, "of this boot");
  CHECK(Variables().put("MokListRT", shim, list, of_this_boot).report().value() == of_boot);
  auto second = std::string(list_line);
  second.replace(0, 9, "MokListXRT12");
  CHECK(Variables().put("MokListXRT12", shim, list).report().value() == second);
  // A list that is none, and a variable that nobody knows.
  auto cut = list;
  cut.pop_back();
  CHECK_THAT(Variables().put("MokListRT", shim, cut).report().value(), Catch::EndsWith("\tno signature list\n"));
  CHECK(Variables().put("SbatLevelRT", shim, {}).report().value() ==
        "SbatLevelRT\tkept\t0 bytes\tsha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n");
}

TEST_CASE("shim: a name cannot make a line or a field of its own") {
  const auto text = Variables().put("a\tb\nMokListRT\x1B", shim, {1, 2}).report().value();
  const auto facts = codec::decode_facts(text).value();
  REQUIRE(facts.size() == 1);
  CHECK(facts.begin()->first == "a b MokListRT\\x1b");
}

TEST_CASE("shim: no variables at all is an error and not an empty list, as is a file that is no variable") {
  const auto absent = agent::report_shim("/nowhere");
  CHECK(absent.error().code == ErrorCode::missing);
  CHECK_THAT(describe(absent.error()), Catch::Contains("efivarfs"));
  CHECK(Variables().file(std::string("MokListRT-") + shim, {7, 0, 0}).report().error().code == ErrorCode::malformed);
  Variables many;
  for (int i = 0; i < 257; ++i) many.put("v" + std::to_string(i), shim, {1});
  CHECK(many.report().error().code == ErrorCode::limit);
}

TEST_CASE("shim: a node has the variables that the baseline names, and any other one is a finding") {
  using List = std::vector<std::string>;
  const std::string both = std::string(flag_line) + list_line;
  struct Row {
    const char* name;
    Rows rows;
    const char* text;
    List findings;
  };
  const Rows none = {{"shim", "none"}};
  const std::string prefix = "security-module: shim ", missing = "setting-missing ", more = "setting-unexpected ";
  const Row rows[] = {
      {"none, as cast", none, "", {}},
      {"a list that somebody left", none, list_line, List{more + prefix + "MokListRT"}},
      {"two variables", none, both.c_str(), List{more + prefix + "MokIgnoreDB", more + prefix + "MokListRT"}},
      {"not reported", none, nullptr, List{"setting-missing security-module"}},
      {"nonsense", none, "nonsense\n", List{"setting-missing security-module"}},
      {"one variable told twice", none, "a\tkept\na\tkept\n", List{"setting-missing security-module"}},
      {"a baseline from before, a report from before", {}, nullptr, {}},
      {"a baseline from before", {}, list_line, List{more + prefix + "MokListRT"}},
      {"the one that the boot chain brings",
       {{"shim", "none"},
        {"shim MokListRT", "sha256 6e8c3d4a29b2a3fb87fe845395c08cef70167f514ebbe6fbb0b4fda62778c88a"}},
       list_line,
       {}},
      {"another one in its place",
       {{"shim MokListRT", "sha256 00"}},
       list_line,
       List{"setting-differs " + prefix + "MokListRT"}},
      {"it is gone", {{"shim MokListRT", "sha256 00"}}, "", List{missing + prefix + "MokListRT"}},
      {"what shim itself makes",
       {{"shim", "of this boot"}},
       "MokListRT\tof this boot\nSbatLevelRT\tof this boot\n",
       {}},
      {"behind shim, a list that somebody left",
       {{"shim", "of this boot"}},
       list_line,
       List{more + prefix + "MokListRT"}},
      {"without shim, one of this boot", none, "MokListRT\tof this boot\n", List{more + prefix + "MokListRT"}},
      {"one beside it", {{"shim MokListRT", "kept"}}, both.c_str(), List{more + prefix + "MokIgnoreDB"}},
  };
  for (const auto& [name, wanted, text, expected] : rows) {
    INFO(name);
    List found;
    for (const auto& finding : findings_on(wanted, text)) {
      found.push_back(to_text(finding.kind) + " " + finding.subject);
      CHECK(finding.self_reported());
    }
    CHECK(found == expected);
  }
}

TEST_CASE("shim: a finding says what the kernel does with it, who put it there, and what to do") {
  const auto said = [](const char* text) { return findings_on({{"shim", "none"}}, text).at(0); };
  const auto left = said(list_line);
  CHECK_THAT(left.observed, Catch::Contains("CN=A module vendor,O=Somebody, Inc."));
  CHECK_THAT(left.cause, Catch::Contains("takes any module that one of its certificates has signed") &&
                             Catch::Contains("outlives a redeployment") &&
                             Catch::Contains(std::string("rm /sys/firmware/efi/efivars/MokListRT-") + shim) &&
                             Catch::Contains("no TPM vouches"));
  CHECK(left.remedy == Remedy::investigate);
  CHECK_THAT(said(flag_line).cause, Catch::Contains("leaves db's certificates out"));
  CHECK_THAT(said("MokListXRT3\tof this boot\n").cause, Catch::Contains("refuses") && Catch::Contains("PCR 4"));
  CHECK_THAT(said("Other\tkept\n").cause, Catch::Contains("a variable of shim's"));
  std::string long_list = "MokListRT\tkept";
  for (int i = 0; i < 500; ++i) long_list += "\tdigest " + std::string(64, 'a');
  CHECK(said(long_list.c_str()).observed.size() < 1200);
  CHECK_THAT(said(long_list.c_str()).observed, Catch::EndsWith("and 489 more"));
}
