"""OpenSCAP on the booted node: CIS Debian 13 level 2 server and ANSSI BP-028 high, without and with our tailoring."""
import xml.etree.ElementTree as ElementTree

from .node import Figure

NEEDS_BOOT = True
PROFILES = {"cis_level2_server": ("CIS L2 server", 87), "anssi_bp28_high": ("ANSSI BP-028 high", 81)}
XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
COUNTED = ("pass", "fixed", "fail", "error", "unknown")


def read(path):
    """(score, {rule: result}) of one result file."""
    root = ElementTree.parse(path).getroot()
    score = float(next(root.iter(f"{XCCDF}score")).text)
    rules = {r.get("idref").split("rule_", 1)[1]: r.find(f"{XCCDF}result").text for r in root.iter(f"{XCCDF}rule-result")}
    return score, rules


def judge(node):
    out = []
    for profile, (title, wanted) in PROFILES.items():
        score, rules = read(node.live / f"{profile}.xml")
        bad = sorted(rule for rule, result in rules.items() if result in ("fail", "error", "unknown"))
        passed = sum(result in ("pass", "fixed") for result in rules.values())
        out.append(Figure("OpenSCAP", title, f"{score:.1f} ({passed} pass, {len(bad)} not)", f">= {wanted}", score >= wanted, bad))
        tailored = node.live / f"{profile}-tailored.xml"
        if not tailored.exists():
            continue
        score, rules = read(tailored)
        bad = sorted(f"{rule}: {result}" for rule, result in rules.items() if result in ("fail", "error", "unknown"))
        out.append(Figure("OpenSCAP", f"{title}, tailored", f"{len(bad)} fail", "0 fail", not bad, bad))
    return out
