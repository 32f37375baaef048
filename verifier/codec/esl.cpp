#include "ingot/codec/esl.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint32_t list_header_size = 28;
constexpr std::uint32_t owner_size = 16;
constexpr std::size_t entry_cap = 65536;
constexpr std::uint32_t sha256_size = 32;

/// EFI_SIGNATURE_LIST of one size of entries.
void encode_run(Writer& out, const SignatureList& list, std::span<const SignatureData> entries) {
  const std::size_t entry_size = entries.empty() ? 0 : owner_size + entries.front().data.size();
  out.bytes(list.type.bytes);
  out.u32le(static_cast<std::uint32_t>(list_header_size + list.header.size() + entry_size * entries.size()));
  out.u32le(static_cast<std::uint32_t>(list.header.size())).u32le(static_cast<std::uint32_t>(entry_size));
  out.bytes(list.header);
  for (const auto& entry : entries) out.bytes(encode_signature_data(entry));
}

struct ListHeader {
  Guid type;
  std::uint32_t list_size = 0;
  std::uint32_t header_size = 0;
  std::uint32_t entry_size = 0;
};

/// What firmware holds a list to before it uses it (edk2 SecurityPkg/Library/AuthVariableLib,
/// CheckSignatureListFormat()).
std::string problem_of(const ListHeader& list) {
  if (list.list_size < list_header_size || list.header_size > list.list_size - list_header_size)
    return "a signature list is smaller than its header";
  const std::uint32_t body = list.list_size - list_header_size - list.header_size;
  if (body == 0) return {};
  if (list.entry_size <= owner_size || body % list.entry_size != 0)
    return "a signature list's size is no multiple of its entries'";
  const bool digests = list.type == efi_cert_sha256_guid;
  if (digests && list.entry_size != owner_size + sha256_size)
    return fmt::format("a SHA-256 signature of {} bytes; 32 are a digest", list.entry_size - owner_size);
  if ((digests || list.type == efi_cert_x509_guid) && list.header_size != 0)
    return "a list of digests or certificates with a header, which those kinds do not have";
  return {};
}

}  // namespace

Buffer encode_signature_data(const SignatureData& data) {
  return Writer{}.bytes(data.owner.bytes).bytes(data.data).take();
}

Buffer encode_signature_lists(const std::vector<SignatureList>& lists) {
  Writer out;
  for (const auto& list : lists) {
    std::span<const SignatureData> left = list.signatures;
    do {
      const auto other_size = std::find_if(left.begin(), left.end(),
                                           [&](const auto& e) { return e.data.size() != left.front().data.size(); });
      const auto run = static_cast<std::size_t>(other_size - left.begin());
      encode_run(out, list, left.first(run));
      left = left.subspan(run);
    } while (!left.empty());
  }
  return out.take();
}

Result<std::vector<SignatureList>> decode_signature_lists(Bytes data) {
  Reader in{data};
  std::vector<SignatureList> lists;
  std::size_t entries = 0;
  while (in.ok() && in.left() > 0) {
    const Bytes type = in.bytes(16);
    ListHeader header;
    header.list_size = in.u32le();
    header.header_size = in.u32le();
    header.entry_size = in.u32le();
    if (!in.ok()) break;
    header.type = guid_from(type);
    if (auto problem = problem_of(header); !problem.empty()) {
      in.fail_with(std::move(problem));
      break;
    }
    SignatureList list{header.type, to_buffer(in.bytes(header.header_size)), {}};
    const std::uint32_t body = header.list_size - list_header_size - header.header_size;
    for (std::uint32_t left = body; left > 0 && in.ok(); left -= header.entry_size) {
      if (++entries > entry_cap) return fail(ErrorCode::limit, "more than 65536 signatures");
      const Bytes entry = in.bytes(header.entry_size);
      if (in.ok())
        list.signatures.push_back({guid_from(entry.first(owner_size)), to_buffer(entry.subspan(owner_size))});
    }
    lists.push_back(std::move(list));
  }
  return in.finish(std::move(lists));
}

SignatureList x509_list(const Guid& owner, Bytes certificate_der) {
  return {efi_cert_x509_guid, {}, {{owner, to_buffer(certificate_der)}}};
}

}  // namespace ingot::codec
