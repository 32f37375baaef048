#include <fmt/format.h>

#include "ingot/signer/pe.hpp"
#include "pe_output.hpp"

namespace ingot::signer {
namespace {

Result<void> write_with(const ByteSource& file, const codec::Pe& pe, Bytes table, const std::string& out_path) {
  return TRY(PeOutput::copy(file, pe, out_path, [](Bytes) {})).finish(table);
}

}  // namespace

Result<void> strip_pe(const SharedSource& file, const std::string& out_path) {
  const auto pe = TRY(codec::decode_pe(*file));
  if (pe.is_signed()) return write_with(*file, pe, {}, out_path);
  auto out = TRY(OutputFile::create(out_path));
  TRY(out.copy_at(0, *file));
  TRY(out.truncate(file->size()));
  return out.commit();
}

Result<void> remove_signature(const SharedSource& file, std::size_t number, const std::string& out_path) {
  const auto pe = TRY(codec::decode_pe(*file));
  auto certificates = TRY(codec::pe_certificates(*file, pe));
  if (number < 1 || number > certificates.size())
    return fail(ErrorCode::usage, fmt::format("there is no signature {}; the file has {}", number, certificates.size()),
                "`ingot sign list` shows them with their numbers");
  certificates.erase(certificates.begin() + static_cast<std::ptrdiff_t>(number - 1));
  return write_with(*file, pe, codec::encode_certificate_table(certificates), out_path);
}

}  // namespace ingot::signer
