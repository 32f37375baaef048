"""systemd-analyze security on the booted node: what the units that run there are exposed to."""
import re

from .node import Figure

NEEDS_BOOT = True
# sshd opens sessions for other users and auditd speaks for the kernel: what they cannot do without is not sandboxed away.
EXEMPT = ("ssh.service", "auditd.service")
OURS = re.compile(r"^(ingot-.*|nginx|systemd-journal-(upload|remote)|sudo-logsrvd.*|chrony|nftables)\.service$")


def judge(node):
    rows = [line.split() for line in node.text("exposure").splitlines() if ".service" in line]
    exposed = {row[0]: float(row[1]) for row in rows}
    ours = {unit: value for unit, value in exposed.items() if OURS.match(unit) and unit != "ingot-judges.service"}
    worst = max(ours.values(), default=0.0)
    out = [Figure("systemd-analyze security", "worst of what we ship or expose", f"{worst:.1f}", "<= 2.0", worst <= 2.0,
                  [f"{unit} {value}" for unit, value in sorted(ours.items(), key=lambda item: -item[1])])]
    for unit in EXEMPT:
        if unit in exposed:
            out.append(Figure("systemd-analyze security", unit.removesuffix(".service"), f"{exposed[unit]:.1f}", "as low as it works", True))
    return out
