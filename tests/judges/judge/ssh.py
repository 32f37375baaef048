"""ssh-audit against the node's own sshd with the node's own configuration, on loopback of a namespace that has the node's
addresses. Only the scanner is exempt from the penalties that would otherwise lock it out, as it must be."""
import json
import re
from pathlib import Path

from .node import HOST_KEYS, Figure, chroot

NEEDS_BOOT = False
POLICY = Path(__file__).parents[1] / "hardened-debian13.policy"
SERVE = HOST_KEYS + """
sshd -G | sed -n 's/^listenaddress //p' | sed -e 's/:[0-9]*$//' -e 's/[][]//g' | while read -r address; do
  case $address in 0.0.0.0 | :: | 127.*) ;; *) ip address add "$address" dev lo ;; esac
done
listen=$(sshd -G | sed -n 's/^listenaddress //p' | head -n 1)
port=${listen##*:} address=$(echo "${listen%:*}" | tr -d '[]')
[ "$address" != 0.0.0.0 ] && [ "$address" != :: ] || address=127.0.0.1
/usr/sbin/sshd -o PerSourcePenaltyExemptList="$address" -E /run/sshd.log || { cat /run/sshd.log >&2; exit 9; }
for _ in $(seq 50); do (: <"/dev/tcp/$address/$port") 2>/dev/null && break; sleep 0.1; done
policy=
if [ -n "$1" ]; then
  echo "$1" >/run/tools/tmp/policy
  policy="-P /tmp/policy"
fi
shift
chroot /run/tools ssh-audit "$@" $policy -p "$port" "$address"
"""


def judge(node):
    if not node.has("/usr/sbin/sshd"):
        return []
    audit = chroot(node.tree, SERVE, "", "--json")
    if not audit.stdout.strip().startswith("{"):
        return [Figure("ssh-audit", "fail / warn", "no answer", "0 / 0", False, (audit.stdout + audit.stderr).splitlines())]
    found = json.loads(audit.stdout)
    notes = {"fail": set(), "warn": set()}
    for kind in ("kex", "key", "enc", "mac"):
        for algorithm in found[kind]:
            for level in notes:
                for note in algorithm.get("notes", {}).get(level, []):
                    notes[level].add(f"{level}: {algorithm['algorithm']}: {note}")
    fails, warns = len(notes["fail"]), len(notes["warn"])
    plain = chroot(node.tree, SERVE, "", "--no-colors", "--level=warn", "--skip-rate-test")
    policy = chroot(node.tree, SERVE, POLICY.read_text(), "--no-colors", "--skip-rate-test")
    passes = bool(re.search(r"Passed", policy.stdout))
    return [
        Figure("ssh-audit", "fail / warn", f"{fails} / {warns}", "0 / 0", fails + warns == 0, sorted(notes["fail"] | notes["warn"]) + plain.stdout.splitlines()),
        Figure("ssh-audit", "policy Hardened Debian 13", "passes" if passes else "fails", "passes", passes, [] if passes else policy.stdout.splitlines()),
    ]
