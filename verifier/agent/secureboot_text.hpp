// What signature lists hold, in words.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::agent {

struct EntryText {
  std::string kind;     ///< "certificate", "sha256", or the type's GUID
  std::string subject;  ///< of a certificate; empty otherwise
  std::string sha256;   ///< of a certificate's DER, or the digest itself, hexadecimal; empty for other types
  std::string owner;
  std::string text;  ///< all of it in a line
};
Result<std::vector<EntryText>> entries_of(Bytes signature_lists);

}  // namespace ingot::agent
