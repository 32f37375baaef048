// sshd: keywords and values as `sshd -T` prints them, which the file may use as well. Sources: CIS Debian Linux 13
// Benchmark, "Configure SSH Server"; ANSSI "OpenSSH secure use recommendations"; ssh-audit's policy for Debian 13;
// sshd_config(5) of OpenSSH 10.0. Lists that come from the profile (users, keys, CAs) are in ssh.cpp.
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view cis = "CIS";
constexpr std::string_view oscap = "OpenSCAP CIS, OpenSCAP ANSSI, lynis";

constexpr SettingRow sshd(std::string_view name, std::string_view value, std::string_view source,
                          std::string_view judge, std::string_view cost = "") {
  return {SettingArea::sshd, name, value, sshd_config, source, judge, cost};
}

constexpr SettingRow rows[] = {
    // Who may log in, and with what.
    sshd("permitrootlogin", "no", cis, oscap),
    sshd("authenticationmethods", "publickey", "ANSSI OpenSSH R17", "tests"),
    sshd("pubkeyauthentication", "yes", cis, oscap),
    sshd("passwordauthentication", "no", cis, oscap),
    sshd("kbdinteractiveauthentication", "no", cis, oscap),
    sshd("permitemptypasswords", "no", cis, oscap),
    sshd("hostbasedauthentication", "no", cis, oscap),
    sshd("ignorerhosts", "yes", cis, oscap),
    sshd("kerberosauthentication", "no", "ANSSI OpenSSH", oscap),
    sshd("gssapiauthentication", "no", cis, oscap),
    sshd("gssapikeyexchange", "no", "ANSSI OpenSSH", ""),
    sshd("authorizedkeyscommand", "none", "keys come from the image alone", "tests"),
    sshd("authorizedprincipalscommand", "none", "principals come from the image alone", "tests"),
    sshd("usepam", "yes", cis, oscap),
    sshd("strictmodes", "yes", "ANSSI OpenSSH", oscap),
    sshd("exposeauthinfo", "yes", "the bastion records which certificate opened a session", ""),
    // How often, how long.
    sshd("maxauthtries", "4", cis, oscap, "clients with many keys must name the right one"),
    sshd("maxsessions", "4", "CIS (10), ANSSI OpenSSH", oscap),
    sshd("logingracetime", "60", cis, oscap),
    sshd("maxstartups", "10:30:60", cis, oscap),
    sshd("persourcepenalties",
         "crash:90 authfail:5 noauth:1 grace-exceeded:10 refuseconnection:10 max:600 min:15 max-sources4:65536 "
         "max-sources6:65536 overflow:permissive overflow6:permissive",
         "sshd_config(5)", "ssh-audit", "a bastion whose users mistype is slowed down"),
    sshd("clientaliveinterval", "15", cis, oscap),
    sshd("clientalivecountmax", "3", cis, oscap, "a connection that hangs for 45 s is closed"),
    sshd("tcpkeepalive", "no", "lynis: clientalive is inside the encryption", "lynis"),
    // No way around: sessions only, nothing forwarded. disableforwarding covers the four others and what is to come.
    sshd("disableforwarding", "yes", "CIS: it also covers what later versions forward", oscap,
         "no tunnels, no agent, no ProxyJump"),
    sshd("allowtcpforwarding", "no", cis, oscap),
    sshd("allowagentforwarding", "no", cis, oscap),
    sshd("allowstreamlocalforwarding", "no", "ANSSI OpenSSH", oscap),
    sshd("x11forwarding", "no", cis, oscap),
    sshd("permittunnel", "no", "ANSSI OpenSSH", oscap),
    sshd("gatewayports", "no", "ANSSI OpenSSH", oscap),
    sshd("permituserenvironment", "no", cis, oscap),
    sshd("permituserrc", "no", "a session starts what the image says", ""),
    // Cryptography: ssh-audit's lists for Debian 13 without umac, which CIS does not have.
    sshd("kexalgorithms", "mlkem768x25519-sha256,sntrup761x25519-sha512@openssh.com", "ssh-audit",
         "ssh-audit, OpenSCAP CIS", "clients from OpenSSH 9.0 on: all three resist quantum computers"),
    sshd("ciphers",
         "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
         "ssh-audit, CIS", "ssh-audit, OpenSCAP CIS"),
    sshd("macs", "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com", "ssh-audit, CIS",
         "ssh-audit, OpenSCAP CIS"),
    sshd("hostkeyalgorithms",
         "sk-ssh-ed25519-cert-v01@openssh.com,ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,"
         "rsa-sha2-256-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
         "ssh-audit", "ssh-audit"),
    sshd("pubkeyacceptedalgorithms",
         "sk-ssh-ed25519-cert-v01@openssh.com,ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,"
         "rsa-sha2-256-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
         "ssh-audit", "ssh-audit", "no ECDSA keys"),
    sshd("casignaturealgorithms", "sk-ssh-ed25519@openssh.com,ssh-ed25519,rsa-sha2-512,rsa-sha2-256", "ssh-audit",
         "ssh-audit"),
    sshd("requiredrsasize", "3072", "ssh-audit, ANSSI OpenSSH R9", "ssh-audit"),
    sshd("rekeylimit", "1073741824 3600", "ANSSI OpenSSH", oscap),
    sshd("compression", "no", "lynis", "lynis"),
    // What is told, and to whom.
    sshd("loglevel", "VERBOSE", cis, oscap),
    sshd("syslogfacility", "AUTH", cis, oscap),
    sshd("banner", "/etc/issue.net", cis, oscap),
    sshd("printlastlog", "yes", "ANSSI OpenSSH", oscap),
    sshd("printmotd", "no", "pam_motd prints it", ""),
    sshd("debianbanner", "no", "the package's version is nobody's business", "lynis"),
    sshd("usedns", "no", "a name server must not delay or decide a login", "lynis"),
};

}  // namespace

std::span<const SettingRow> sshd_rows() { return rows; }

}  // namespace ingot::builder::detail
