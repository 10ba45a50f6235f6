#!/bin/sh
# The live firewall under a mix of real clients for SECONDS (600 unless told), in network namespaces of its own: curl,
# dig over UDP, TCP and IPv6, ping, iperf3, ssh. Fails where a client fails, memory grows or a frame counter does not add
# up. Needs root, what `.ci/packages soak` installs, and a built `target/release/cordon` (CORDON names another).
set -eu
SECONDS_TO_RUN=${SECONDS_TO_RUN:-600}
CORDON=${CORDON:-target/release/cordon}
WORKERS=${WORKERS:-1}
[ "$(id -u)" = 0 ] || { echo "soak: needs root"; exit 1; }
for tool in python3 dnsmasq dig curl nginx iperf3 ssh /usr/sbin/sshd; do
	command -v $tool >/dev/null || { echo "soak: $tool is not installed"; exit 1; }
done
id=soak-$$
dir=$(mktemp -d)
client=$id-client firewall=$id-firewall server=$id-server
children=
finish() {
	for child in $children; do kill "$child" 2>/dev/null || :; done
	wait
	for space in $client $firewall $server; do ip netns del $space 2>/dev/null || :; done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM
for space in $client $firewall $server; do
	ip netns add $space
	ip -n $space link set lo up
done
ip -n $client link add c0 type veth peer name lan0 netns $firewall
ip -n $server link add s0 type veth peer name wan0 netns $firewall
for end in "$client c0" "$server s0" "$firewall lan0" "$firewall wan0"; do ip -n ${end% *} link set ${end#* } up; done
ip -n $client addr add 10.0.0.1/24 dev c0
ip -n $client addr add fd00::1/64 dev c0 nodad
ip -n $server addr add 10.0.0.2/24 dev s0
ip -n $server addr add fd00::2/64 dev s0 nodad

on_client() { ip netns exec $client "$@"; }
background() { "$@" >/dev/null 2>&1 & children="$children $!"; }
background ip netns exec $server dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces \
	--pid-file= --user=root --listen-address=10.0.0.2,fd00::2 --address=/#/10.0.0.2 --address=/#/fd00::2
mkdir "$dir/www"
head -c 3000000 /dev/urandom >"$dir/www/page"
cat >"$dir/nginx.conf" <<CONFIG
daemon off;
user root;
pid $dir/nginx.pid;
error_log $dir/nginx.log;
events {}
http {
	access_log off;
	client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir; uwsgi_temp_path $dir; scgi_temp_path $dir;
	server { listen 10.0.0.2:80; listen [fd00::2]:80; root $dir/www; }
}
CONFIG
background ip netns exec $server nginx -e "$dir/nginx.log" -c "$dir/nginx.conf"
for port in 5201 5202; do background ip netns exec $server iperf3 -s -p $port; done
ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
mkdir -p /run/sshd
cat >"$dir/sshd_config" <<CONFIG
ListenAddress 10.0.0.2
ListenAddress fd00::2
HostKey $dir/host
AuthorizedKeysFile $dir/user.pub
PermitRootLogin prohibit-password
# The folder is /tmp's.
StrictModes no
PidFile none
CONFIG
background ip netns exec $server /usr/sbin/sshd -D -e -f "$dir/sshd_config"
cat >"$dir/cordon.toml" <<'CONFIG'
[virtual-wire.uplink]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
interfaces = ["lan0"]
[zone.outside]
interfaces = ["wan0"]
[external-list.names]
type = "domain"
url  = "file:names.txt"
[profiles.spyware.Everything]
botnet-domains.sinkhole.ipv4-address = "192.0.2.1"
botnet-domains.sinkhole.ipv6-address = "2001:db8::1"
[[profiles.spyware.Everything.botnet-domains.lists]]
name   = "names"
action = "sinkhole"
[[rulebase.security.rules]]
name = "all"
from = ["any"]
to   = ["any"]
source = ["any"]
destination = ["any"]
application = ["any"]
service = ["any"]
action = "allow"
profile-setting.profiles.spyware = ["Everything"]
CONFIG
echo listed.example >"$dir/names.txt"
ip netns exec $firewall "$CORDON" run "$dir/cordon.toml" --state "$dir/state" --socket "$dir/cordon.sock" \
	--workers "$WORKERS" 2>"$dir/cordon.log" &
cordon=$!
children="$children $cordon"
show() { "$CORDON" show "$@" --json --socket "$dir/cordon.sock"; }
ssh() {
	to=$1
	shift
	on_client ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR -o ConnectTimeout=10 -i "$dir/user" "root@$to" "$@"
}
# An iperf3 that has not let go of its last client yet refuses the next one: that is no fault of what lies between.
stream() {
	busy=0
	until said=$(on_client iperf3 -c 10.0.0.2 "$@" 2>&1); do
		busy=$((busy + 1))
		case $said in *"server is busy"*) [ $busy -lt 50 ] && sleep 0.1 && continue ;; esac
		echo "$said" >&2
		return 1
	done
}
# What listens late must not look like what the firewall has cut.
await() {
	what=$1 tries=0
	shift
	until "$@" >"$dir/await" 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { echo "soak: $what does not answer"; cat "$dir/await" "$dir/cordon.log"; exit 1; }
		sleep 0.1
	done
}
await cordon show info
await "the web server" on_client curl -sSf --max-time 2 -o /dev/null http://10.0.0.2/page
await "the web server" on_client curl -sSf --max-time 2 -o /dev/null 'http://[fd00::2]/page'
await "the DNS server" on_client dig @10.0.0.2 example.org +tries=1 +time=1
await "the DNS server" on_client dig @fd00::2 example.org +tcp +tries=1 +time=1
await sshd ssh 10.0.0.2 true
await iperf3 stream -n 1M

copy() {
	ssh 10.0.0.2 "cat >/dev/null; cat $dir/www/page" <"$dir/www/page" | cmp - "$dir/www/page"
}

# Each client goes on until the end; what did not work is a line in its file.
end=$(($(date +%s) + SECONDS_TO_RUN))
again() {
	name=$1
	shift
	(
		count=0
		while [ "$(date +%s)" -lt $end ]; do
			"$@" >/dev/null 2>"$dir/says.$name" ||
				echo "$(date +%T) exit $?: $* ($(tr '\n' ' ' <"$dir/says.$name"))" >>"$dir/failed.$name"
			count=$((count + 1))
			echo $count >"$dir/count.$name"
		done
	) &
	clients="$clients $!"
}
clients=
again curl on_client curl -sSf --max-time 20 http://10.0.0.2/page
again curl6 on_client curl -sSf --max-time 20 'http://[fd00::2]/page'
again dig on_client dig @10.0.0.2 example.org +tries=1 +time=5
again dig-tcp on_client dig @10.0.0.2 example.org +tcp +tries=1 +time=5
again dig6 on_client dig @fd00::2 example.org aaaa +tries=1 +time=5
again listed on_client sh -c 'dig @10.0.0.2 listed.example +short +tries=1 +time=5 | grep -q 192.0.2.1'
again ping on_client ping -q -i 0.05 -c 20 -W 5 10.0.0.2
again ping6 on_client ping -q -i 0.05 -c 20 -s 4000 -W 5 fd00::2
again iperf3 stream -t 5
again iperf3-udp stream -u -b 20M -t 5 -p 5202
again ssh ssh 10.0.0.2 true
again ssh-copy copy
# One session that stays open throughout, changes its keys all the while, and must not miss a beat.
(
	beats=$((SECONDS_TO_RUN * 9 / 10))
	ssh fd00::2 -o "RekeyLimit 16K 20s" "for beat in \$(seq $beats); do echo \$beat; sleep 1; done" >"$dir/beats" 2>"$dir/says.ssh-long" &&
		[ "$(wc -l <"$dir/beats")" = $beats ] ||
		echo "ended after $(wc -l <"$dir/beats") of $beats beats ($(tr '\n' ' ' <"$dir/says.ssh-long"))" >>"$dir/failed.ssh-long"
	echo 1 >"$dir/count.ssh-long"
) &
clients="$clients $!"

memory() { awk '/^VmRSS/ { print $2 }' /proc/$cordon/status; }
# Tables grow to their working size in the first third; from there on memory must stay.
sleep $((SECONDS_TO_RUN / 3))
settled=$(memory)
echo "memory after a third: $settled KiB"
for client_loop in $clients; do wait "$client_loop" || :; done
last=$(memory)
echo "memory at the end:    $last KiB"
sleep 2
show info >"$dir/info.json"
show counters >"$dir/counters.json"
failed=0
for count in "$dir"/count.*; do
	name=${count##*count.}
	bad=0
	[ ! -f "$dir/failed.$name" ] || bad=$(wc -l <"$dir/failed.$name")
	echo "$name: $(cat "$count") times, $bad failed"
	[ $bad = 0 ] || head -n 5 "$dir/failed.$name"
	failed=$((failed + bad))
done
python3 - "$dir" "$settled" "$last" "$failed" <<'CHECK'
import json, sys
folder, settled, last, failed = sys.argv[1], *map(int, sys.argv[2:])
info = json.load(open(folder + "/info.json"))
frames = json.load(open(folder + "/counters.json"))["frames"]
received = sum(interface["rx_frames"] for interface in info["interfaces"])
judged = sum(frames.get(key, 0) for key in ("forwarded", "answered", "consumed", "held"))
judged += sum(frames["dropped"].values())
print(f"received {received}, judged {judged}: {frames}; drops {info['drops']}")
wrong = []
if received != judged:
    wrong.append("the frame counters do not add up")
# A tenth, and 16 MiB for what the allocator keeps.
if last > settled * 1.1 + 16384:
    wrong.append(f"memory has grown from {settled} to {last} KiB")
if failed:
    wrong.append(f"{failed} clients failed")
sys.exit("; ".join(wrong) or 0)
CHECK
echo "soak: $SECONDS_TO_RUN s, all well"
