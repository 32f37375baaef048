// Volumes put onto a node's own copy of the disk, by the real `ingot seal --image`: sfdisk reads the table, cryptsetup
// and systemd open what lies there, and the systemd-repart of the first boot finds nothing to do.
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "ingot/builder/volume.hpp"
#include "ingot/signer/volume.hpp"
#include "volume_disk.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

using Command = std::vector<std::string>;

/// The site's baseline, for the disk in the TPM's folder and volumes that anybody makes.
Baseline baseline_of_disk(const Tpm& tpm, const SealingSite& site, const std::vector<std::string>& volumes) {
  auto image = site.image;
  const auto data = codec::gpt_event_data(*file_source(tpm.file("disk")).value()).value();
  image.events.push_back({5,
                          EventType::EV_EFI_GPT_EVENT,
                          crypto::hash_banks(data),
                          "GPT",
                          "",
                          {},
                          {},
                          GptMeaning{data, {codec::ingot_volume_type}}});
  for (const auto& name : volumes) image.volumes.push_back({name, VolumeMaker::any});
  return image;
}

Command seal_onto_disk(const Tpm& tpm, const std::string& name, const std::string& size) {
  auto command = seal_command(tpm, tpm.file("srk.pub"), {});
  command.resize(command.size() - 2);
  command.insert(command.end(), {"--image", tpm.file("disk"), "--volume", name});
  if (!size.empty()) command.insert(command.end(), {"--size", size});
  return command;
}

Buffer content(const Tpm& tpm) { return read_all(*file_source(tpm.file("disk")).value(), 1u << 30).value(); }

/// When the disk was written to or changed otherwise, in ns.
std::int64_t last_change(const Tpm& tpm) {
  struct stat info {};
  REQUIRE(::stat(tpm.file("disk").c_str(), &info) == 0);
  return info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec;
}

}  // namespace

TEST_CASE("seal: volumes on the disk itself are opened on the first boot, which makes no others") {
  if (no_systemd()) return;
  const Tpm tpm;
  const SealingSite site(tpm);
  site.boot(tpm);
  tpm.make_srk("ecc256:aes128cfb");
  cast(tpm, profile_with_volumes());
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(baseline_of_disk(tpm, site, {"state", "models"})));
  const auto before = content(tpm);

  const auto state = nlohmann::json::parse(output_of(seal_onto_disk(tpm, "state", "64MiB")));
  const auto models = nlohmann::json::parse(output_of(seal_onto_disk(tpm, "models", "")));
  const auto found = volumes_on(tpm.file("disk"));
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "state");
  CHECK(found[0].offset_bytes == 5 * mebibyte);
  CHECK(found[0].size_bytes == 64 * mebibyte);
  CHECK(found[1].name == "models");
  CHECK(found[1].offset_bytes == 69 * mebibyte);
  CHECK(found[1].size_bytes > 64 * mebibyte);
  CHECK(output_of({"sfdisk", "--verify", tpm.file("disk")}).find("No errors detected") != std::string::npos);
  for (const auto& [volume, told] : {std::pair{found[0], state}, std::pair{found[1], models}}) {
    INFO(volume.name);
    CHECK(told.at("volume") == volume.name);
    CHECK(told.at("offset_bytes") == volume.offset_bytes);
    CHECK(told.at("size_bytes") == volume.size_bytes);
    take_out(tpm, volume);
    CHECK(output_of({"cryptsetup", "luksUUID", tpm.file("volume")}) == told.at("uuid").get<std::string>() + "\n");
    CHECK(opens(tpm));
  }
  // The image's own partition is as it was, and so is the size of the disk.
  const auto after = content(tpm);
  REQUIRE(after.size() == before.size());
  CHECK(std::equal(after.begin() + mebibyte, after.begin() + 5 * mebibyte, before.begin() + mebibyte));
  CHECK(std::equal(after.begin(), after.begin() + codec::lba_size_bytes, before.begin()));

  output_of(first_boot(tpm));
  CHECK(content(tpm) == after);
}

TEST_CASE("seal: a disk that a volume cannot be put onto is left alone") {
  const Tpm tpm;
  const SealingSite site(tpm);
  tpm.make_srk("ecc256:aes128cfb");
  cast(tpm, profile_with_volumes());
  const auto baseline = baseline_of_disk(tpm, site, {"models", "state", "more"});
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(baseline));
  const auto refused = [&](const Command& command, int exit_code, const std::string& message) {
    const auto before = last_change(tpm);
    const auto done = run_tool(command);
    INFO(done.error_tail);
    CHECK(done.exit_code == exit_code);
    CHECK(done.error_tail.find(message) != std::string::npos);
    CHECK(last_change(tpm) == before);
  };
  struct Row {
    const char *defect, *name, *size;
    int exit_code;
    const char* message;
  };
  const Row rows[] = {
      {"one byte more than there is", "models", "135245825B", 2, "needs 135245825 bytes, there is room for 135245824"},
      {"more than there is", "models", "1GiB", 2, "image too small: the volume \"models\" needs 1073741824 bytes"},
      {"more than a disk can have", "models", "16777215TiB", 2, "image too small"},
      {"more than 64 bits", "models", "99999999TiB", 2, "is too large"},
      {"too small for a file system", "models", "63MiB", 2, "the smallest has 64 MiB"},
      {"nothing", "models", "0B", 2, "the smallest has 64 MiB"},
      {"no unit", "models", "100", 2, "is not a size"},
      {"negative", "models", "-1GiB", 2, "is not a size"},
      {"another partition's name", "data", "64MiB", 3, "there is a partition \"data\" already"},
      {"large letters", "Models", "64MiB", 3, "is no name of a volume"},
      {"a path", "../models", "64MiB", 3, "is no name of a volume"},
      {"longer than a name", "a123456789012345678901234567890123", "64MiB", 3, "is no name of a volume"}};
  for (const auto& row : rows) {
    INFO(row.defect);
    refused(seal_onto_disk(tpm, row.name, row.size), row.exit_code, row.message);
  }

  auto ordered = baseline;
  std::swap(ordered.volumes.at(0), ordered.volumes.at(1));
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(ordered));
  refused(seal_onto_disk(tpm, "models", "64MiB"), 3,
          "the next volume of training version 1 is \"state\", not \"models\"");
  refused(seal_onto_disk(tpm, "scratch", "64MiB"), 3, "is \"state\", not \"scratch\"");
  for (const auto& [maker, message] : {std::pair{VolumeMaker::shares, "the key of \"state\" is not the TPM's alone"},
                                       std::pair{VolumeMaker::in_place, "\"state\" has integrity, or is erased"}}) {
    ordered.volumes.front().maker = maker;
    site.write(tpm, "baseline.json", codec::encode_baseline_statement(ordered));
    refused(seal_onto_disk(tpm, "state", "64MiB"), 2, message);
  }
  ordered.volumes.clear();
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(ordered));
  refused(seal_onto_disk(tpm, "state", "64MiB"), 3, "the disk has all 0 volumes of training version 1");
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(baseline));

  const auto good = seal_onto_disk(tpm, "models", "64MiB");
  const auto with = [&](std::size_t argument, const std::string& value) {
    auto command = good;
    command.at(argument) = value;
    return command;
  };
  constexpr std::size_t storage_key = 4, image = 14;
  fs::create_directory(tpm.file("nodes"));
  refused(with(storage_key, tpm.file("nodes")), 3, "a disk is one node's");
  refused(with(image, tpm.file("nodes")), 3, "is not a file");
  refused(with(image, tpm.file("none")), 3, "No such file");
  refused(with(image, tpm.file("srk.pub")), 2, "not a disk of ingot's");
  auto both = good;
  both.insert(both.end(), {"--out", tpm.file("x")});
  refused(both, 3, "either --out");
  refused({good.begin(), good.begin() + 13}, 3, "either --out");
  refused({good.begin(), good.begin() + 15}, 3, "needs --volume");
  auto size_of_file = seal_command(tpm, tpm.file("srk.pub"), tpm.file("x"));
  size_of_file.insert(size_of_file.end(), {"--size", "64MiB"});
  refused(size_of_file, 3, "only it takes");

  const auto disk = content(tpm);
  struct Damage {
    const char* name;
    void (*damage)(Buffer&);
    const char* message;
  };
  for (const auto& [name, damage, message] :
       {Damage{"enlarged", [](Buffer& bytes) { bytes.resize(bytes.size() + mebibyte); }, "is not as it was cast"},
        Damage{"cut by a block", [](Buffer& bytes) { bytes.resize(bytes.size() - 512); }, "is not as it was cast"},
        Damage{"no whole blocks", [](Buffer& bytes) { bytes.push_back(0); }, "is not as it was cast"},
        Damage{"the copy's header", [](Buffer& bytes) { bytes[bytes.size() - 500] ^= 1; }, "is not as it was cast"},
        Damage{"the copy's entries", [](Buffer& bytes) { bytes[bytes.size() - 33 * 512] ^= 1; }, "not as it was cast"},
        Damage{"the header", [](Buffer& bytes) { bytes[512 + 60] ^= 1; }, "CRC"},
        Damage{"the entries", [](Buffer& bytes) { bytes[1024 + 60] ^= 1; }, "CRC"},
        Damage{"no table", [](Buffer& bytes) { std::fill_n(bytes.begin(), 34 * 512, std::uint8_t{0}); }, "no GPT"}}) {
    INFO(name);
    auto damaged = disk;
    damage(damaged);
    tpm.write("disk", damaged);
    refused(good, 2, message);
  }
  tpm.write("disk", disk);

  site.write(tpm, "baseline.json", codec::encode_baseline_statement(site.image));
  refused(good, 2, "has no volumes");
  auto others = baseline;
  auto& meaning = std::get<GptMeaning>(others.events.back().meaning);
  meaning.golden[56] ^= 1;  // the disk's GUID
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(others));
  refused(good, 2, "this is not the disk of training version 1");
  site.write(tpm, "baseline.json", codec::encode_baseline_statement(baseline));

  const auto untouched = last_change(tpm);
  output_of(good);
  CHECK(last_change(tpm) != untouched);  // the judge sees what is written
  refused(good, 3, "there is a partition \"models\" already");
  refused(seal_onto_disk(tpm, "state", "128MiB"), 2, "image too small");
  output_of(seal_onto_disk(tpm, "state", ""));
  refused(seal_onto_disk(tpm, "more", ""), 2, "there is room for 0");
}

TEST_CASE("seal: a disk that takes no more in the middle still has the table that it had") {
  const Tpm tpm;
  const SealingSite site(tpm);
  cast(tpm, profile_with_volumes());
  const auto baseline = baseline_of_disk(tpm, site, {"models"});
  const auto disk = file_source(tpm.file("disk")).value();
  const auto place = builder::place_volume(*disk, baseline, {"models", "64MiB"}).value();
  const auto table = [&] { return codec::decode_gpt(*disk).value().partitions.size(); };
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  // The volume's start is at 5 MiB, the copy of the table at the end.
  for (const std::uint64_t limit : {5 * mebibyte, 6 * mebibyte}) {
    INFO("nothing is written behind " << limit);
    struct rlimit small = before;
    small.rlim_cur = limit;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto done = builder::write_volume(tpm.file("disk"), place, Buffer(mebibyte, 0xAA));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::io);
    CHECK(table() == 1);
    CHECK(builder::place_volume(*disk, baseline, {"models", "64MiB"}));
    CHECK(read_part(*disk, 5 * mebibyte, 1, 1).value().front() == (limit == 5 * mebibyte ? 0 : 0xAA));
  }
  (void)std::signal(SIGXFSZ, handler);
  REQUIRE(builder::write_volume(tpm.file("disk"), place, Buffer(mebibyte, 0xAA)));
  CHECK(table() == 2);
}
