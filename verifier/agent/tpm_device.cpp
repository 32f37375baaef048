#include "tpm_device.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ingot/codec/tpm_response.hpp"
#include "tpm_codes.hpp"

namespace ingot::agent {
namespace {

constexpr std::uint16_t tpm_st_no_sessions = 0x8001;
constexpr std::uint16_t tpm_st_sessions = 0x8002;
constexpr std::uint8_t tpm_se_policy = 0x01;
constexpr std::size_t session_nonce_bytes = 16;
constexpr std::uint32_t tpm_cap_pcrs = 0x00000005;
constexpr std::uint32_t cc_create_primary = 0x131;
constexpr std::uint32_t cc_activate_credential = 0x147;
constexpr std::uint32_t cc_nv_read = 0x14E;
constexpr std::uint32_t cc_policy_secret = 0x151;
constexpr std::uint32_t cc_quote = 0x158;
constexpr std::uint32_t cc_flush_context = 0x165;
constexpr std::uint32_t cc_start_auth_session = 0x176;
constexpr std::uint32_t cc_get_capability = 0x17A;
constexpr std::uint32_t cc_pcr_read = 0x17E;

constexpr std::size_t header_size_bytes = 10;
constexpr std::size_t response_cap_bytes = 4096;  // what the kernel's driver hands over at most
constexpr std::size_t digest_cap_bytes = 64;
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

/// Header and body of a command; Part 1, "Command/Response Structure". Passwords are empty, sessions without HMAC.
Buffer encode_command(std::uint32_t command_code, const std::vector<std::uint32_t>& handles,
                      const std::vector<std::uint32_t>& sessions, Bytes parameters) {
  Writer body;
  for (const auto handle : handles) body.u32be(handle);
  if (!sessions.empty()) {
    body.u32be(static_cast<std::uint32_t>(9 * sessions.size()));
    for (const auto session : sessions) body.u32be(session).u16be(0).u8(0).u16be(0);
  }
  body.bytes(parameters);
  Writer command;
  command.u16be(sessions.empty() ? tpm_st_no_sessions : tpm_st_sessions)
      .u32be(static_cast<std::uint32_t>(body.size() + header_size_bytes));
  return command.u32be(command_code).bytes(body.view()).take();
}

int open_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -1;
  path.copy(address.sun_path, path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // The sockets interface takes every address family through one type.
  if (fd >= 0 && ::connect(fd, static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof address) == 0)
    return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

/// The size that a response says it has; 0 while its header is incomplete.
std::size_t announced_size(Bytes response) {
  Reader in{response};
  in.skip(2);
  const std::uint32_t size = in.u32be();
  return in.ok() ? size : 0;
}

}  // namespace

Result<TpmDevice> TpmDevice::open(const std::string& path) {
  if (!path.empty()) {
    int fd = open_socket(path);
    if (fd < 0) fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return fail(io_error(fmt::format("opening the TPM at {}", path), errno));
    return TpmDevice(fd);
  }
  for (const auto* device : {"/dev/tpmrm0", "/dev/tpm0"})
    if (const int fd = ::open(device, O_RDWR | O_CLOEXEC); fd >= 0) return TpmDevice(fd);
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
  // A device hands over a response at once, a socket perhaps in parts.
  Buffer response;
  while (response.size() < std::max(header_size_bytes, announced_size(response))) {
    Buffer part(response_cap_bytes);
    do done = ::read(fd_, part.data(), part.size());
    while (done < 0 && errno == EINTR);
    if (done < 0) return fail(io_error("reading the TPM's answer", errno));
    if (done == 0 || response.size() > response_cap_bytes) break;
    response.insert(response.end(), part.begin(), part.begin() + done);
  }
  return response;
}

Result<Buffer> TpmDevice::run(std::uint32_t command_code, const std::vector<std::uint32_t>& handles,
                              const std::vector<std::uint32_t>& sessions, Bytes parameters,
                              std::size_t response_handles) {
  const auto command = encode_command(command_code, handles, sessions, parameters);
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
  const auto response = TRY(run(cc_get_capability, {}, {}, Writer{}.u32be(tpm_cap_pcrs).u32be(0).u32be(1).view(), 0));
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
    const auto response = TRY(run(cc_pcr_read, {}, {}, codec::encode_pcr_selections({selection}), 0));
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

Result<LoadedKey> TpmDevice::create_primary(const codec::TpmPublic& key_template) {
  Writer parameters;
  parameters.u16be(4).u16be(0).u16be(0);  // TPM2B_SENSITIVE_CREATE: empty password, no data
  codec::encode_tpm2b(parameters, codec::encode_tpm_public(key_template));
  parameters.u16be(0).u32be(0);  // outsideInfo, creationPCR
  const auto response = TRY(run(cc_create_primary, {tpm_rh_endorsement}, {tpm_rs_pw}, parameters.view(), 1));
  Reader in{response};
  LoadedKey key;
  key.handle = in.u32be();
  key.public_area = to_buffer(codec::decode_tpm2b(in, structure_cap_bytes));
  return in.finish_prefix(std::move(key));
}

Result<std::uint32_t> TpmDevice::policy_session() {
  Writer parameters;
  // The nonce only matters to sessions with an HMAC or a salt; this one has neither.
  codec::encode_tpm2b(parameters, Buffer(session_nonce_bytes));
  parameters.u16be(0).u8(tpm_se_policy).u16be(static_cast<std::uint16_t>(codec::TpmAlg::null));
  parameters.u16be(static_cast<std::uint16_t>(HashAlg::sha256));
  const auto response = TRY(run(cc_start_auth_session, {tpm_rh_null, tpm_rh_null}, {}, parameters.view(), 1));
  Reader in{response};
  return in.finish_prefix(in.u32be());
}

Result<std::uint32_t> TpmDevice::endorsement_session() {
  const auto session = TRY(policy_session());
  // nonceTPM, cpHashA, policyRef, expiration: none.
  const auto satisfied = run(cc_policy_secret, {tpm_rh_endorsement, session}, {tpm_rs_pw},
                             Writer{}.u16be(0).u16be(0).u16be(0).u32be(0).view(), 0);
  if (satisfied) return session;
  (void)flush(session);
  return fail(satisfied.error());
}

Result<Buffer> TpmDevice::activate(std::uint32_t key, std::uint32_t endorsement_key, bool by_policy, Bytes id_object,
                                   Bytes encrypted_secret) {
  const std::uint32_t session = by_policy ? TRY_IN("the endorsement hierarchy", endorsement_session()) : tpm_rs_pw;
  Writer parameters;
  codec::encode_tpm2b(parameters, id_object);
  codec::encode_tpm2b(parameters, encrypted_secret);
  const auto response = run(cc_activate_credential, {key, endorsement_key}, {tpm_rs_pw, session}, parameters.view(), 0);
  if (!response) {
    if (by_policy) (void)flush(session);  // a command that succeeds ends its session
    return fail(response.error());
  }
  Reader in{*response};
  const auto secret = to_buffer(codec::decode_tpm2b(in, digest_cap_bytes));
  return in.finish(secret);
}

Result<Quote> TpmDevice::quote(std::uint32_t key, Bytes qualifying_data, const codec::PcrSelections& selections) {
  Writer parameters;
  codec::encode_tpm2b(parameters, qualifying_data);
  parameters.u16be(static_cast<std::uint16_t>(codec::TpmAlg::null));  // the key's own scheme
  codec::encode_pcr_selections(parameters, selections);
  const auto response = TRY_IN("quoting", run(cc_quote, {key}, {tpm_rs_pw}, parameters.view(), 0));
  Reader in{response};
  Quote quote;
  quote.attest = to_buffer(codec::decode_tpm2b(in, structure_cap_bytes));
  quote.signature = to_buffer(in.rest());
  return in.finish(std::move(quote));
}

Result<void> TpmDevice::flush(std::uint32_t handle) {
  TRY(run(cc_flush_context, {}, {}, Writer{}.u32be(handle).view(), 0));
  return {};
}

Result<Buffer> TpmDevice::read_nv(std::uint32_t index) {
  const auto size = TRY(nv_public(index)).data_size_bytes;
  if (size > nv_size_cap_bytes)
    return fail(ErrorCode::malformed, fmt::format("NV index 0x{:08x} has no size that makes sense", index));
  Buffer content;
  while (content.size() < size) {
    const auto left = static_cast<std::uint16_t>(size - content.size());
    const auto chunk = std::min(left, nv_chunk_bytes);
    const auto response = TRY(run(cc_nv_read, {index, index}, {tpm_rs_pw},
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
