#include "ingot/codec/esl.hpp"

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t list_header_size = 28;
constexpr std::size_t entry_cap = 65536;

}  // namespace

Buffer encode_signature_data(const SignatureData& data) { return Writer{}.bytes(data.owner.bytes).bytes(data.data).take(); }

Buffer encode_signature_lists(const std::vector<SignatureList>& lists) {
  Writer out;
  for (const auto& list : lists) {
    const std::size_t entry_size = list.signatures.empty() ? 0 : 16 + list.signatures.front().data.size();
    out.bytes(list.type.bytes);
    out.u32le(static_cast<std::uint32_t>(list_header_size + list.header.size() + entry_size * list.signatures.size()));
    out.u32le(static_cast<std::uint32_t>(list.header.size())).u32le(static_cast<std::uint32_t>(entry_size));
    out.bytes(list.header);
    for (const auto& entry : list.signatures) out.bytes(encode_signature_data(entry));
  }
  return out.take();
}

Result<std::vector<SignatureList>> decode_signature_lists(Bytes data) {
  Reader in{data};
  std::vector<SignatureList> lists;
  std::size_t entries = 0;
  while (in.ok() && in.left() > 0) {
    SignatureList list;
    const Bytes type = in.bytes(16);
    const std::uint32_t list_size = in.u32le();
    const std::uint32_t header_size = in.u32le();
    const std::uint32_t entry_size = in.u32le();
    if (!in.ok()) break;
    list.type = guid_from(type);
    if (list_size < list_header_size || header_size > list_size - list_header_size) {
      in.fail_with("a signature list is smaller than its header");
      break;
    }
    list.header = to_buffer(in.bytes(header_size));
    const std::uint32_t body = list_size - static_cast<std::uint32_t>(list_header_size) - header_size;
    if (body != 0 && (entry_size <= 16 || body % entry_size != 0)) in.fail_with("a signature list's size is no multiple of its entries'");
    for (std::uint32_t left = body; left > 0 && in.ok(); left -= entry_size) {
      if (++entries > entry_cap) return fail(ErrorCode::limit, "more than 65536 signatures");
      const Bytes entry = in.bytes(entry_size);
      if (in.ok()) list.signatures.push_back({guid_from(entry.first(16)), to_buffer(entry.subspan(16))});
    }
    lists.push_back(std::move(list));
  }
  return in.finish(std::move(lists));
}

SignatureList x509_list(const Guid& owner, Bytes certificate_der) {
  return {efi_cert_x509_guid, {}, {{owner, to_buffer(certificate_der)}}};
}

}  // namespace ingot::codec
