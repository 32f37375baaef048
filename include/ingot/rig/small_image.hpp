// The small image: a real, signed boot chain whose whole user space is the agent. It boots in about ten seconds and
// serves what needs firmware, stub and log only.
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/builder/boot_chain.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/tree.hpp"

namespace ingot::rig {

struct SmallImage {
  builder::UkiParts parts;    ///< stub, kernel, uname, os-release and command line; the rest is filled in
  SharedSource agent;         ///< ingot-agent, becomes /init
  std::string keys;           ///< key folder: db signs the UKI, pcr its policy; all of it goes into the variables
  std::string vars_template;  ///< empty variable store of the firmware
  /// Further files of the initrd, which may be none. The agent loads what is in /modules, in the order of names.
  builder::Tree files = {};
  BootChain chain = BootChain::uki;
  SharedSource first_stage = {};  ///< of the chain, as builder::first_stage_of() gives it
};

/// Stub, newest kernel and os-release of a base tree. Error (missing) when it has none.
Result<builder::UkiParts> small_image_parts(const builder::Tree& base);

/// Writes disk.raw, uki.efi, the chain's files and VARS.fd (builder::output's names) into the folder `out`.
Result<void> make_small_image(const SmallImage& image, const std::string& out);

}  // namespace ingot::rig
