// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches: which change is which event, and that none is lost or told twice.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "pages.h"
#include "tap.h"
#include "watch.h"

#define NEVER_NS	VMCLK_WATCH_INTERVAL_MAX_NS
#define PATIENCE_MS	60000
#define GONE		VMCLK_EVENT_GONE
#define UPDATE		VMCLK_EVENT_UPDATE

/* A watched page. */
static struct test_page page;
static struct vmclk *clk;
static struct vmclk_watch *watch;

/* What a watch says; an error shows as a number that no events make. */
static unsigned int events_of(struct vmclk_watch *w)
{
	unsigned int events = 0;
	int err = vmclk_watch_read(w, &events);

	if (err)
		note("error: %s", vmclk_strerror(err));
	return err ? ~0U : events;
}

static bool is_readable(int timeout_ms)
{
	struct pollfd fd = { .fd = vmclk_watch_fd(watch), .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1 && fd.revents == POLLIN;
}

static void watch_page(unsigned int mask)
{
	struct vmclock_page content = good_page();

	page = page_make(&content, PAGE_BYTES, F_SEAL_SHRINK);
	if (!ok(!vmclk_open(page.path, &clk)) || !ok(!vmclk_watch_open(clk, mask, &watch)))
		_exit(1);
}

static void drop_all(void)
{
	vmclk_watch_close(watch);
	vmclk_close(clk);
	page_drop(&page);
}

#define SET(field, value) __atomic_store_n(&page.page->field, value, __ATOMIC_SEQ_CST)

static void add_to_seq(uint32_t n)
{
	SET(seq_count, htole32(le32toh(page.page->seq_count) + n));
}

/* The update that puts @value into @field. */
#define CHANGE(field, value) \
	do { \
		add_to_seq(1); \
		SET(field, value); \
		add_to_seq(1); \
	} while (0)

TAP_TEST(a_mask_that_means_nothing_is_refused)
{
	struct vmclk_watch *none = NULL;

	watch_page(VMCLK_EVENT_ALL);
	is_int(vmclk_watch_open(clk, 0, &none), -EINVAL);
	is_int(vmclk_watch_open(clk, VMCLK_EVENT_ALL + 1, &none), -EINVAL);
	ok(!none);
	is_int(vmclk_watch_set_interval(watch, VMCLK_WATCH_INTERVAL_MIN_NS - 1), -EINVAL);
	is_int(vmclk_watch_set_interval(watch, VMCLK_WATCH_INTERVAL_MAX_NS + 1), -EINVAL);
	is_int(vmclk_watch_set_interval(watch, VMCLK_WATCH_INTERVAL_MIN_NS), 0);
	drop_all();
}

/* The events of an update that changes a field, and of one that changes nothing. */
#define EXPECT(field, value, expected) \
	do { \
		watch_page(VMCLK_EVENT_ALL); \
		is_u64(events_of(watch), 0); \
		CHANGE(field, value); \
		is_u64(events_of(watch), UPDATE | (expected)); \
		is_u64(events_of(watch), 0); \
		add_to_seq(2); \
		is_u64(events_of(watch), UPDATE); \
		drop_all(); \
	} while (0)

TAP_TEST(an_update_of_the_line_is_a_recalibration)
{
	EXPECT(counter_value, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(counter_period_frac_sec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(counter_period_shift, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(counter_period_esterror_rate_frac_sec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(counter_period_maxerror_rate_frac_sec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(time_sec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(time_frac_sec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(time_esterror_nanosec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(time_maxerror_nanosec, 5, VMCLK_EVENT_RECALIBRATED);
	EXPECT(counter_id, VMCLOCK_PAGE_COUNTER_NONE, VMCLK_EVENT_RECALIBRATED);
	EXPECT(time_type, VMCLOCK_PAGE_TIME_UTC, VMCLK_EVENT_RECALIBRATED);
}

TAP_TEST(a_bound_that_comes_or_goes_is_a_recalibration)
{
	for (unsigned int bit = 3; bit <= 6; bit++)
		EXPECT(flags, htole64(PAGE_FLAGS ^ 1ULL << bit), VMCLK_EVENT_RECALIBRATED);
}

TAP_TEST(each_other_change_is_its_own_event)
{
	EXPECT(disruption_marker, 5, VMCLK_EVENT_DISRUPTED);
	EXPECT(vm_generation_counter, 5, VMCLK_EVENT_CLONED);
	EXPECT(clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE, VMCLK_EVENT_STATUS);
	EXPECT(leap_indicator, VMCLOCK_PAGE_LEAP_PRE_POS, VMCLK_EVENT_LEAP);
	EXPECT(tai_offset_sec, htole16((uint16_t)-38), VMCLK_EVENT_LEAP);
	EXPECT(flags, htole64(PAGE_FLAGS ^ VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID), VMCLK_EVENT_LEAP);
	EXPECT(flags, htole64(PAGE_FLAGS | VMCLOCK_PAGE_FLAG_DISRUPTION_SOON),
	       VMCLK_EVENT_MAINTENANCE);
	EXPECT(flags, htole64(PAGE_FLAGS | VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT),
	       VMCLK_EVENT_MAINTENANCE);
	EXPECT(flags, htole64(PAGE_FLAGS | 1ULL << 40), 0);
	EXPECT(smear_hint, VMCLOCK_PAGE_SMEAR_UTC_SLS, 0);
}

TAP_TEST(only_what_was_asked_for_is_told)
{
	watch_page(VMCLK_EVENT_DISRUPTED | VMCLK_EVENT_LEAP);
	CHANGE(clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	is_u64(events_of(watch), 0);
	CHANGE(disruption_marker, 5);
	is_u64(events_of(watch), VMCLK_EVENT_DISRUPTED);
	drop_all();
}

TAP_TEST(an_update_in_progress_is_no_event_until_it_has_ended)
{
	watch_page(VMCLK_EVENT_ALL);
	add_to_seq(1);
	SET(disruption_marker, 5);
	is_u64(events_of(watch), 0);
	is_u64(events_of(watch), 0);
	add_to_seq(1);
	is_u64(events_of(watch), UPDATE | VMCLK_EVENT_DISRUPTED);
	drop_all();
}

TAP_TEST(events_between_two_looks_add_up)
{
	watch_page(VMCLK_EVENT_ALL);
	CHANGE(disruption_marker, 5);
	CHANGE(clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	CHANGE(vm_generation_counter, 5);
	is_u64(events_of(watch), UPDATE | VMCLK_EVENT_DISRUPTED | VMCLK_EVENT_STATUS |
				 VMCLK_EVENT_CLONED);
	drop_all();
}

TAP_TEST(what_changed_and_changed_back_is_an_update)
{
	watch_page(VMCLK_EVENT_ALL);
	CHANGE(clock_status, VMCLOCK_PAGE_STATUS_UNRELIABLE);
	CHANGE(clock_status, VMCLOCK_PAGE_STATUS_SYNCHRONIZED);
	is_u64(events_of(watch), UPDATE);
	drop_all();
}

TAP_TEST(a_clone_is_seen_even_if_the_counter_was_away_in_between)
{
	watch_page(VMCLK_EVENT_CLONED);
	CHANGE(flags, htole64(PAGE_FLAGS ^ VMCLOCK_PAGE_FLAG_GENERATION_PRESENT));
	is_u64(events_of(watch), 0);
	CHANGE(vm_generation_counter, 5);
	is_u64(events_of(watch), 0);
	CHANGE(flags, htole64(PAGE_FLAGS));
	is_u64(events_of(watch), VMCLK_EVENT_CLONED);
	drop_all();
}

TAP_TEST(two_watches_of_one_handle_each_see_an_event)
{
	struct vmclk_watch *other;

	watch_page(VMCLK_EVENT_DISRUPTED);
	need(!vmclk_watch_open(clk, VMCLK_EVENT_DISRUPTED, &other));
	CHANGE(disruption_marker, 5);
	is_u64(events_of(watch), VMCLK_EVENT_DISRUPTED);
	is_u64(events_of(other), VMCLK_EVENT_DISRUPTED);
	vmclk_watch_close(other);
	drop_all();
}

TAP_TEST(the_descriptor_becomes_readable_again_and_again)
{
	watch_page(UPDATE);
	for (unsigned int i = 0; i < 3; i++) {
		CHANGE(disruption_marker, i);
		ok(is_readable(PATIENCE_MS));
		is_u64(events_of(watch), UPDATE);
	}
	drop_all();
}

TAP_TEST(the_interval_is_the_one_that_was_set)
{
	watch_page(UPDATE);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	events_of(watch);
	CHANGE(disruption_marker, 5);
	ok(!is_readable(50));
	is_int(vmclk_watch_set_interval(watch, 1000000), 0);
	ok(is_readable(PATIENCE_MS));
	drop_all();
}

/* An eventfd is as a device that notifies: readable, and a wake-up each time. */
TAP_TEST(a_notification_makes_the_descriptor_readable_once)
{
	int notifier = eventfd(0, EFD_NONBLOCK);

	watch_page(UPDATE);
	is_int(vmclk__watch_notifier(watch, notifier), 0);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	events_of(watch);
	ok(!is_readable(0));
	for (unsigned int i = 0; i < 3; i++) {
		CHANGE(disruption_marker, i);
		eventfd_write(notifier, 1);
		ok(is_readable(0));
		is_u64(events_of(watch), UPDATE);
		/* It stays readable itself, as with a number that stays odd. */
		ok(!is_readable(0));
	}
	drop_all();
}

static uint64_t timer_ns(void)
{
	struct itimerspec timer = { 0 };

	timerfd_gettime(watch->timer_fd, &timer);
	return timer.it_interval.tv_sec * 1000000000ULL + timer.it_interval.tv_nsec;
}

TAP_TEST(a_device_that_notifies_is_looked_at_once_a_second)
{
	watch_page(UPDATE);
	is_u64(timer_ns(), VMCLK_WATCH_INTERVAL_DEFAULT_NS);
	is_int(vmclk__watch_notifier(watch, eventfd(0, 0)), 0);
	is_u64(timer_ns(), 1000000000);
	drop_all();
}

/* The reading end of a pipe hangs up when the writing one is closed. */
TAP_TEST(a_device_that_stops_notifying_is_looked_at_instead)
{
	int ends[2];

	watch_page(UPDATE);
	need(!pipe(ends));
	is_int(vmclk__watch_notifier(watch, ends[0]), 0);
	is_int(watch->device_fd, ends[0]);
	close(ends[1]);
	is_u64(events_of(watch), 0);
	is_int(watch->device_fd, -1);
	is_int(fcntl(ends[0], F_GETFD), -1);
	is_u64(timer_ns(), VMCLK_WATCH_INTERVAL_DEFAULT_NS);
	drop_all();
}

TAP_TEST(a_device_that_cannot_notify_is_looked_at)
{
	int ends[2];

	watch_page(UPDATE);
	need(!pipe(ends));
	close(ends[1]);
	is_int(vmclk__watch_notifier(watch, ends[0]), 0);
	is_int(watch->device_fd, -1);
	is_int(fcntl(ends[0], F_GETFD), -1);
	/* A file without poll can't be in an epoll set. */
	is_int(vmclk__watch_notifier(watch, dup(page.fd)), 0);
	is_int(watch->device_fd, -1);
	is_u64(timer_ns(), VMCLK_WATCH_INTERVAL_DEFAULT_NS);
	drop_all();
}

TAP_TEST(the_end_of_a_page_is_told_once_and_unasked)
{
	struct vmclk_watch *late = NULL;
	unsigned int events;

	watch_page(VMCLK_EVENT_LEAP);
	add_to_seq(1);
	SET(magic, htole32(VMCLOCK_PAGE_MAGIC_GONE));
	add_to_seq(1);
	is_int(vmclk_watch_open(clk, UPDATE, &late), -VMCLK_EGONE);
	ok(!late);
	is_u64(events_of(watch), GONE);
	is_u64(events_of(watch), 0);
	is_int(vmclk_wait(watch, UINT64_MAX, &events), -VMCLK_EGONE);
	is_u64(timer_ns(), 1000000000);
	drop_all();
}

TAP_TEST(waiting_tells_of_the_end_before_it_refuses)
{
	unsigned int events = 0;

	watch_page(VMCLK_EVENT_LEAP);
	SET(magic, htole32(VMCLOCK_PAGE_MAGIC_GONE));
	is_int(vmclk_wait(watch, UINT64_MAX, &events), 0);
	is_u64(events, GONE);
	drop_all();
}

/* A file with a page in it, and a watch of its path. */
static char directory[] = "/tmp/vmclk-watch-XXXXXX";

static void write_file(const char *path)
{
	const struct vmclock_page content = good_page();
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	ok(fd >= 0 && write(fd, &content, sizeof(content)) == sizeof(content) &&
	   !ftruncate(fd, PAGE_BYTES));
	close(fd);
}

static bool watch_file(const char *path, unsigned int mask)
{
	write_file(path);
	return ok(!vmclk_open(path, &clk)) && ok(!vmclk_watch_open(clk, mask, &watch));
}

/*
 * Replacement is told by inotify: the page is as good as never looked at. The
 * other file comes from elsewhere, so that its arrival is all that is told.
 */
static void replace(const char *path, const char *other)
{
	need(watch_file(path, VMCLK_EVENT_ALL));
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	is_u64(events_of(watch), 0);
	write_file(other);
	events_of(watch);
	ok(!is_readable(0));

	ok(!rename(other, path));
	ok(is_readable(0));
	is_u64(events_of(watch), VMCLK_EVENT_REPLACED);
	is_u64(events_of(watch), 0);

	ok(!unlink(path));
	ok(is_readable(0));
	is_u64(events_of(watch), VMCLK_EVENT_REPLACED);

	write_file(path);
	ok(is_readable(0));
	is_u64(events_of(watch), VMCLK_EVENT_REPLACED);
	vmclk_watch_close(watch);
	vmclk_close(clk);
	unlink(path);
}

TAP_TEST(replacing_the_file_is_told_each_time)
{
	char path[64], other[64];

	snprintf(path, sizeof(path), "%s/page", directory);
	snprintf(other, sizeof(other), "%s.other", directory);
	replace(path, other);
	need(!chdir(directory));
	replace("page", other);
	need(!chdir("/"));
}

TAP_TEST(a_replacement_before_the_watch_began_is_told)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/page", directory);
	write_file(path);
	need(!vmclk_open(path, &clk));
	unlink(path);
	write_file(path);
	need(!vmclk_watch_open(clk, VMCLK_EVENT_REPLACED, &watch));
	is_u64(events_of(watch), VMCLK_EVENT_REPLACED);
	vmclk_watch_close(watch);
	vmclk_close(clk);
	unlink(path);
}

static char awaited[64], successor[80];

static void *succeed(void *unused)
{
	poll(NULL, 0, 50);
	rename(successor, awaited);
	return unused;
}

/* A thread asleep on the sequence word, which stays as it is. */
TAP_TEST(a_replacement_ends_a_wait_long_before_the_next_look)
{
	unsigned int events = 0;
	pthread_t thread;

	snprintf(awaited, sizeof(awaited), "%s/page", directory);
	snprintf(successor, sizeof(successor), "%s.other", awaited);
	need(watch_file(awaited, VMCLK_EVENT_REPLACED));
	write_file(successor);
	is_int(vmclk_watch_set_interval(watch, NEVER_NS), 0);
	is_u64(events_of(watch), 0);
	need(!pthread_create(&thread, NULL, succeed, NULL));
	is_int(vmclk_wait(watch, PATIENCE_MS * 1000000ULL, &events), 0);
	is_u64(events, VMCLK_EVENT_REPLACED);
	pthread_join(thread, NULL);
	vmclk_watch_close(watch);
	vmclk_close(clk);
	unlink(awaited);
}

/* Where nothing was opened by a name, no name can lead elsewhere. */
TAP_TEST(a_page_without_a_path_is_not_replaced)
{
	struct vmclock_page content = good_page();
	unsigned int events = 0;

	page = page_make(&content, PAGE_BYTES, F_SEAL_SHRINK);
	need(!vmclk_open_fd(page.fd, &clk));
	need(!vmclk_watch_open(clk, VMCLK_EVENT_ALL, &watch));
	is_u64(events_of(watch), 0);
	CHANGE(magic, htole32(VMCLOCK_PAGE_MAGIC_GONE));
	is_int(vmclk_wait(watch, UINT64_MAX, &events), 0);
	is_u64(events, GONE);
	is_int(vmclk_wait(watch, 0, &events), -VMCLK_EGONE);
	drop_all();
}

TAP_TEST(a_file_that_is_no_page_for_a_while_is_an_error_for_as_long)
{
	unsigned int events = 77;
	char path[64];

	snprintf(path, sizeof(path), "%s/page", directory);
	need(watch_file(path, VMCLK_EVENT_ALL));
	ok(!truncate(path, 20));
	is_int(vmclk_watch_read(watch, &events), -VMCLK_EMALFORMED);
	is_u64(events, 0);
	write_file(path);
	is_u64(events_of(watch), 0);
	vmclk_watch_close(watch);
	vmclk_close(clk);
	unlink(path);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Each descriptor in turn is the one that there is no room for. */
TAP_TEST(a_lack_of_descriptors_is_an_error_and_leaves_none_behind)
{
	struct vmclk_watch *another = NULL;
	struct rlimit saved, limit;
	unsigned int refused = 0;
	int err = -EMFILE;

	watch_page(VMCLK_EVENT_ALL);
	getrlimit(RLIMIT_NOFILE, &saved);
	limit = saved;
	for (limit.rlim_cur = vmclk_watch_fd(watch); err == -EMFILE; limit.rlim_cur++) {
		unsigned int before = count_fds(), after;

		setrlimit(RLIMIT_NOFILE, &limit);
		err = vmclk_watch_open(clk, VMCLK_EVENT_ALL, &another);
		setrlimit(RLIMIT_NOFILE, &saved);
		after = count_fds();
		if (!err)
			break;
		refused++;
		is_u64(after, before);
	}
	need(!err);
	ok(refused >= 3 && another->inotify_fd >= 0);
	vmclk_watch_close(another);
	drop_all();
}

TAP_TEST(a_closed_watch_leaves_no_descriptor)
{
	unsigned int before = count_fds();
	int ends[2];

	watch_page(VMCLK_EVENT_ALL);
	need(!pipe(ends));
	is_int(vmclk__watch_notifier(watch, ends[0]), 0);
	drop_all();
	close(ends[1]);
	is_u64(count_fds(), before);
	vmclk_watch_close(NULL);
}

TAP_TEST(errno_is_left_alone)
{
	unsigned int events;

	watch_page(VMCLK_EVENT_ALL);
	/* Reading it from an offset fails. */
	is_int(vmclk__watch_notifier(watch, eventfd(1, 0)), 0);
	errno = 77;
	is_int(vmclk_watch_read(watch, &events), 0);
	is_int(errno, 77);
	is_int(vmclk_wait(watch, 1, &events), -ETIMEDOUT);
	vmclk_watch_set_interval(watch, 1000000);
	is_int(errno, 77);
	drop_all();
}

int main(void)
{
	int status;

	if (!mkdtemp(directory)) {
		perror("Bail out! mkdtemp");
		return 1;
	}
	status = tap_main();
	rmdir(directory);
	return status;
}
