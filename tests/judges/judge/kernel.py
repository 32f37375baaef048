"""kernel-hardening-checker over the kernel's configuration, the command line and every sysctl of the booted node.

Releases differ in how many rows they have (0.6.17.1: 352; the best known efforts, 253 and 248 OK, were of 363), so what may fail
is what is counted: 110 rows, on nodes with GPUs 115. 103 fail by Debian's kernel configuration alone."""
import json

from .node import TOOLS, Figure, chroot

NEEDS_BOOT = True
SCRIPT = """
cd /tmp
for name in config cmdline sysctl; do IFS= read -r -d "" text || true; printf "%s" "$text" >$name; done
kernel-hardening-checker -m json -c config -l cmdline -s sysctl
"""


def judge(node):
    config = next(iter(sorted((node.tree / "boot").glob("config-*"))))
    given = "\0".join([config.read_text(), node.text("cmdline"), node.text("sysctl")])
    done = chroot(TOOLS, SCRIPT, given=given)
    rows = json.loads(done.stdout.strip().splitlines()[-1])
    failed = [row for row in rows if not row["check_result_bool"]]
    passed = len(rows) - len(failed)
    allowed = 115 if node.gpu else 110
    ours = [f'{row["option_name"]} ({row["type"]}): {row["check_result"]}, wanted {row["desired_val"]}' for row in failed if row["type"] != "kconfig"]
    kconfig = len(failed) - len(ours)
    return [Figure("kernel-hardening-checker", "rows OK / FAIL", f"{passed} / {len(failed)}", f"<= {allowed} FAIL", len(failed) <= allowed,
                   ours + [f"and {kconfig} rows of Debian's kernel configuration"])]
