// Attacks that the rig can carry out on a copy of an image, so that what the verifier says of them can be seen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/rig/rig.hpp"

namespace ingot::rig {

enum class TamperCase {
  cmdline,            ///< command line changed, UKI signed again with the right key
  unsigned_uki,       ///< signature removed
  stranger,           ///< signed with a key that is not in db
  root_bit,           ///< one bit of the root file system flipped
  addon,              ///< a signed addon that adds to the command line, dropped on the ESP
  credential,         ///< a credential file dropped on the ESP
  partition,          ///< a partition added to the GPT
  db_certificate,     ///< a stranger's certificate added to db
  smbios_credential,  ///< an SSH key for root handed in through SMBIOS
};
std::string to_text(TamperCase tamper);  ///< "cmdline", "unsigned", "db-cert"
std::optional<TamperCase> parse_tamper_case(std::string_view);
/// Every case with one line that says what is done, for help texts.
std::vector<std::pair<std::string, std::string>> tamper_cases();

struct TamperInput {
  TamperCase tamper{};
  std::string keys;           ///< key folder, for the cases that sign; empty: an error where it is needed
  std::string vars_template;  ///< empty variable store, for db_certificate
  std::string scratch;        ///< private folder for the copies
};
/// Copies what it changes into `scratch` and points `request` at the copies. The originals are never touched.
Result<void> tamper(const TamperInput& input, BootRequest& request);

}  // namespace ingot::rig
