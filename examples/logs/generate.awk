# Writes a log as a small server writes it, so that the example runs anywhere: lines are drawn from a
# dozen patterns.
#
#     awk -v seed=1 -v lines=20000 -f generate.awk
#     awk -v seed=2 -v lines=3000 -v odd=1 -f generate.awk     with five lines that don't belong
function pick(n) {
    return int(rand() * n)
}
function one_of(list,    words, n) {
    n = split(list, words, " ")
    return words[1 + pick(n)]
}
function address() {
    return "192.168." pick(4) "." 1 + pick(250)
}
function usual(    user, kind) {
    user = one_of("ada anna boris carla dmitri")
    kind = pick(12)
    if (kind < 2) return sprintf("sshd[%d]: Accepted publickey for %s from %s port %d ssh2", 800 + pick(9000), user, address(), 32768 + pick(28000))
    if (kind < 4) return sprintf("sshd[%d]: Disconnected from user %s %s port %d", 800 + pick(9000), user, address(), 32768 + pick(28000))
    if (kind < 6) return sprintf("CRON[%d]: (root) CMD (/usr/lib/backup/%s --quiet)", 800 + pick(9000), one_of("daily hourly rotate"))
    if (kind < 7) return sprintf("systemd[1]: Started session-%d.scope - Session %d of User %s.", kind = 1 + pick(900), kind, user)
    if (kind < 8) return sprintf("systemd[1]: session-%d.scope: Deactivated successfully.", 1 + pick(900))
    if (kind < 10) return sprintf("httpd[%d]: %s \"GET /%s HTTP/1.1\" 200 %d", 700 + pick(4), address(), one_of("index.html news.html style.css logo.png"), 200 + pick(40000))
    if (kind < 11) return sprintf("dhcpd[611]: DHCPACK on %s to 52:54:00:%02x:%02x:%02x via eth0", address(), pick(256), pick(256), pick(256))
    return sprintf("postfix/smtp[%d]: %X: to=<%s@example.org>, relay=mail.example.org[192.0.2.25]:25, status=sent", 800 + pick(9000), 268435456 + pick(1000000000), user)
}
BEGIN {
    srand(seed)
    if (odd) {
        strange[int(lines * 0.13)] = "kernel: Out of memory: Killed process 4711 (postgres) total-vm:8123456kB"
        strange[int(lines * 0.31)] = "sshd[2207]: Accepted password for root from 203.0.113.66 port 4444 ssh2"
        strange[int(lines * 0.52)] = "httpd[702]: 203.0.113.66 \"GET /../../etc/passwd HTTP/1.1\" 404 196"
        strange[int(lines * 0.77)] = "kernel: EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: reading directory lblock 0"
        strange[int(lines * 0.92)] = "sudo: guest : 3 incorrect password attempts ; COMMAND=/bin/sh"
    }
    for (i = 0; i < lines; i++) {
        now = int(i * 86400 / lines)
        printf "Nov %2d %02d:%02d:%02d alpha %s\n", 10 + seed, now / 3600, now / 60 % 60, now % 60, i in strange ? strange[i] : usual()
    }
}
