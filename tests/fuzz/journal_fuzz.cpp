#include "fuzz.hpp"
#include "ingot/check/alerts.hpp"

using namespace ingot;

namespace {

std::optional<std::vector<codec::JournalRecord>> records_of(Bytes input, std::size_t step) {
  codec::JournalExportReader reader([&, at = std::size_t{0}]() mutable -> Result<Buffer> {
    const auto piece = input.subspan(at, std::min(step, input.size() - at));
    at += piece.size();
    return to_buffer(piece);
  });
  std::vector<codec::JournalRecord> out;
  while (true) {
    auto record = reader.next();
    if (!record) return std::nullopt;
    if (!*record) return out;
    out.push_back(**std::move(record));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  const auto whole = records_of(input, size + 1);
  FUZZ_REQUIRE(records_of(input, 3) == whole);  // however the bytes come
  if (whole)
    for (const auto& record : *whole) (void)check::judge(record);
  (void)codec::decode_journal_header(input);
  (void)codec::decode_upload_state(as_text(input));
  return 0;
}
