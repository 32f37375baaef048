// An NFS server listens on TCP port 2049 and nowhere else. Version 3 would bring mountd, statd and lockd with it, each
// on a port of its own that rpcbind hands out; version 4.0 calls clients back on ports of theirs (RFC 7530), later ones
// on the connection that the client has opened (RFC 8881). mountd of nfs-utils 2.6.2 still listens with vers3=n alone:
// version 2 has to be named, too. nfs.conf(5).
#include "parts.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view configuration = R"([nfsd]
tcp=y
udp=n
vers2=n
vers3=n
vers4=y
vers4.0=n
vers4.1=y
vers4.2=y

[mountd]
manage-gids=y
)";

}  // namespace

ConfigPart render_nfs(const Tree& tree) {
  ConfigPart part;
  if (tree.resolve("/usr/sbin/rpc.nfsd") == nullptr) return part;
  detail::add_file(part, "/etc/nfs.conf.d/ingot.conf", fmt::format("{}{}", detail::made_by, configuration));
  for (const auto* unit : {"rpc-statd.service", "rpc-statd-notify.service"})
    if (tree.find(fmt::format("/usr/lib/systemd/system/{}", unit)) != nullptr &&
        tree.find(fmt::format("/etc/systemd/system/{}", unit)) == nullptr)
      detail::mask_unit(part, unit, "NFS 4 needs none of it");
  return part;
}

}  // namespace ingot::builder
