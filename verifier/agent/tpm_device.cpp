#include "tpm_device.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ingot/codec/tpm_response.hpp"

namespace ingot::agent {
namespace {

constexpr std::uint16_t tpm_st_no_sessions = 0x8001;
constexpr std::uint16_t tpm_st_sessions = 0x8002;
constexpr std::uint32_t tpm_rs_pw = 0x40000009;
constexpr std::uint32_t tpm_rh_endorsement = 0x4000000B;
constexpr std::uint32_t tpm_cap_pcrs = 0x00000005;
constexpr std::uint32_t cc_create_primary = 0x131;
constexpr std::uint32_t cc_nv_read = 0x14E;
constexpr std::uint32_t cc_quote = 0x158;
constexpr std::uint32_t cc_flush_context = 0x165;
constexpr std::uint32_t cc_nv_read_public = 0x169;
constexpr std::uint32_t cc_get_capability = 0x17A;
constexpr std::uint32_t cc_pcr_read = 0x17E;

constexpr std::size_t header_size_bytes = 10;
constexpr std::size_t response_cap_bytes = 4096;  // what the kernel's driver hands over at most
constexpr std::size_t digest_cap_bytes = 64;
constexpr std::size_t structure_cap_bytes = 2048;
constexpr std::uint16_t nv_chunk_bytes = 512;  // below every TPM's TPM_PT_NV_BUFFER_MAX
constexpr std::size_t nv_size_cap_bytes = 8192;

constexpr int send_attempts = 50;
constexpr timespec between_attempts{0, 100'000'000};

Error response_error(std::uint32_t command_code, std::uint32_t code) {
  return Error{codec::tpm_knows_no_such_handle(code) ? ErrorCode::missing : ErrorCode::io,
               fmt::format("the TPM answered command 0x{:x} with {}", command_code, codec::tpm_response_text(code)),
               {},
               std::nullopt,
               std::nullopt};
}

/// Header and body of a command; Part 1, "Command/Response Structure".
Buffer encode_command(std::uint32_t command_code, const std::vector<std::uint32_t>& handles, std::size_t authorized,
                      Bytes parameters) {
  Writer body;
  for (const auto handle : handles) body.u32be(handle);
  if (authorized > 0) {
    body.u32be(static_cast<std::uint32_t>(9 * authorized));
    for (std::size_t i = 0; i < authorized; ++i) body.u32be(tpm_rs_pw).u16be(0).u8(0).u16be(0);  // empty password
  }
  body.bytes(parameters);
  Writer command;
  command.u16be(authorized > 0 ? tpm_st_sessions : tpm_st_no_sessions)
      .u32be(static_cast<std::uint32_t>(body.size() + header_size_bytes));
  return command.u32be(command_code).bytes(body.view()).take();
}

}  // namespace

Result<TpmDevice> TpmDevice::open() {
  for (const auto* path : {"/dev/tpmrm0", "/dev/tpm0"})
    if (const int fd = ::open(path, O_RDWR | O_CLOEXEC); fd >= 0) return TpmDevice(fd);
  return fail(ErrorCode::missing, "no TPM: neither /dev/tpmrm0 nor /dev/tpm0 can be opened",
              "enable the TPM in the firmware, and run as root");
}

TpmDevice::TpmDevice(TpmDevice&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
TpmDevice::~TpmDevice() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Buffer> TpmDevice::transmit(Bytes command) {
  ssize_t done = 0;
  do done = ::write(fd_, command.data(), command.size());
  while (done < 0 && errno == EINTR);
  if (done != static_cast<ssize_t>(command.size())) return fail(io_error("writing a command to the TPM", errno));
  Buffer response(response_cap_bytes);
  do done = ::read(fd_, response.data(), response.size());
  while (done < 0 && errno == EINTR);
  if (done < 0) return fail(io_error("reading the TPM's answer", errno));
  response.resize(static_cast<std::size_t>(done));
  return response;
}

Result<Buffer> TpmDevice::run(std::uint32_t command_code, const std::vector<std::uint32_t>& handles,
                              std::size_t authorized, Bytes parameters, std::size_t response_handles) {
  const auto command = encode_command(command_code, handles, authorized, parameters);
  Buffer response;
  for (int attempt = 1;; ++attempt) {
    response = TRY(transmit(command));
    Reader header{response};
    header.skip(6);
    const std::uint32_t code = header.u32be();
    if (!header.ok()) return fail(header.error());
    if (code == 0) break;
    if (!codec::tpm_asks_for_retry(code) || attempt == send_attempts) return fail(response_error(command_code, code));
    ::nanosleep(&between_attempts, nullptr);
  }
  Reader in{response};
  const std::uint16_t tag = in.u16be();
  if (in.u32be() != response.size()) in.fail_with("the TPM's answer has another size than it says");
  in.skip(4);
  Writer out;
  out.bytes(in.bytes(response_handles * 4));
  if (tag != tpm_st_sessions) return in.finish_prefix(out.bytes(in.rest()).take());
  const std::uint32_t parameter_size = in.u32be();
  out.bytes(in.bytes(parameter_size));  // the sessions' answers follow; a password session has nothing to say
  return in.finish_prefix(out.take());
}

Result<codec::PcrSelections> TpmDevice::active_banks() {
  const auto response = TRY(run(cc_get_capability, {}, 0, Writer{}.u32be(tpm_cap_pcrs).u32be(0).u32be(1).view(), 0));
  Reader in{response};
  in.skip(5);
  auto selections = codec::decode_pcr_selections(in);
  std::erase_if(selections, [](const codec::PcrSelection& selection) { return selection.pcrs.empty(); });
  return in.finish(std::move(selections));
}

Result<PcrBank> TpmDevice::read_bank(HashAlg bank) {
  PcrBank values;
  // TPML_DIGEST holds 8 values at most.
  for (PcrIndex first = 0; first < pcr_count; first += 8) {
    codec::PcrSelection selection{bank, {}};
    for (PcrIndex pcr = first; pcr < first + 8; ++pcr) selection.pcrs.push_back(pcr);
    const auto response = TRY(run(cc_pcr_read, {}, 0, codec::encode_pcr_selections({selection}), 0));
    Reader in{response};
    in.skip(4);
    const auto given = codec::decode_pcr_selections(in);
    const std::uint32_t count = in.u32be();
    if (!in.ok() || given.size() != 1 || given.front() != selection || count != selection.pcrs.size())
      return fail(ErrorCode::malformed,
                  fmt::format("the TPM did not hand over PCR {} to {} of bank {}", first, first + 7, to_text(bank)));
    for (const auto pcr : selection.pcrs) values[pcr] = to_buffer(codec::decode_tpm2b(in, digest_cap_bytes));
    TRY(in.finish(true));
  }
  return values;
}

Result<std::uint32_t> TpmDevice::create_attestation_key(Buffer& public_area) {
  Writer parameters;
  parameters.u16be(4).u16be(0).u16be(0);  // TPM2B_SENSITIVE_CREATE: empty password, no data
  codec::encode_tpm2b(parameters, codec::encode_tpm_public(codec::attestation_key_template()));
  parameters.u16be(0).u32be(0);  // outsideInfo, creationPCR
  const auto response =
      TRY_IN("making the attestation key", run(cc_create_primary, {tpm_rh_endorsement}, 1, parameters.view(), 1));
  Reader in{response};
  const std::uint32_t handle = in.u32be();
  public_area = to_buffer(codec::decode_tpm2b(in, structure_cap_bytes));
  return in.finish_prefix(handle);
}

Result<Quote> TpmDevice::quote(std::uint32_t key, Bytes qualifying_data, const codec::PcrSelections& selections) {
  Writer parameters;
  codec::encode_tpm2b(parameters, qualifying_data);
  parameters.u16be(static_cast<std::uint16_t>(codec::TpmAlg::null));  // the key's own scheme
  codec::encode_pcr_selections(parameters, selections);
  const auto response = TRY_IN("quoting", run(cc_quote, {key}, 1, parameters.view(), 0));
  Reader in{response};
  Quote quote;
  quote.attest = to_buffer(codec::decode_tpm2b(in, structure_cap_bytes));
  quote.signature = to_buffer(in.rest());
  return in.finish(std::move(quote));
}

Result<void> TpmDevice::flush(std::uint32_t handle) {
  TRY(run(cc_flush_context, {}, 0, Writer{}.u32be(handle).view(), 0));
  return {};
}

Result<Buffer> TpmDevice::read_nv(std::uint32_t index) {
  const auto description = TRY(run(cc_nv_read_public, {index}, 0, {}, 0));
  Reader in{description};
  Reader area{codec::decode_tpm2b(in, structure_cap_bytes)};
  area.skip(10);
  (void)codec::decode_tpm2b(area, digest_cap_bytes);
  const std::uint16_t size = area.u16be();
  if (!area.ok() || size > nv_size_cap_bytes)
    return fail(ErrorCode::malformed, fmt::format("NV index 0x{:08x} has no size that makes sense", index));
  Buffer content;
  while (content.size() < size) {
    const auto left = static_cast<std::uint16_t>(size - content.size());
    const auto chunk = std::min(left, nv_chunk_bytes);
    const auto response = TRY(run(cc_nv_read, {index, index}, 1,
                                  Writer{}.u16be(chunk).u16be(static_cast<std::uint16_t>(content.size())).view(), 0));
    Reader part{response};
    const Bytes bytes = codec::decode_tpm2b(part, nv_chunk_bytes);
    if (!part.ok() || bytes.empty())
      return fail(ErrorCode::malformed, fmt::format("reading NV index 0x{:08x} gave nothing", index));
    content.insert(content.end(), bytes.begin(), bytes.end());
  }
  return content;
}

}  // namespace ingot::agent
