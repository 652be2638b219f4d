#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vmclockctl, as its users see it, on pages in files.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

dir=$(mktemp -d -p /dev/shm)	# on a disk they would give no time
trap 'rm -rf "$dir"' EXIT
export LD_LIBRARY_PATH="$BUILD"
page=$dir/page

# ctl STATUS ARGS...: runs it, keeps what it says in out and err, wants STATUS.
ctl()
{
	want=$1
	shift
	"$BUILD/vmclockctl" "$@" > "$dir/out" 2> "$dir/err"
	got=$?
	sed 's/^/out: /' "$dir/out"
	sed 's/^/err: /' "$dir/err"
	[ "$got" = "$want" ] || { echo "exit status $got, not $want"; return 1; }
}

# make_page [field=value]...
make_page()
{
	python3 tests/mkpage.py "$page" "$@"
}

says() { grep -q -- "$1" "$dir/out" || { echo "no '$1' in out"; return 1; }; }
complains() { grep -q -- "$1" "$dir/err" || { echo "no '$1' in err"; return 1; }; }
quiet() { [ ! -s "$dir/err" ] || { echo "err is not empty"; return 1; }; }

# json EXPRESSION: holds for the object (the last of the lines) in out.
json()
{
	python3 - "$dir/out" "$1" <<'END'
import json, sys
d = [json.loads(line) for line in open(sys.argv[1])]
n, d = len(d), d[-1]
sys.exit(not eval(sys.argv[2]) and f"not so: {sys.argv[2]}")
END
}

show_text()
{
	make_page flags=0x80000000000001ff tai_offset_sec=-37 && ctl 0 show "$page" &&
		quiet && says '^magic  *0x4b4c4356  *VCLK$' &&
		says '^flags  *0x80000000000001ff  *TAI_OFFSET_VALID DISRUPTION_SOON .* TIME_MONOTONIC GENERATION_PRESENT unknown:0x8000000000000000$' &&
		says '^tai_offset_sec  *0xffdb  *UTC = TAI - 37 s$' &&
		says '^counter_period_frac_sec .* 0.416666666667 ns, 2400000000 Hz$' &&
		says '^time_sec .* 2026-01-01 00:00:37.000000000 TAI$' &&
		says '^time_maxerror_nanosec .* +/- 1.2 us$' &&
		says '^vm_generation_counter  *0xffffffffffffffff  '
}

show_json()
{
	make_page && ctl 0 show --json "$page" && quiet &&
		json 'd["page"]["vm_generation_counter"]["raw"] == str(2**64 - 1)' &&
		json 'len(d["page"]) == 22 and "device" not in d' &&
		json 'd["page"]["clock_status"] == {"raw": "2", "text": "synchronized"}'
}

# UTF-8 as it is meant; what is none, a character for each byte.
show_json_path()
{
	make_page && cp "$page" "$page-$1" && ctl 0 show --json "$page-$1" &&
		json "d['path'].endswith('$2')"
}

show_short()
{
	make_page size=0x68 && ctl 0 show --json "$page" &&
		json 'd["page"]["vm_generation_counter"] is None' &&
		ctl 0 show "$page" && says '^vm_generation_counter .*absent'
}

show_invalid_values()
{
	make_page counter_id=9 time_type=4 clock_status=77 leap_indicator=200 \
		counter_period_shift=255 counter_period_frac_sec=0 flags=0 \
		time_sec=0xffffffffffffffff && ctl 0 show "$page" &&
		says '^clock_status  *0x4d  *invalid$' && says 'out of range$' &&
		says '^tai_offset_sec .*(not valid)$' && says '^flags  *0x0  *none$'
}

now_json()
{
	make_page && ctl 0 now --json "$page" && quiet &&
		json 'd["reason"] == "ok" and d["status"] == "synchronized"' &&
		json 'd["time_type"] == "TAI" and d["tai_offset_sec"] == -37' &&
		json 'd["disruption_marker"] == str(2**63 + 1)' &&
		json 'd["vm_generation_counter"] == str(2**64 - 1)' &&
		json 'd["changed"] == [] and n == 1' &&
		json '(lambda t: t["earliest"] < t["point"] < t["latest"])({k: (d[k]["sec"], d[k]["nsec"]) for k in ("earliest", "point", "latest")})'
}

# The counter in the answer, put through whole numbers, gives the same time.
now_computes()
{
	make_page && ctl 0 now --json "$page" &&
		json '(lambda t: divmod(t, 10**9) == (d["point"]["sec"], d["point"]["nsec"]))(((1767225637 * 2**64 + 2**63) + (int(d["counter"]) * 0xE5109EC205D7BEA7 >> 31)) * 10**9 >> 64)'
}

# The line hardly moves, however long the machine has been up.
now_text()
{
	make_page counter_period_frac_sec=1 && ctl 0 now "$page" && quiet &&
		says '^utc  *2026-01-01 00:00:00\.5.* UTC  (1767225600\.5[0-9]*)$' &&
		says '^point .*(1767225637\.5[0-9]*)$'
}

now_leap()
{
	make_page counter_period_frac_sec=1 leap_indicator=3 time_sec=1483228836 &&
		ctl 0 now "$page" && says '^utc  *2016-12-31 23:59:59\.5.* UTC .*; in 23:59:60$'
}

now_no_utc()
{
	make_page counter_period_frac_sec=1 tai_offset_sec=37 && ctl 0 now "$page" &&
		says '^utc  *none: the page does not say'
}

now_monotonic()
{
	make_page time_type=2 counter_period_frac_sec=1 && ctl 0 now "$page" &&
		says '^point  *1767225637\.5.* monotonic ' && ! says '^utc'
}

# 0.7 s to either side of 0.5: a time has its nanoseconds ahead of a whole second.
now_before_the_epoch()
{
	make_page time_type=2 time_sec=0 counter_period_frac_sec=1 \
		time_maxerror_nanosec=700000000 counter_period_maxerror_rate_frac_sec=0 &&
		ctl 0 now "$page" &&
		says '^earliest  *-0\.200000000 monotonic  (-0\.200000000)$' &&
		make_page time_sec=37 counter_period_frac_sec=1 time_maxerror_nanosec=1 \
			counter_period_maxerror_rate_frac_sec=0 tai_offset_sec=-39 &&
		ctl 0 now "$page" &&
		says '^utc  *1969-12-31 23:59:58\.500000000 UTC  (-1\.500000000)$'
}

# no_time REASON ADVICE FIELDS...
no_time()
{
	reason=$1 advice=$2
	shift 2
	make_page "$@" && ctl 1 now "$page" && says "^point  *none: $reason" &&
		complains "^vmclockctl: $page: no time: $reason.*$advice" &&
		ctl 1 now --json "$page" &&
		json 'd["point"] is None and d["earliest"] is None and d["latest"] is None' &&
		json 'd["disruption_marker"] == str(2**63 + 1) and d["reason"] != "ok"'
}

watch_json()
{
	make_page && ctl 0 watch --json --count=3 --interval=0.001 "$page" && quiet &&
		json 'n == 3 and d["changed"] == []'
}

# Each line is there at once, and a change of the page shows in the line after.
watch_changes()
{
	make_page counter=none && python3 - "$BUILD/vmclockctl" "$page" <<'END'
import json, subprocess, sys, threading
ctl, page = sys.argv[1:]
watch = subprocess.Popen([ctl, "watch", "--updates", "--json", "--count=3", page],
                         stdout=subprocess.PIPE, text=True)
# A line that does not come must not hold up the test.
patience = threading.Timer(60, watch.kill)
patience.daemon = True
patience.start()
def edit(*words):
    subprocess.run([sys.executable, "tests/mkpage.py", page, "edit=1", *words], check=True)
lines = [json.loads(watch.stdout.readline())]
edit("seq_count=3", "disruption_marker=5", "clock_status=4")
edit("vm_generation_counter=7", "seq_count=4")
lines.append(json.loads(watch.stdout.readline()))
edit("seq_count=5", "tai_offset_sec=-38")
edit("seq_count=6")
lines.append(json.loads(watch.stdout.readline()))
assert watch.wait() == 1, watch.returncode
patience.cancel()
changed = [line["changed"] for line in lines]
assert changed == [[], ["disruption_marker", "vm_generation_counter", "status"],
                   ["tai_offset_sec"]], changed
END
}

watch_text()
{
	make_page && ctl 0 watch --count=2 --interval=0.001 "$page" && quiet &&
		says '^2[0-9-]* [0-9:.]* TAI +/- .*synchronized  marker 0x8000000000000001  generation 0xffffffffffffffff$' &&
		[ "$(wc -l < "$dir/out")" = 2 ]
}

check_good()
{
	make_page && ctl 0 check "$page" && quiet && says "^$page: trustworthy$" &&
		ctl 0 check --json "$page" && json 'd == {"trustworthy": True, "reasons": [], "notes": []}'
}

# check_finds TEXT FIELDS...: that reason, and no other.
check_finds()
{
	text=$1
	shift
	make_page "$@" && ctl 1 check "$page" && says "^$page: $text" &&
		[ "$(grep -vc ': note: ' "$dir/out")" = 1 ] &&
		ctl 1 check --json "$page" &&
		json 'd["trustworthy"] is False and len(d["reasons"]) == 1'
}

check_finds_all()
{
	make_page clock_status=0 flags=0 counter_period_shift=128 counter_period_frac_sec=0 \
		time_type=3 counter=none && ctl 1 check "$page" && [ "$(wc -l < "$dir/out")" = 7 ]
}

check_notes()
{
	make_page clock_status=3 flags=0x7e leap_indicator=6 && ctl 0 check --json "$page" &&
		json 'd["trustworthy"] and len(d["notes"]) == 5'
}

stuck()
{
	make_page seq_count=3 && ctl 1 now "$page" && complains 'does not end' &&
		ctl 1 show "$page" && complains 'does not end'
}

malformed()
{
	make_page magic=1 && ctl 1 show "$page" &&
		complains "^vmclockctl: $page: not a VMClock page" &&
		make_page version=2 && ctl 1 now "$page" && complains 'version'
}

bad_usage()
{
	ctl 2 && ctl 2 shout && complains '^vmclockctl: shout: no such verb' &&
		ctl 2 now --count=3 "$page" && complains '^vmclockctl: count: this verb does not have' &&
		ctl 2 now --nonsense && ctl 2 show a b && complains '^vmclockctl: b: more than one' &&
		ctl 2 watch --interval=0 "$page" && ctl 2 watch --interval=1x "$page" &&
		ctl 2 watch --interval=nan "$page" && ctl 2 watch --count=0 "$page" &&
		ctl 2 watch --count=-1 "$page" && [ ! -s "$dir/out" ]
}

help_text()
{
	ctl 0 --help && says '2^53' && says 'Exit status' &&
		ctl 0 now --help && says 'Exit status' && ctl 0 exec --help && says 'Exit status' &&
		ctl 0 host -h && says 'Exit status' &&
		ctl 0 --version && says '^vmclockctl [0-9]*\.[0-9]*\.[0-9]*$'
}

# The program and the library it would preload, in a directory of that name.
exec_from()
{
	mkdir "$dir/$1" && cp "$BUILD/vmclockctl" "$dir/$1" && : > "$dir/$1/libvmclk-preload.so" ||
		return
	make_page
	"$dir/$1/vmclockctl" exec --page="$page" true > "$dir/out" 2> "$dir/err"
	[ $? = 2 ] && grep -q "can't be preloaded: a blank, a colon or a dollar" "$dir/err"
}

missing()
{
	ctl 2 show "$dir/none" && complains "^vmclockctl: $dir/none: No such file"
}

no_device()
{
	ctl 2 now && complains '^vmclockctl: /dev/vmclock: no such device.*hypervisor has no VMClock device' &&
		complains 'only virtual machines have one' &&
		ctl 2 check && complains '^vmclockctl: /dev/vmclock: no such device'
}

full_disk()
{
	make_page && "$BUILD/vmclockctl" show "$page" > /dev/full 2> "$dir/err"
	[ $? = 2 ] && complains '^vmclockctl: standard output: '
}

# Root without its capabilities is denied what its modes deny.
denied()
{
	make_page && chmod 0 "$page" || return 1
	if [ "$(id -u)" = 0 ]; then
		setpriv --bounding-set=-all --inh-caps=-all \
			"$BUILD/vmclockctl" now "$page" 2> "$dir/err"
	else
		"$BUILD/vmclockctl" now "$page" 2> "$dir/err"
	fi
	status=$?
	rm -f "$page"
	cat "$dir/err"
	[ "$status" = 2 ] && complains "^vmclockctl: $page: Permission denied: run as root"
}

# timed NAME COMMAND...: a test of a good page's time, which takes a counter that
# the kernel trusts.
timed()
{
	if [ -n "$trusted" ]; then
		test_that "$@"
	else
		tap_skip "$1" "the kernel does not trust this machine's counter"
	fi
}

trusted=
if make_page && "$BUILD/vmclockctl" check "$page" > /dev/null 2>&1 ||
	grep -qw -e tsc -e arch_sys_counter \
		/sys/devices/system/clocksource/clocksource0/available_clocksource; then
	trusted=yes
fi

test_that "show decodes every field" show_text
test_that "show --json keeps all 64 bits" show_json
test_that "show --json has paths in UTF-8" show_json_path "é\"\\" "-\\u00e9\"\\\\"
test_that "show --json has paths in no encoding" \
	show_json_path "$(printf 'a\377')" '-a\xff'
test_that "show says which fields the page is too short for" show_short
test_that "show survives values that mean nothing" show_invalid_values
timed "now --json has the time and all beside it" now_json
timed "now --json has the line's time at its counter, exactly" now_computes
timed "now shows UTC with the sign of the TAI offset right" now_text
timed "now tells the inserted second from the one it repeats" now_leap
timed "now gives no UTC where the page does not tell it" now_no_utc
timed "now shows a scale without calendar in seconds" now_monotonic
timed "now shows times before the epoch" now_before_the_epoch
test_that "now says of a page with markers only that the host must run a writer" \
	no_time "the page offers no time, only its markers" "vmclock-hostd" counter=none
test_that "now gives no time from a counter of no machine" \
	no_time "the page's counter is not one" "clocksources" counter_id=9
timed "watch --json gives one object a line" watch_json
timed "watch gives one readable line each time" watch_text
test_that "watch marks what changed and flushes each line" watch_changes
timed "check trusts a good page" check_good
timed "check adds notes that do not count" check_notes
test_that "check finds markers only" check_finds "the page offers no time" counter=none
test_that "check finds a page that is too short" check_finds "the page is too short" size=0x40
test_that "check finds another magic" check_finds "not a VMClock page" magic=5
test_that "check finds another version" \
	check_finds "a VMClock page of a version" version=2
test_that "check finds a stuck update" \
	check_finds "an update of the page does not end" seq_count=9
test_that "check finds every reason" check_finds_all
timed "check finds an unreliable clock" \
	check_finds "status: the clock is unreliable" clock_status=4
timed "check finds a clock not ready" check_finds "status: .* initializing" clock_status=1
timed "check finds an unknown status" check_finds "status: it is unknown" clock_status=99
timed "check finds that the bound is missing" \
	check_finds "bound: the worst-case error of the time" flags=0x11
timed "check finds that the bound's growth is missing" \
	check_finds "bound: the worst-case error of the period" flags=0x41
timed "check finds the TAI offset's wrong sign" \
	check_finds "TAI offset: it is positive" tai_offset_sec=37
timed "check finds a time out of range" \
	check_finds "the time or its bound is out of range" time_sec=0xffffffffffffffff
test_that "a stuck update is reported and is no success" stuck
test_that "a malformed page is reported and is no success" malformed
test_that "wrong usage is refused and nothing printed" bad_usage
test_that "help and version" help_text
test_that "a path that does not exist is reported" missing
test_that "a full disk is no success" full_disk
test_that "no permission says what to do" denied
for word in "a blank" a:colon "a\$ORIGIN"; do
	test_that "exec does not preload from a path with $word" exec_from "$word"
done
if [ -e /dev/vmclock ] || [ -e /dev/vmclock0 ]; then
	tap_skip "no device says what to do" "this machine has one"
else
	test_that "no device says what to do" no_device
fi
tap_done
