#include "ingot/rig/small_image.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/tree.hpp"
#include "ingot/rig/probe_disk.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

/// The agent's archive, and one with further files behind it: the kernel unpacks both.
Result<SharedSource> make_initrd(const SmallImage& image, const std::string& scratch) {
  const std::string agent = scratch + "/initrd";
  TRY(builder::make_probe_initrd(image.agent, agent));
  const auto first = TRY(file_source(agent));
  if (image.files.entries.empty()) return first;
  TRY(builder::write_initrd(image.files, scratch + "/files", builder::silent_progress()));
  const auto second = TRY(file_source(scratch + "/files"));
  const std::uint64_t at = (first->size() + 3) / 4 * 4;
  return joined_source({{0, first}, {at, second}}, at + second->size());
}

}  // namespace

Result<builder::UkiParts> small_image_parts(const builder::Tree& base) {
  auto parts = TRY(builder::boot_parts(base));
  parts.command_line = builder::probe_command_line;
  return parts;
}

Result<void> make_small_image(const SmallImage& image, const std::string& out) {
  std::error_code ec;
  fs::create_directories(out, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", out), ec.value()));
  const auto keys = TRY(signer::open_keys(image.keys));
  const auto scratch = TRY(builder::TemporaryFolder::create(out, ".small-"));
  const std::string signed_uki = out + "/" + builder::output::uki;
  auto parts = image.parts;
  parts.initrd = TRY(make_initrd(image, scratch.path()));
  parts.kernel = TRY(builder::kernel_of(image.chain, parts.kernel));
  TRY(builder::make_signed_uki(std::move(parts), builder::PcrPolicy::signed_by_pcr_key, keys, signed_uki));
  const auto chain = TRY(builder::write_chain(image.chain, image.first_stage, keys, out));
  TRY(make_probe_disk(signed_uki, out + "/" + builder::output::disk, chain));
  const auto empty = TRY(read_file(image.vars_template, codec::variable_store_size_cap_bytes));
  Buffer vendor_db;
  if (image.chain == BootChain::shim) vendor_db = TRY(builder::read_db(builder::default_vendor_vars));
  const auto variables = builder::chain_variables(
      TRY(builder::chain_keys(image.chain, TRY(signer::secure_boot_keys(keys)), image.first_stage, vendor_db)));
  return write_file(out + "/" + builder::output::vars,
                    TRY_IN(image.vars_template, codec::write_variables(empty, variables)));
}

}  // namespace ingot::rig
