"""Programs about their own configuration: nft, sshd, nginx, visudo, augenrules, systemd. They come from the node's own tree."""
from .node import HOST_KEYS, Figure, chroot

NEEDS_BOOT = False
OURS = """
shopt -s nullglob
cd /etc/systemd/system
units=(*.service *.socket *.timer *.mount /usr/lib/systemd/system/ingot-*)
kept=()
for unit in "${units[@]}"; do [ "$(readlink -f "$unit")" = /dev/null ] || kept+=("$unit"); done
units=("${kept[@]}")
for folder in *.service.d; do [ -e "/usr/lib/systemd/system/${folder%.d}" ] && units+=("${folder%.d}"); done
"""
# A node's certificates are given to it; without any, nginx refuses its configuration.
CERTIFICATES = """
sed -n 's/^ *ssl_certificate  *\\(.*\\);/\\1/p' /etc/nginx/nginx.conf | while read -r file; do
  mkdir -p "$(dirname "$file")"
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=judged -days 1 -keyout "${file%.crt}.key" -out "$file" 2>/dev/null
done
"""
CHECKS = [
    ("nft -c", "/usr/sbin/nft", "/etc/nftables.conf", "nft -c -f /etc/nftables.conf"),
    ("sshd -t", "/usr/sbin/sshd", "/etc/ssh/sshd_config",
     HOST_KEYS + "sshd -t"),
    ("nginx -t", "/usr/sbin/nginx", "/etc/nginx/nginx.conf", CERTIFICATES + "mkdir -p /run/nginx /var/log/nginx /var/lib/nginx; nginx -t -q"),
    ("visudo -c", "/usr/sbin/visudo", "/etc/sudoers", "visudo -cq"),
    # What is loaded is what is in rules.d, where other judges look.
    ("augenrules --check", "/usr/sbin/augenrules", "/etc/audit/rules.d",
     'said=$(augenrules --check 2>/dev/null | head -n 1); [ "$said" = "/usr/sbin/augenrules: No change" ] || echo "$said"'),
    ("systemd-analyze verify", "/usr/bin/systemd-analyze", "/etc/systemd/system",
     OURS + '[ "${#units[@]}" -eq 0 ] || systemd-analyze verify --man=no --generators=no "${units[@]}"'),
]


def judge(node):
    out = []
    for name, program, file, script in CHECKS:
        if not node.has(program) or not node.has(file):
            continue
        done = chroot(node.tree, script)
        said = (done.stdout + done.stderr).strip().splitlines()
        good = done.returncode == 0 and not said
        out.append(Figure("syntax", name, "clean" if good else f"status {done.returncode}, {len(said)} lines", "clean", good, said))
    return out
