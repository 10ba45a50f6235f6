#!/bin/sh
# The live firewall under a mix of real clients for SECONDS (600 unless told), in network namespaces of its own: curl,
# dig over UDP, TCP and IPv6, ping, iperf3, ssh where there is an sshd. Fails where memory grows or a frame counter does
# not add up. Needs root and a built `target/release/cordon` (CORDON names another).
set -eu
SECONDS_TO_RUN=${SECONDS_TO_RUN:-600}
CORDON=${CORDON:-target/release/cordon}
WORKERS=${WORKERS:-1}
[ "$(id -u)" = 0 ] || { echo "soak: needs root"; exit 1; }
for tool in python3 dnsmasq dig curl; do
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
background ip netns exec $server python3 -m http.server --bind :: --directory "$dir/www" 80
if command -v iperf3 >/dev/null; then background ip netns exec $server iperf3 -s; fi
ssh=
if [ -x /usr/sbin/sshd ] && command -v ssh >/dev/null; then
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
	mkdir -p /run/sshd
	background ip netns exec $server /usr/sbin/sshd -D -f /dev/null -h "$dir/host" -o StrictModes=no \
		-o AuthorizedKeysFile="$dir/user.pub" -o PidFile=none -o PermitRootLogin=yes
	ssh=yes
else
	echo "soak: no sshd here, ssh is left out"
fi
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
tries=0
until show info >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || { cat "$dir/cordon.log"; exit 1; }
	sleep 0.1
done
tries=0
until on_client curl -sf --max-time 2 -o /dev/null http://10.0.0.2/page; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || { echo "soak: the web server does not answer"; exit 1; }
	sleep 0.1
done

# Each client goes on until the end; what did not work is a line in its file.
end=$(($(date +%s) + SECONDS_TO_RUN))
again() {
	name=$1
	shift
	(
		count=0
		while [ "$(date +%s)" -lt $end ]; do
			"$@" >/dev/null 2>&1 || echo "$(date +%T) exit $?: $*" >>"$dir/failed.$name"
			count=$((count + 1))
			echo $count >"$dir/count.$name"
		done
	) &
	clients="$clients $!"
}
clients=
again curl on_client curl -sf --max-time 20 http://10.0.0.2/page
again curl6 on_client curl -sf --max-time 20 'http://[fd00::2]/page'
again dig on_client dig @10.0.0.2 example.org +tries=1 +time=5
again dig-tcp on_client dig @10.0.0.2 example.org +tcp +tries=1 +time=5
again dig6 on_client dig @fd00::2 example.org aaaa +tries=1 +time=5
again listed on_client sh -c 'dig @10.0.0.2 listed.example +short +tries=1 +time=5 | grep -q 192.0.2.1'
again ping on_client ping -q -i 0.05 -c 20 -W 5 10.0.0.2
again ping6 on_client ping -q -i 0.05 -c 20 -s 4000 -W 5 fd00::2
if command -v iperf3 >/dev/null; then again iperf3 on_client iperf3 -c 10.0.0.2 -t 5; fi
if [ -n "$ssh" ]; then
	again ssh on_client ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i "$dir/user" root@10.0.0.2 true
fi

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
