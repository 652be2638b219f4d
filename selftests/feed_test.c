// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readers against a host writer at full speed.
 *
 * Between two calibrations the writer publishes one line, drawn through ever
 * new reference points. So T1 - P * C1 is the same, to rounding, for all pages
 * with the same P, and a copy that mixes two updates shows: no field can be
 * exchanged for another update's without breaking it.
 *
 * The unchecked copies are the proof that there was something to catch: a run
 * in which none of them was torn, or none would have been retried, goes on.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vmclk.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "vmclock_math.h"

#define READS_MIN	20000
#define CALLS_MIN	500
#define UPDATES_MIN	1000
#define CAUGHT_MIN	10
#define TIME_MAX_NS	(240LL * 1000000000)

struct tally {
	long reads;
	long updates;		/* distinct sequence numbers */
	long timeouts;		/* writer without a CPU: counts as a retry */
	long torn;
	long backwards;
};

/* All lines seen, by period; a run has one a second or so. */
struct lines {
	struct {
		uint64_t period;
		vmclock_u128 offset;
	} seen[4096];
	int n;
};

static struct lines lines;
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;

static vmclock_u128 line_offset(const struct vmclock_page *p)
{
	vmclock_u128 t1 = (vmclock_u128)le64toh(p->time_sec) << 64 | le64toh(p->time_frac_sec);
	vmclock_u128 product = (vmclock_u128)le64toh(p->counter_value) *
			       le64toh(p->counter_period_frac_sec);

	return t1 - (product >> p->counter_period_shift);
}

/* Both products were rounded down once. */
static bool nearly_equal(vmclock_u128 a, vmclock_u128 b)
{
	return a - b + 2 <= 4;
}

/*
 * Does the copy lie on the line that has its period? A checked copy makes a
 * period known; an unchecked one with an unknown period proves nothing.
 */
static bool on_line(const struct vmclock_page *p, bool checked)
{
	uint64_t period = le64toh(p->counter_period_frac_sec);
	vmclock_u128 offset = line_offset(p);
	bool ok = true;
	int i;

	pthread_mutex_lock(&lines_lock);
	for (i = lines.n; i--;)
		if (lines.seen[i].period == period)
			break;
	if (i >= 0) {
		ok = nearly_equal(offset, lines.seen[i].offset);
	} else if (checked && lines.n < 4096) {
		lines.seen[lines.n].period = period;
		lines.seen[lines.n++].offset = offset;
	}
	pthread_mutex_unlock(&lines_lock);
	return ok;
}

/* Two times as the channels give them; true if @now is before @last. */
static bool is_before(uint64_t now_sec, uint32_t now_nsec, const struct vmclk_time *last)
{
	return (int64_t)now_sec < last->sec ||
	       ((int64_t)now_sec == last->sec && now_nsec < last->nsec);
}

static void note_time(struct tally *t, struct vmclk_time *last, uint64_t sec, uint32_t nsec)
{
	if (is_before(sec, nsec, last))
		t->backwards++;
	last->sec = (int64_t)sec;
	last->nsec = nsec;
}

static void note_page(struct tally *t, uint32_t *last_seq, const struct vmclock_page *p)
{
	uint32_t seq = le32toh(p->seq_count);

	t->reads++;
	t->updates += seq != *last_seq;
	*last_seq = seq;
	t->torn += (seq & 1) || !on_line(p, true);
}

/* The library gives decoded fields; the invariant wants the page's. */
static void encode(const struct vmclk_snapshot *s, struct vmclock_page *p)
{
	memset(p, 0, sizeof(*p));
	p->seq_count = htole32(s->seq_count);
	p->counter_period_shift = s->counter_period_shift;
	p->counter_value = htole64(s->counter_value);
	p->counter_period_frac_sec = htole64(s->counter_period_frac_sec);
	p->time_sec = htole64(s->time_sec);
	p->time_frac_sec = htole64(s->time_frac_sec);
}

struct channels {
	int fd;
	struct vmclk *clk;
	uint32_t seq_mapped, seq_ioctl, seq_read;
	struct vmclk_time last;
	struct tally mapped, ioctl, read;
};

static void read_mapped(struct channels *c)
{
	struct vmclk_snapshot snap;
	struct vmclk_stamp stamp;
	struct vmclock_page page;

	if (vmclk_snapshot(c->clk, &snap)) {
		c->mapped.timeouts++;
		return;
	}
	encode(&snap, &page);
	note_page(&c->mapped, &c->seq_mapped, &page);
	if (!vmclk_stamp_at(&snap, snap.counter, &stamp))
		note_time(&c->mapped, &c->last, stamp.point.sec, stamp.point.nsec);
}

static void read_by_ioctl(struct channels *c)
{
	struct vmclock_snapshot snap = { .size = sizeof(snap) };

	if (ioctl(c->fd, VMCLOCK_IOC_SNAPSHOT, &snap)) {
		c->ioctl.timeouts++;
		return;
	}
	note_page(&c->ioctl, &c->seq_ioctl, &snap.page);
	if (snap.valid & VMCLOCK_SNAPSHOT_TIME)
		note_time(&c->ioctl, &c->last, snap.time_sec, snap.time_nsec);
}

static void read_by_read(struct channels *c)
{
	struct vmclock_page page;

	if (pread(c->fd, &page, sizeof(page), 0) != sizeof(page)) {
		c->read.timeouts++;
		return;
	}
	note_page(&c->read, &c->seq_read, &page);
}

/* Copies without the second check, and what the check would have said. */
struct unchecked {
	long copies;
	long retries;
	long torn;
	long missed;	/* torn, and the check would have passed it */
};

static void copy_unchecked(const volatile struct vmclock_page *p, struct unchecked *u)
{
	const volatile uint64_t *from = (const volatile void *)p;
	union {
		struct vmclock_page page;
		uint64_t words[sizeof(struct vmclock_page) / 8];
	} copy;
	uint32_t before = le32toh(p->seq_count), after;
	bool torn, retry;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (size_t i = 0; i < sizeof(copy) / 8; i++)
		copy.words[i] = from[i];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	after = le32toh(p->seq_count);

	torn = !on_line(&copy.page, false);
	retry = (before & 1) || before != after;
	u->copies++;
	u->retries += retry;
	u->torn += torn;
	u->missed += torn && !retry;
}

static void print_tally(const char *name, const struct tally *t)
{
	printf("# %-8s %ld reads, %ld distinct updates, %ld timeouts, %ld torn, %ld backwards\n",
	       name, t->reads, t->updates, t->timeouts, t->torn, t->backwards);
}

static bool seen_enough(const struct channels *c, const struct unchecked *u)
{
	return c->mapped.reads >= READS_MIN && c->ioctl.reads >= CALLS_MIN &&
	       c->read.reads >= CALLS_MIN && c->mapped.updates >= UPDATES_MIN &&
	       u->retries >= CAUGHT_MIN && u->torn >= 1;
}

static void open_channels(struct channels *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = open("/dev/vmclock", O_RDONLY);
	if (vmclk_open("/dev/vmclock", &c->clk))
		c->clk = NULL;
}

static void run_channels(struct channels *c, struct unchecked *u)
{
	const volatile struct vmclock_page *p =
		mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, c->fd, 0);
	int64_t start = t_clock_ns(CLOCK_MONOTONIC);

	while (!seen_enough(c, u) && t_clock_ns(CLOCK_MONOTONIC) - start < TIME_MAX_NS) {
		for (int i = 0; i < 10; i++) {
			read_mapped(c);
			copy_unchecked(p, u);
		}
		read_by_ioctl(c);
		read_by_read(c);
	}
	munmap((void *)p, getpagesize());
}

static void *second_reader(void *arg)
{
	struct unchecked *u = arg;
	struct channels c;

	open_channels(&c);
	run_channels(&c, u);
	u->missed += c.mapped.torn + c.ioctl.torn + c.read.torn +
		     c.mapped.backwards + c.ioctl.backwards;
	return NULL;
}

FIXTURE(feed) {
};

FIXTURE_SETUP(feed)
{
}

FIXTURE_TEARDOWN(feed)
{
}

/* A fixture only because plain tests have no time-out of their own. */
TEST_F_TIMEOUT(feed, no_read_is_torn_or_backwards, 2 * TIME_MAX_NS / 1000000000)
{
	struct unchecked u = { 0 }, u2 = { 0 };
	struct channels c;
	pthread_t thread;

	open_channels(&c);
	ASSERT_GE(c.fd, 0);
	ASSERT_NE(NULL, c.clk);
	ASSERT_EQ(0, pthread_create(&thread, NULL, second_reader, &u2));
	run_channels(&c, &u);
	pthread_join(thread, NULL);

	print_tally("mmap", &c.mapped);
	print_tally("ioctl", &c.ioctl);
	print_tally("read", &c.read);
	printf("# unchecked %ld copies, %ld would be retried, %ld torn; %d lines seen\n",
	       u.copies, u.retries, u.torn, lines.n);

	EXPECT_EQ(0, c.mapped.torn + c.ioctl.torn + c.read.torn);
	EXPECT_EQ(0, c.mapped.backwards + c.ioctl.backwards);
	EXPECT_EQ(0, u.missed);
	EXPECT_EQ(0, u2.missed);
	EXPECT_TRUE(seen_enough(&c, &u))
		TH_LOG("too little was seen for this to prove anything");
}

/* A page of its own that holds what the ioctl returned. */
static struct vmclk *open_copy(const struct vmclock_page *page)
{
	char path[64];
	struct vmclk *clk = NULL;
	int fd = memfd_create("copy", MFD_ALLOW_SEALING);

	if (ftruncate(fd, 0x1000) || write(fd, page, sizeof(*page)) != sizeof(*page) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	vmclk_open(path, &clk);
	close(fd);
	return clk;
}

/* The writer may leave no gap for a while: that is no failure of the reader. */
static int take_patiently(int fd, struct vmclock_snapshot *snap)
{
	int err, tries = 100;

	do {
		memset(snap, 0, sizeof(*snap));
		snap->size = sizeof(*snap);
		err = ioctl(fd, VMCLOCK_IOC_SNAPSHOT, snap);
	} while (err && errno == ETIMEDOUT && --tries);
	return err;
}

TEST(driver_and_library_agree_to_the_nanosecond)
{
	int fd = open("/dev/vmclock", O_RDONLY);

	ASSERT_GE(fd, 0);
	for (int i = 0; i < 300; i++) {
		struct vmclock_snapshot snap;
		struct vmclk_stamp stamp;
		struct vmclk *clk;

		ASSERT_EQ(0, take_patiently(fd, &snap));
		ASSERT_TRUE(snap.valid & VMCLOCK_SNAPSHOT_TIME);
		clk = open_copy(&snap.page);
		ASSERT_NE(NULL, clk);
		ASSERT_EQ(0, vmclk_convert(clk, snap.counter, &stamp));
		ASSERT_EQ((int64_t)snap.time_sec, stamp.point.sec);
		ASSERT_EQ(snap.time_nsec, stamp.point.nsec);
		vmclk_close(clk);
	}
	close(fd);
}

TEST_HARNESS_MAIN
