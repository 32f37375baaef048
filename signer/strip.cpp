#include "ingot/base/output.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::signer {

Result<void> strip_pe(const SharedSource& file, const std::string& out_path) {
  const auto pe = TRY(codec::decode_pe(*file));
  auto out = TRY(OutputFile::create(out_path));
  if (!pe.is_signed()) {
    TRY(out.copy_at(0, *file));
    TRY(out.truncate(file->size()));
    return out.commit();
  }
  if (pe.certificate_table_offset + pe.certificate_table_size != file->size())
    return fail(ErrorCode::unsupported, "data follows the certificate table",
                "strip and sign such a file with the tool that made it");
  TRY(out.copy_at(0, *TRY(slice_source(file, 0, pe.certificate_table_offset))));
  TRY(out.truncate(pe.certificate_table_offset));
  TRY(out.write_at(pe.security_directory_offset, Writer{}.u32le(0).u32le(0).view()));
  return out.commit();
}

}  // namespace ingot::signer
