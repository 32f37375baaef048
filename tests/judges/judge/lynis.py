"""lynis on the booted node."""
import re

from .node import Figure

NEEDS_BOOT = True


def judge(node):
    report = node.text("lynis.report")
    index = int(re.search(r"^hardening_index=(\d+)$", report, re.M).group(1))
    advice = [line for line in report.splitlines() if line.startswith(("suggestion[]=", "warning[]="))]
    return [Figure("lynis", "hardening index", str(index), ">= 75", index >= 75, advice)]
