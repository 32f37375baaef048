// Small images whose guest does something before it reports: rig/guest/steps.cpp is its /init.
#pragma once

#include "ingot/base/output.hpp"
#include "ingot/builder/boot_uki.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/rig/probe_disk.hpp"
#include "small.hpp"

namespace ingot::test {

struct Guest {
  std::vector<std::string> steps;       ///< lines of /steps
  std::map<std::string, Buffer> files;  ///< by path
};

/// The steps that give a guest its EFI variables.
inline const std::vector<std::string> efivars_steps = {"load /efivarfs.ko.xz",
                                                       "mount efivarfs /sys/firmware/efi/efivars"};

inline Buffer kernel_module(const builder::Tree& base, const std::string& file) {
  for (const auto& [path, entry] : base.entries)
    if (path.starts_with("/usr/lib/modules/") && path.ends_with("/" + file))
      return must(builder::read_tree_file(base, path));
  FAIL("the kernel has no module " << file);
  return {};
}

/// disk.raw and uki.efi of a guest, the UKI signed with the db of `keys`, in a new folder `out`.
inline std::string cast_guest(const SmallFixture& fixture, const std::string& name, const std::string& keys,
                              const Guest& guest) {
  const std::string out = fixture.folder.path() + "/" + name, initrd = out + "/initrd";
  std::filesystem::create_directory(out);
  const auto program = [](const char* file) {
    return must(read_file(std::string(INGOT_BUILD) + "/" + file, 64u << 20));
  };
  builder::Tree tree;
  std::string steps;
  for (const auto& step : guest.steps) steps += step + "\n";
  must(tree.put_file("/init", program("rig_guest"), 0755));
  must(tree.put_file("/ingot-agent", program("ingot-agent"), 0755));
  must(tree.put_file("/efivarfs.ko.xz", kernel_module(fixture.base, "efivarfs.ko.xz")));
  must(tree.put_file("/steps", to_buffer(as_bytes(steps))));
  for (const auto& [path, content] : guest.files) must(tree.put_file(path, content, 0755));
  for (const char* folder : {"/dev", "/proc", "/sys", "/tmp"}) must(tree.put_directory(folder));
  must(builder::write_initrd(tree, initrd, builder::silent_progress()));
  auto parts = fixture.image.parts;
  parts.initrd = must(file_source(initrd));
  parts.command_line += " ingot.test=" + name;
  const std::string uki = out + "/" + builder::output::uki;
  must(builder::make_signed_uki(std::move(parts), builder::PcrPolicy::none, signer::KeyFolder{keys}, uki));
  must(rig::make_probe_disk(uki, out + "/" + builder::output::disk));
  return out;
}

/// A program of this machine with its libraries, under the same paths.
inline void add_program(std::map<std::string, Buffer>& files, const std::string& path) {
  files[path] = must(read_file(path, 64u << 20));
  const auto listed = must(builder::run_checked({.argv = {"ldd", path}}));
  std::istringstream in{std::string(as_text(listed.output))};
  for (std::string word; in >> word;)
    if (word.front() == '/') files[word] = must(read_file(word, 64u << 20));
}

/// What the console says between the begin and the end of a step; fails the test unless that ended with `status`.
inline std::string said_by(const std::string& console, const std::string& step, int status = 0) {
  const auto begin = console.find("guest: begin " + step);
  const auto end = console.find("guest: status ", begin);
  INFO(console.substr(begin == std::string::npos ? 0 : begin, 4000));
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  CHECK(console.find("guest: status " + std::to_string(status) + " of " + step, end) == end);
  return console.substr(begin, end - begin);
}

inline Buffer variable_of(const std::string& store_path, std::string_view name) {
  for (const auto& row : must(codec::decode_variable_store(must(read_file(store_path, 16u << 20)))))
    if (row.name == name) return row.data;
  return {};
}

}  // namespace ingot::test
