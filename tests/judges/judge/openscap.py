"""OpenSCAP on the booted node: CIS Debian 13 level 2 server and ANSSI BP-028 high, without and with our tailoring.

The tailoring only takes rules away (a test holds it to that), so what it leaves of one scan is what a second scan would say."""
import datetime
import re
import xml.etree.ElementTree as ElementTree

from .node import SOURCE, Figure

NEEDS_BOOT = True
PROFILES = {"cis_level2_server": ("CIS L2 server", 87), "anssi_bp28_high": ("ANSSI BP-028 high", 81)}
XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
TAILORING = SOURCE / "profiles/tailoring.xml"
BAD = ("fail", "error", "unknown")
REMARK = re.compile(r"until (\d{4}-\d{2}-\d{2}): (.{20,})", re.S)


def read(path):
    """(score, {rule: result}) of one result file."""
    root = ElementTree.parse(path).getroot()
    score = float(next(root.iter(f"{XCCDF}score")).text)
    rules = {r.get("idref").split("rule_", 1)[1]: r.find(f"{XCCDF}result").text for r in root.iter(f"{XCCDF}rule-result")}
    return score, rules


def waivers(path=TAILORING):
    """{profile: {rule: (end, reason)}}. A waiver without reason or end, or a tailoring that does anything else than to waive,
    is a ValueError."""
    out = {}
    for profile in ElementTree.parse(path).getroot().iter(f"{XCCDF}Profile"):
        waived = out.setdefault(profile.get("id").split("profile_", 1)[1], {})
        for element in profile:
            if element.tag == f"{XCCDF}title":
                continue
            rule = element.get("idref", "").partition("rule_")[2]
            remark = REMARK.fullmatch(element.findtext(f"{XCCDF}remark", ""))
            if element.tag != f"{XCCDF}select" or element.get("selected") != "false" or not remark or rule in waived:
                raise ValueError(f"{path.name}: {rule or element.tag}: not one waiver with an end and a reason")
            waived[rule] = (datetime.date.fromisoformat(remark[1]), remark[2])
    return out


def judge(node):
    out = []
    today = datetime.date.today()
    for profile, (title, wanted) in PROFILES.items():
        score, rules = read(node.live / f"{profile}.xml")
        bad = sorted(rule for rule, result in rules.items() if result in BAD)
        passed = sum(result in ("pass", "fixed") for result in rules.values())
        out.append(Figure("OpenSCAP", title, f"{score:.1f} ({passed} pass, {len(bad)} not)", f">= {wanted}", score >= wanted, bad))
        waived = waivers()[profile]
        left = [rule for rule in bad if rule not in waived or waived[rule][0] < today]
        out.append(Figure("OpenSCAP", f"{title}, tailored", f"{len(left)} fail", "0 fail", not left, left))
    return out


def unneeded(results):
    """Waivers that no role needs: every rule passes anyhow, or is not of the profile. `results`: folders of live results."""
    out = []
    for profile, waived in waivers().items():
        scans = [read(folder / f"{profile}.xml")[1] for folder in results]
        out += [f"{profile}: {rule}" for rule in waived if not any(scan.get(rule) in BAD for scan in scans)]
    return out
