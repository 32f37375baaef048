"""testssl.sh against the node's own nginx with the node's own configuration, on loopback of a namespace that has the node's
addresses; certified by an authority of the moment, which the scanner is told to trust."""
import json

from .node import Figure, chroot

NEEDS_BOOT = False
SERVE = r"""
config=/etc/nginx/nginx.conf
tools() { chroot /run/tools "$@"; }
cd /run/tools/tmp
tools openssl req -x509 -newkey rsa:3072 -nodes -days 30 -subj "/CN=Authority of the moment" -keyout /tmp/ca.key -out /tmp/ca.crt 2>/dev/null
tools openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=judged.example" -keyout /tmp/node.key -out /tmp/node.csr 2>/dev/null
printf 'subjectAltName=DNS:judged.example\nextendedKeyUsage=serverAuth\n' >extensions
tools openssl x509 -req -in /tmp/node.csr -CA /tmp/ca.crt -CAkey /tmp/ca.key -CAcreateserial -days 30 -extfile /tmp/extensions -out /tmp/node.crt 2>/dev/null || exit 8
files=$(cat "$config" /etc/nginx/sites-enabled/* 2>/dev/null)
value() { echo "$files" | sed -n "s/^ *$1 *\(.*\);/\1/p" | head -n 1; }
for pair in "ssl_certificate node.crt" "ssl_certificate_key node.key"; do
  set -- $pair
  file=$(value "$1 ")
  [ -n "$file" ] || { echo "no TLS here" >&2; exit 7; }
  mkdir -p "$(dirname "$file")"
  cp "$2" "$file"
done
mkdir -p /run/nginx /var/log/nginx /var/lib/nginx
address=127.0.0.1
for listen in $(echo "$files" | sed -n 's/^ *listen *\([^ ;]*\).*ssl.*/\1/p'); do
  case $listen in
    \[::\]:* | *:*:*) continue ;;
    *:*) address=${listen%:*}; ip address add "$address" dev lo 2>/dev/null || true ;;
  esac
  port=${listen##*:}
done
/usr/sbin/nginx -e /run/nginx.log || { cat /run/nginx.log >&2; exit 9; }
echo "$address judged.example" >>/run/tools/tmp/hosts
mount --bind /run/tools/tmp/hosts /run/tools/etc/hosts
tools testssl --quiet --color 0 --warnings off --add-ca /tmp/ca.crt --ip "$address" --jsonfile /tmp/out.json "judged.example:$port" >/run/tools/tmp/out.txt 2>&1
cat out.json
"""


def judge(node):
    if not node.has("/etc/nginx/nginx.conf"):
        return []
    done = chroot(node.tree, SERVE, timeout=1200)
    if done.returncode == 7:
        return []
    try:
        found = {item["id"]: item for item in json.loads(done.stdout)}
        grade = found["overall_grade"]["finding"]
    except (ValueError, KeyError):
        return [Figure("testssl", "grade", "no answer", "A+", False, (done.stdout + done.stderr).splitlines())]
    bad = [f"{name}: {item['severity']}: {item['finding']}" for name, item in found.items() if item["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")]
    reasons = [f"{name}: {item['finding']}" for name, item in found.items() if name.startswith("grade_cap_reason")]
    return [Figure("testssl", "grade", grade, "A+", grade == "A+", reasons + bad)]
