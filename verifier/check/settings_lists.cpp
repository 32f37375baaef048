// Areas in which what is there and not expected counts too: rules, units, accounts, sockets, mounts, files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "ingot/codec/report.hpp"
#include "ingot/codec/ruleset.hpp"
#include "settings.hpp"

namespace ingot::check {
namespace {

/// Groups whose members can do what the profile keeps for root.
constexpr std::string_view privileged_groups[] = {"root", "sudo",   "wheel", "adm",   "shadow",         "disk",
                                                  "kmem", "docker", "lxd",   "staff", "systemd-journal"};
/// Shells that let nobody in (and sync, which only writes buffers out).
constexpr std::string_view no_shells[] = {"/usr/sbin/nologin", "/sbin/nologin", "/bin/false",
                                          "/usr/bin/false",    "/bin/sync",     "/usr/bin/sync"};
/// Where the image's own files are: a mount there hides them.
constexpr std::string_view image_folders[] = {"/usr",   "/etc", "/bin",  "/sbin", "/lib",
                                              "/lib64", "/opt", "/root", "/boot"};
/// Value of a socket that need not be there.
constexpr std::string_view may_listen = "allowed";
/// Row about what the kernel swaps to, which stands among the mounts; and its value where it swaps to nothing.
constexpr std::string_view swap_row = "swap", no_swap = "none";
/// Device mapper's UUID of what cryptsetup has set up (libcryptsetup, "dm_prepare_uuid").
constexpr std::string_view encrypted_fact = "uuid CRYPT-";
/// Units whose files systemd and logind make at run time themselves.
constexpr std::string_view run_time_makers[] = {"/run/systemd/generator"};

bool is_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

template <typename List>
bool any_is(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

bool has_row(const Rows& rows, const std::string& name) {
  return std::any_of(rows.begin(), rows.end(), [&](const Setting* row) { return row->name == name; });
}

bool has_fact(const std::vector<std::string>& facts, std::string_view fact) { return any_is(facts, fact); }

/// A file that was put in place on the running node.
bool is_of_run_time(std::string_view path) {
  return path.starts_with("/run/") && std::none_of(std::begin(run_time_makers), std::end(run_time_makers),
                                                   [&](std::string_view maker) { return path.starts_with(maker); });
}

void judge_unit(AreaJudge& judge, const Setting& row, const codec::ReportedUnit* unit) {
  const auto& want = row.value;
  if (unit == nullptr || (unit->load == "not-found" && unit->file_state.empty())) {
    if (want != "absent" && want != "inactive") judge.missing(row, "no such unit");
    return;
  }
  const bool holds = want == unit->active || want == unit->file_state || want == unit->load ||
                     (want == "inactive" && unit->active.empty());
  if (!holds)
    judge.differs(row, fmt::format("{}{}{}", unit->active.empty() ? "not loaded" : unit->active,
                                   unit->file_state.empty() ? "" : ", ", unit->file_state));
}

/// "tcp *:22" stands for the port at any address, "udp *:32768-65535" for a range of ports.
struct SocketName {
  std::string_view protocol, address;
  unsigned first_port = 0, last_port = 0;
};
std::optional<SocketName> parse_socket(std::string_view text) {
  const auto space = text.find(' '), colon = text.rfind(':');
  if (space == text.npos || colon == text.npos || colon < space) return std::nullopt;
  SocketName name{text.substr(0, space), text.substr(space + 1, colon - space - 1), 0, 0};
  const auto ports = text.substr(colon + 1);
  const auto* end = ports.data() + ports.size();
  const auto first = std::from_chars(ports.data(), end, name.first_port);
  if (first.ec != std::errc{}) return std::nullopt;
  name.last_port = name.first_port;
  if (first.ptr == end) return name;
  const auto last = std::from_chars(first.ptr + 1, end, name.last_port);
  if (*first.ptr != '-' || last.ec != std::errc{} || last.ptr != end) return std::nullopt;
  return name;
}

bool covers(const std::string& row, const std::string& socket) {
  if (row == socket) return true;
  const auto wide = parse_socket(row), one = parse_socket(socket);
  return wide && one && wide->protocol == one->protocol && (wide->address == "*" || wide->address == one->address) &&
         wide->first_port <= one->first_port && one->last_port <= wide->last_port;
}

bool may_log_in(const std::vector<std::string>& facts) {
  if (has_fact(facts, "password set") || has_fact(facts, "password empty")) return true;
  return std::any_of(facts.begin(), facts.end(), [](const std::string& fact) {
    return fact.starts_with("shell ") && !any_is(no_shells, std::string_view(fact).substr(6));
  });
}

Result<Facts> facts_of(const AreaJudge& judge, const std::string& name) {
  return TRY_IN(name, codec::decode_facts(TRY(judge.part(name))));
}

/// Of a baseline from before there was such a row: `row` is null, and its agent does not report swaps.
void judge_swap(AreaJudge& judge, const Setting* row) {
  if (row == nullptr && !judge.part("swaps")) return;
  const auto swaps = judge.take(facts_of(judge, "swaps"));
  if (!swaps) return;
  auto wanted = row == nullptr || row->value == no_swap ? std::vector<std::string>{} : listed(row->value);
  std::sort(wanted.begin(), wanted.end());
  bool found = false;
  for (auto [device, facts] : *swaps) {
    std::sort(facts.begin(), facts.end());
    if (!found && facts == wanted) {
      found = true;
      continue;
    }
    const bool is_encrypted = std::any_of(facts.begin(), facts.end(),
                                          [](const std::string& fact) { return fact.starts_with(encrypted_fact); });
    judge.unexpected(fmt::format("{} {}", swap_row, device), fmt::format("{}", fmt::join(facts, ", ")),
                     is_encrypted ? "the node swaps to an encrypted device that the profile does not have"
                                  : "the node writes its memory to a device or file in the clear");
  }
  if (!found && !wanted.empty()) judge.missing(*row, "no such swap");
}

}  // namespace

void judge_audit_rules(AreaJudge& judge, const Rows& rows) {
  const auto decode = [&]() -> Result<std::vector<std::string>> {
    return TRY_IN("audit_rules", codec::decode_audit_rules(TRY(judge.part("audit_rules"))));
  };
  const auto observed = judge.take(decode());
  if (!observed) return;
  std::set<std::string> wanted;
  for (const auto* row : rows) {
    const auto rule = codec::canonical_audit_rule(row->value.starts_with('-') ? row->value : row->name);
    wanted.insert(rule);
    if (!any_is(*observed, rule)) judge.missing(*row, "no such rule");
  }
  for (const auto& rule : *observed)
    if (!wanted.contains(rule)) judge.unexpected(rule, rule, "audit has a rule that nobody planned");
}

void judge_firewall(AreaJudge& judge, const Rows& rows) {
  const auto decode = [&]() -> Result<std::vector<codec::RulesetLine>> {
    return codec::canonical_ruleset(as_bytes(TRY(judge.part("nft"))));
  };
  const auto lines = judge.take(decode());
  if (!lines) return;
  std::map<std::string, std::string> observed;
  for (const auto& line : *lines) observed[line.name] = line.text;
  judge.compare_values(rows, observed);
  std::set<std::string_view> wanted;
  for (const auto* row : rows) wanted.insert(row->name);
  for (const auto& [name, text] : observed)
    if (!wanted.contains(name))
      judge.unexpected(name, text, "the firewall has something that the profile does not have");
}

void judge_units(AreaJudge& judge, const Rows& rows) {
  const auto decode = [&]() -> Result<std::map<std::string, codec::ReportedUnit>> {
    auto units = TRY_IN("units", codec::decode_units(TRY(judge.part("units"))));
    TRY_IN("unit_files", codec::add_unit_files(TRY(judge.part("unit_files")), units));
    return units;
  };
  const auto units = judge.take(decode());
  if (!units) return;
  for (const auto* row : rows) {
    const auto found = units->find(row->name);
    judge_unit(judge, *row, found == units->end() ? nullptr : &found->second);
  }
  for (const auto& [name, unit] : *units) {
    if (unit.active == "failed" && !has_row(rows, name)) judge.unexpected(name, "failed", "a unit has failed");
    // Scopes of sessions are logind's.
    if (is_of_run_time(unit.fragment) && !name.ends_with(".scope"))
      judge.unexpected(name, unit.fragment, "a unit was made on the running node");
    for (const auto& path : unit.drop_ins)
      if (is_of_run_time(path) && !name.ends_with(".scope"))
        judge.unexpected(name, path, "a unit was changed on the running node");
  }
}

void judge_accounts(AreaJudge& judge, const Rows& rows) {
  const auto users = judge.take(facts_of(judge, "accounts"));
  const auto groups = judge.take(facts_of(judge, "groups"));
  if (!users || !groups) return;
  Rows of_users;
  for (const auto* row : rows) {
    if (!row->name.starts_with("group ")) {
      of_users.push_back(row);
      continue;
    }
    const auto found = groups->find(row->name.substr(6));
    auto members = found == groups->end() ? std::vector<std::string>{} : found->second;
    for (auto& member : members) member = member.substr(std::min(member.size(), std::string_view("member ").size()));
    auto wanted = listed(row->value);
    std::sort(members.begin(), members.end());
    std::sort(wanted.begin(), wanted.end());
    if (members != wanted) judge.differs(*row, fmt::format("{}", fmt::join(members, ",")));
  }
  judge.compare_facts(of_users, *users);
  for (const auto& [name, facts] : *users)
    if (!has_row(of_users, name) && (may_log_in(facts) || (name != "root" && has_fact(facts, "uid 0"))))
      judge.unexpected(name, fmt::format("{}", fmt::join(facts, ", ")),
                       "a user may log in whom the profile does not have");
  for (const auto& [name, members] : *groups)
    if (any_is(privileged_groups, name) && !has_row(rows, "group " + name))
      judge.unexpected("group " + name, fmt::format("{}", fmt::join(members, ", ")),
                       "a privileged group has members that the profile does not give it");
}

void judge_sockets(AreaJudge& judge, const Rows& rows) {
  const auto decode = [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> all;
    for (const auto* name : {"tcp", "tcp6", "udp", "udp6"}) {
      const auto some = TRY_IN(name, codec::decode_listening_sockets(name, TRY(judge.part(name))));
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  };
  const auto sockets = judge.take(decode());
  if (!sockets) return;
  for (const auto* row : rows)
    if (row->value != may_listen &&
        std::none_of(sockets->begin(), sockets->end(), [&](const auto& socket) { return covers(row->name, socket); }))
      judge.missing(*row, "nobody listens");
  for (const auto& socket : *sockets)
    if (std::none_of(rows.begin(), rows.end(), [&](const Setting* row) { return covers(row->name, socket); }))
      judge.unexpected(socket, "listening", "something listens that the profile does not have");
}

void judge_mounts(AreaJudge& judge, const Rows& rows) {
  Rows of_mounts;
  const Setting* of_swap = nullptr;
  for (const auto* row : rows) {
    if (row->name == swap_row)
      of_swap = row;
    else
      of_mounts.push_back(row);
  }
  judge_swap(judge, of_swap);
  const auto decode = [&]() -> Result<std::vector<codec::ReportedMount>> {
    return TRY_IN("mounts", codec::decode_mounts(TRY(judge.part("mounts"))));
  };
  const auto mounts = judge.take(decode());
  if (!mounts) return;
  Facts facts;
  for (const auto& mount : *mounts) facts[mount.point] = mount.options;
  judge.compare_facts(of_mounts, facts);
  for (const auto& [point, options] : facts) {
    const bool hides = std::any_of(std::begin(image_folders), std::end(image_folders),
                                   [&, &path = point](std::string_view folder) { return is_below(path, folder); });
    // systemd puts the machine id of this boot over the image's empty file (machine-id(5)).
    if (hides && point != "/etc/machine-id" && !has_row(rows, point))
      judge.unexpected(point, fmt::format("{}", fmt::join(options, ",")),
                       "something is mounted over the image's own files");
  }
}

void judge_files(AreaJudge& judge, const Rows& rows) {
  const auto files = judge.take(facts_of(judge, "files"));
  if (!files) return;
  Rows there;
  for (const auto* row : rows) {
    if (row->value != "absent")
      there.push_back(row);
    else if (files->contains(row->name))
      judge.differs(*row, fmt::format("{}", fmt::join(files->at(row->name), ", ")));
  }
  judge.compare_facts(there, *files);
}

}  // namespace ingot::check
