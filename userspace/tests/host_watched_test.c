// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest writes its TSC or TSC_ADJUST, and KVM's files say so: the page follows, or has
 * no time if the operator says otherwise. The QEMU is this process: it has a memfd of the
 * right name and, but for those that are told to do without, a monitor's socket. KVM's
 * files are a tree of the test's.
 */
#define _GNU_SOURCE	/* accept4(), memfd_create() */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <jansson.h>

#include "host_fake_vm.h"
#include "monitor.h"
#include "vmclk-stamp.h"

#define CPUS	2
#define BEFORE	(-31415926535)
#define AFTER	(1LL << 40)

static struct {
	struct fed *fed;
	struct monitor monitor;
	char dir[40], root[64], socket[64];
	int listener, server, page_fd;
	unsigned int may_answer;
	void *page;
} t;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void set_offset(int cpu, long long offset)
{
	char path[160], text[32];

	snprintf(path, sizeof(path), "%s/%d-9", t.root, (int)getpid());
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%d-9/vcpu%d", t.root, (int)getpid(), cpu);
	mkdir(path, 0755);
	strcat(path, "/tsc-offset");
	snprintf(text, sizeof(text), "%lld\n", offset);
	put(path, text);
}

static void set_offsets(long long offset)
{
	for (int cpu = 0; cpu < CPUS; cpu++)
		set_offset(cpu, offset);
}

/* KVM does not know this process any more. */
static void forget_machine(void)
{
	char from[160], to[160];

	snprintf(from, sizeof(from), "%s/%d-9", t.root, (int)getpid());
	snprintf(to, sizeof(to), "%s/1-9", t.root);
	is_int(rename(from, to), 0);
}

static void make_qemu(void)
{
	const struct vmclock_page empty = {
		.magic = htole32(VMCLOCK_PAGE_MAGIC), .size = htole32(TARGET_SIZE),
		.version = htole16(1), .counter_id = VMCLOCK_PAGE_COUNTER_NONE,
		.seq_count = htole32(2), .disruption_marker = htole64(1),
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	t.page_fd = memfd_create("vmclock_page", MFD_CLOEXEC);
	is_int(ftruncate(t.page_fd, TARGET_SIZE), 0);
	t.page = mmap(NULL, TARGET_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t.page_fd, 0);
	memcpy(t.page, &empty, sizeof(empty));
	strcpy(t.dir, "/tmp/vmclock-watched-XXXXXX");
	ok(mkdtemp(t.dir));
	snprintf(t.root, sizeof(t.root), "%s/kvm", t.dir);
	mkdir(t.root, 0755);
	snprintf(t.socket, sizeof(t.socket), "%s/monitor", t.dir);
	strcpy(addr.sun_path, t.socket);
	t.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ok(!bind(t.listener, (struct sockaddr *)&addr, sizeof(addr)) && !listen(t.listener, 1));
	t.server = -1;
}

static void say(const char *text)
{
	ok(write(t.server, text, strlen(text)) == (ssize_t)strlen(text));
}

static void answer(const char *line)
{
	json_t *command = json_loads(line, 0, NULL);
	const char *name = json_string_value(json_object_get(command, "execute"));
	json_int_t id = json_integer_value(json_object_get(command, "id"));
	char text[96];

	if (!ok(name))
		exit(1);
	snprintf(text, sizeof(text), "{\"return\": %s, \"id\": %lld}\r\n",
		 !strcmp(name, "query-kvm") ? "{\"enabled\": true}" :
		 !strcmp(name, "query-status") ? "{\"status\": \"running\"}" : "{}",
		 (long long)id);
	say(text);
	json_decref(command);
}

/* What came since the last time: a command each line. */
static void serve(void)
{
	char line[256];
	size_t len = 0;

	if (t.server < 0) {
		t.server = accept4(t.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (t.server >= 0)
			say("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
		return;
	}
	while (t.may_answer && len < sizeof(line) && read(t.server, line + len, 1) == 1) {
		if (line[len++] != '\n')
			continue;
		line[len - 1] = '\0';
		answer(line);
		len = 0;
		t.may_answer--;
	}
}

/* The monitor's second is over: it asks, and looks at KVM's files. */
static void look(void)
{
	t.monitor.next = 0;
	for (int i = 0; i < 10; i++) {
		struct pollfd p = {
			.fd = t.monitor.qmp.fd, .events = qmp_events(&t.monitor.qmp),
		};

		poll(&p, 1, 0);
		is_int(monitor_work(&t.monitor, p.fd < 0 ? 0 : p.revents), 0);
		if (t.monitor.path)
			serve();
	}
}

/* As long as a line takes to be made, and then some. */
static void tick(void)
{
	for (int i = 0; i < 400; i++) {
		int err = clock_tick(&t.fed->clock);

		ok(!err || err == -EAGAIN);
		is_int(monitor_tick(&t.monitor), 0);
		usleep(1000);
		if (i > 40 && (!t.fed->vm.has_page || t.fed->vm.cal.has_line))
			break;
	}
}

/* With the page and KVM's files as they are. */
static void start_daemon(bool has_monitor, const long long *offset)
{
	t.may_answer = UINT_MAX;
	t.fed = fed_new(NULL, offset);
	if (has_monitor)
		t.fed->vm.options.qmp_path = t.socket;
	else
		t.fed->vm.options.qemu_pid = getpid();
	if (offset)
		t.fed->vm.options.guest.offset = *offset;
	is_int(clock_start(&t.fed->clock), 0);
	memset(&t.monitor, 0, sizeof(t.monitor));
	t.monitor.kvm_root = t.root;
	is_int(monitor_open(&t.monitor, &t.fed->vm, &t.fed->clock), 0);
	look();
	tick();
}

/* @offset: as the operator tells it, or NULL */
static void begin_with(bool has_monitor, const long long *offset)
{
	fake_reset();
	make_qemu();
	set_offsets(BEFORE);
	start_daemon(has_monitor, offset);
}

static void begin(const long long *offset)
{
	begin_with(true, offset);
}

static void end(void)
{
	char command[80];

	monitor_close(&t.monitor);
	fed_stop(t.fed);
	free(t.fed);
	if (t.server >= 0)
		close(t.server);
	close(t.listener);
	munmap(t.page, TARGET_SIZE);
	close(t.page_fd);
	snprintf(command, sizeof(command), "rm -r '%s'", t.dir);
	is_int(system(command), 0);
}

static struct vmclk_snapshot page(void)
{
	return page_fields(t.page);
}

/* The page is good, and right for a counter that is so far ahead of the host's. */
static bool is_fed_for(long long offset)
{
	struct vmclk_snapshot p = page();
	uint64_t host = counter_read_ordered();
	int64_t real = kernel.real_ns + host - kernel.since + 37000000000, off;
	struct vmclk_stamp stamp;

	if (p.clock_status != VMCLOCK_PAGE_STATUS_SYNCHRONIZED ||
	    vmclk_stamp_at(&p, host + offset, &stamp))
		return false;
	off = stamp.point.sec * 1000000000 + stamp.point.nsec - real;
	return llabs(off) <= (int64_t)p.time_maxerror_nanosec + 100000;
}

static bool is_quiet(void)
{
	return page().clock_status == VMCLOCK_PAGE_STATUS_INITIALIZING &&
	       !page().counter_period_frac_sec;
}

TAP_TEST(a_counter_that_stays_costs_nothing)
{
	uint64_t marker;

	begin(NULL);
	ok(is_fed_for(BEFORE));
	marker = page().disruption_marker;
	for (int i = 0; i < 3; i++) {
		look();
		ok(is_fed_for(BEFORE) && page().disruption_marker == marker);
	}
	end();
}

TAP_TEST(a_counter_that_the_guest_has_moved_is_a_new_marker_and_another_line)
{
	uint64_t marker;

	begin(NULL);
	marker = page().disruption_marker;
	set_offsets(AFTER);
	look();
	ok(is_quiet() && page().disruption_marker != marker);
	tick();
	ok(is_fed_for(AFTER) && !is_fed_for(BEFORE));
	ok(page().disruption_marker != marker);
	end();
}

TAP_TEST(a_counter_that_is_moved_on_one_cpu_is_silence_until_they_agree)
{
	uint64_t marker;

	begin(NULL);
	marker = page().disruption_marker;
	set_offset(CPUS - 1, AFTER);
	look();
	ok(is_quiet() && page().disruption_marker != marker);
	tick();
	look();
	ok(is_quiet());
	/* There and back again: who read it meanwhile has to know. */
	set_offset(CPUS - 1, BEFORE);
	look();
	tick();
	ok(is_fed_for(BEFORE) && page().disruption_marker != marker);
	end();
}

static void hear_reset(void)
{
	say("{\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
}

/*
 * What QEMU is asked before it tells of a reset it may answer after that, and what it
 * is asked after that only when it has rewritten the counter.
 */
TAP_TEST(after_a_reset_no_line_is_made_for_the_counter_from_before)
{
	uint64_t marker;

	begin(NULL);
	marker = page().disruption_marker;
	t.may_answer = 0;
	look();
	hear_reset();
	for (int i = 0; i < 3; i++) {
		look();
		tick();
		ok(is_quiet() && page().disruption_marker != marker);
	}
	t.may_answer = 2;	/* both questions from before */
	look();
	tick();
	ok(is_quiet() && page().disruption_marker != marker);
	set_offsets(AFTER);
	t.may_answer = UINT_MAX;
	look();
	tick();
	ok(is_fed_for(AFTER) && page().disruption_marker != marker);
	end();
}

/* So it is where KVM takes the rewriting for virtual CPUs being synchronised. */
TAP_TEST(after_a_reset_that_leaves_the_counter_alone_it_is_fed_again)
{
	uint64_t marker;

	begin(NULL);
	marker = page().disruption_marker;
	hear_reset();
	look();
	tick();
	ok(is_fed_for(BEFORE) && page().disruption_marker != marker);
	end();
}

/* Also while QEMU has more to answer than it can be asked. */
TAP_TEST(a_reset_after_a_reset_begins_anew)
{
	begin(NULL);
	t.may_answer = 0;
	for (int i = 0; i < 6; i++) {
		hear_reset();
		look();
	}
	t.may_answer = 4;
	look();
	tick();
	ok(is_quiet());
	set_offsets(AFTER);
	t.may_answer = UINT_MAX;
	look();
	look();
	tick();
	ok(is_fed_for(AFTER));
	end();
}

TAP_TEST(a_counter_that_can_not_be_read_any_more_is_silence)
{
	char path[160];

	begin(NULL);
	snprintf(path, sizeof(path), "%s/%d-9/vcpu0/tsc-offset", t.root, (int)getpid());
	put(path, "rubbish\n");
	look();
	ok(is_quiet());
	tick();
	ok(is_quiet());
	end();
}

/* Two witnesses, and nobody here knows which of them is right: LIFE.md says why. */
static void check_told(bool has_monitor)
{
	const long long told = BEFORE;
	uint64_t marker;

	begin_with(has_monitor, &told);
	ok(is_fed_for(BEFORE));
	marker = page().disruption_marker;
	look();
	ok(is_fed_for(BEFORE) && page().disruption_marker == marker);
	set_offsets(AFTER);
	look();
	ok(is_quiet() && page().disruption_marker != marker);
	tick();
	look();
	tick();
	ok(is_quiet());
	set_offsets(BEFORE);
	look();
	tick();
	ok(is_fed_for(BEFORE) && page().disruption_marker != marker);
	end();
}

TAP_TEST(a_counter_that_was_told_has_no_time_while_kvm_denies_it)
{
	check_told(true);
}

TAP_TEST(so_it_is_without_a_monitor)
{
	check_told(false);
}

static void check_told_falsely(bool has_monitor)
{
	const struct guest_counter right = { .ratio = 1, .frac_bits = 0, .offset = BEFORE };
	const struct guest_counter wrong = { .ratio = 1, .frac_bits = 0, .offset = AFTER };
	const long long told = AFTER;

	begin_with(has_monitor, &told);
	ok(is_quiet());
	is_int(monitor_set_counter(&t.monitor, &wrong, 1000), -EDOM);
	tick();
	ok(is_quiet());
	is_int(monitor_set_counter(&t.monitor, &right, 0), 0);
	tick();
	ok(is_fed_for(BEFORE));
	end();
}

TAP_TEST(a_counter_that_is_told_falsely_is_never_used)
{
	check_told_falsely(true);
	check_told_falsely(false);
}

TAP_TEST(a_counter_that_is_told_as_well_as_it_is_known_is_used)
{
	const struct guest_counter near = { .ratio = 1, .frac_bits = 0, .offset = BEFORE - 500 };
	const long long told = AFTER;

	begin_with(false, &told);
	is_int(monitor_set_counter(&t.monitor, &near, 499), -EDOM);
	is_int(monitor_set_counter(&t.monitor, &near, 500), 0);
	tick();
	look();
	ok(is_fed_for(BEFORE));
	end();
}

TAP_TEST(a_counter_that_was_denied_is_not_used_when_kvm_can_not_be_asked_any_more)
{
	const long long told = BEFORE;

	for (int has_monitor = 0; has_monitor < 2; has_monitor++) {
		begin_with(has_monitor, &told);
		set_offsets(AFTER);
		look();
		ok(is_quiet());
		forget_machine();
		look();
		tick();
		ok(is_quiet());
		end();
	}
}

TAP_TEST(a_disruption_that_is_told_of_is_not_over_when_kvm_agrees)
{
	const struct guest_counter same = { .ratio = 1, .frac_bits = 0, .offset = BEFORE };
	const long long told = BEFORE;

	begin_with(false, &told);
	set_offsets(AFTER);
	look();
	is_int(monitor_disrupt(&t.monitor), 0);
	set_offsets(BEFORE);
	look();
	tick();
	ok(is_quiet());
	is_int(monitor_set_counter(&t.monitor, &same, 0), 0);
	tick();
	ok(is_fed_for(BEFORE));
	end();
}

/* A file for programs of the host. */
TAP_TEST(the_hosts_own_counter_is_the_same_after_a_prepared_silence)
{
	const long long none = 0;
	uint64_t marker;
	char path[80];
	int fd;

	fake_reset();
	make_qemu();
	snprintf(path, sizeof(path), "%s/page", t.dir);
	t.fed = fed_new(path, false);
	t.fed->vm.options.guest.offset = none;
	is_int(clock_start(&t.fed->clock), 0);
	memset(&t.monitor, 0, sizeof(t.monitor));
	t.monitor.kvm_root = t.root;
	is_int(monitor_open(&t.monitor, &t.fed->vm, &t.fed->clock), 0);
	munmap(t.page, TARGET_SIZE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	t.page = mmap(NULL, TARGET_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	tick();
	ok(is_fed_for(none));
	marker = page().disruption_marker;
	for (int i = 0; i < 2; i++) {
		is_int(monitor_prepare(&t.monitor), 0);
		ok(is_quiet());
		is_int(monitor_resume(&t.monitor), 0);
		tick();
		ok(is_fed_for(none) && page().disruption_marker == marker);
		ok(!t.fed->vm.has_guest);
	}
	is_int(monitor_disrupt(&t.monitor), 0);
	tick();
	ok(is_fed_for(none) && page().disruption_marker != marker);
	end();
}

/* Emulation, or debugfs is not there or not for us. */
TAP_TEST(a_counter_that_was_told_is_used_where_kvm_can_not_be_asked)
{
	const long long told = AFTER;

	for (int has_monitor = 0; has_monitor < 2; has_monitor++) {
		fake_reset();
		make_qemu();
		set_offset(0, BEFORE);
		forget_machine();
		start_daemon(has_monitor, &told);
		look();
		ok(is_fed_for(AFTER));
		end();
	}
}

TAP_TEST(without_a_monitor_and_an_offset_the_page_follows_kvm)
{
	uint64_t marker;

	begin_with(false, NULL);
	ok(is_fed_for(BEFORE));
	marker = page().disruption_marker;
	look();
	ok(is_fed_for(BEFORE) && page().disruption_marker == marker);
	set_offset(CPUS - 1, AFTER);
	look();
	tick();
	ok(is_quiet() && page().disruption_marker != marker);
	set_offsets(AFTER);
	look();
	tick();
	ok(is_fed_for(AFTER));
	end();
}

/* As root mounts debugfs late. */
TAP_TEST(without_both_the_page_waits_for_kvm_to_tell)
{
	fake_reset();
	make_qemu();
	start_daemon(false, NULL);
	ok(is_quiet());
	set_offsets(BEFORE);
	look();
	tick();
	ok(is_fed_for(BEFORE));
	end();
}

/* QEMU has loaded a snapshot, and writes the counter in a moment. */
TAP_TEST(without_a_monitor_qemu_is_given_time_after_it_wrote_the_page)
{
	uint64_t marker;

	begin_with(false, NULL);
	marker = page().disruption_marker;
	is_int(monitor_overwritten(&t.monitor), 0);
	ok(is_quiet() && page().disruption_marker != marker);
	is_int(monitor_work(&t.monitor, 0), 0);
	tick();
	ok(is_quiet());
	set_offsets(AFTER);
	kernel.monotonic_ns += MONITOR_INTERVAL_NS;
	is_int(monitor_work(&t.monitor, 0), 0);
	tick();
	ok(is_fed_for(AFTER));
	end();
}

TAP_TEST(a_daemon_that_is_started_again_goes_on_under_the_marker)
{
	uint64_t marker;

	begin_with(false, NULL);
	marker = page().disruption_marker;
	fed_stop(t.fed);
	free(t.fed);
	start_daemon(false, NULL);
	ok(is_fed_for(BEFORE) && page().disruption_marker == marker);
	end();
}

int main(void)
{
	return tap_main();
}
