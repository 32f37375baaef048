// shim's variables as the kernel sees them, among the security modules. Nothing measures them on a node without shim,
// and whoever is root can write them there (builder/image/modules.md).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/codec/report.hpp"
#include "settings.hpp"

namespace ingot::check {
namespace {

/// Row about all of them, "shim", which says that the node must report them; and before the name of one that may be
/// there, with its facts.
constexpr std::string_view all_row = "shim", one_row = "shim ";
/// Value of the first: shim starts this image, and what it makes on each boot may be there. Firmware lets no running
/// system make such variables.
constexpr std::string_view of_this_boot = "of this boot";
/// Entries of a list that a finding shows; the digest covers the others.
constexpr std::size_t shown_fact_count = 12;

struct Meaning {
  std::string_view variable;
  std::string_view what_the_kernel_does;
};
constexpr Meaning meanings[] = {
    {"MokListRT", "the kernel takes any module that one of its certificates has signed, as it takes db's"},
    {"MokListXRT", "the kernel refuses what one of its digests is of"},
    {"MokListTrustedRT", "with shim's table of variables the kernel trusts MokListRT's certificates as its own"},
    {"MokIgnoreDB", "the kernel leaves db's certificates out: modules that db's key has signed do not load"},
    {"MokNew", "the next shim that runs here asks for its certificates to be let in"},
};

std::string meaning_of(std::string_view variable) {
  // A long list goes on in MokListRT1, MokListRT2.
  const auto whole = variable.substr(0, variable.find_last_not_of("0123456789") + 1);
  for (const auto& [name, meaning] : meanings)
    if (name == whole) return std::string(meaning);
  return "a variable of shim's";
}

/// What it means, and what to do about it.
std::string cause_of(const std::string& variable, const std::vector<std::string>& facts) {
  const bool kept = std::find(facts.begin(), facts.end(), "kept") != facts.end();
  const auto file = fmt::format("/sys/firmware/efi/efivars/{}-{}", variable, to_text(codec::shim_lock_guid));
  return fmt::format(
      "{}; {}", meaning_of(variable),
      kept ? fmt::format("shim keeps none that a running system could see, so somebody who was root here wrote it into "
                         "the firmware's flash, where it outlives a "
                         "redeployment: find out who, take the node out of service, `chattr -i {0}` and `rm {0}`, "
                         "restart, then redeploy",
                         file)
           : std::string("this image starts without shim, so something that ran before the kernel made it, and PCR 4 "
                         "says what did; it is gone with the "
                         "next start unless that runs again"));
}

std::string shown(const std::vector<std::string>& facts) {
  const auto count = std::min(facts.size(), shown_fact_count);
  const std::vector<std::string> first(facts.begin(), facts.begin() + static_cast<std::ptrdiff_t>(count));
  return fmt::format("{}{}", fmt::join(first, ", "),
                     facts.size() > count ? fmt::format(", and {} more", facts.size() - count) : "");
}

}  // namespace

bool is_shim_row(const Setting& row) { return row.name == all_row || row.name.starts_with(one_row); }

void judge_shim(AreaJudge& judge, const Rows& rows) {
  // A baseline from before there was such a row, and its agent.
  if (rows.empty() && !judge.part("shim")) return;
  const auto decode = [&]() -> Result<Facts> { return TRY_IN("shim", codec::decode_facts(TRY(judge.part("shim")))); };
  const auto reported = judge.take(decode());
  if (!reported) return;
  Facts facts;
  for (const auto& [variable, list] : *reported) facts[std::string(one_row) + variable] = list;
  Rows expected;
  bool has_shim = false;
  for (const auto* row : rows) {
    if (row->name != all_row) expected.push_back(row);
    has_shim = has_shim || (row->name == all_row && row->value == of_this_boot);
  }
  judge.compare_facts(expected, facts);
  for (const auto& [variable, list] : *reported) {
    const auto name = std::string(one_row) + variable;
    if (has_shim && std::find(list.begin(), list.end(), of_this_boot) != list.end()) continue;
    if (std::none_of(expected.begin(), expected.end(), [&](const Setting* row) { return row->name == name; }))
      judge.unexpected(name, shown(list), cause_of(variable, list));
  }
}

}  // namespace ingot::check
