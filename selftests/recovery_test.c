// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a restore: what is told of another generation alone, and of restores that
 * come one after the other.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"
#include "restore.h"

/* The simulator's page has no generation of its own. That there is one is an event. */
static bool add_generation(int fd, struct sim_feed *feed)
{
	struct vmclock_wait wait;

	feed->image.flags |= htole64(VMCLOCK_PAGE_FLAG_GENERATION_PRESENT);
	return !set("on_restore", "off") && publish(feed) &&
	       !t_wait(fd, VMCLOCK_EVENT_GENERATION, PATIENCE, &wait) && publish(feed) &&
	       !t_wait(fd, VMCLOCK_EVENT_RECALIBRATED, PATIENCE, &wait);
}

/* A clone: the marker is what it was, and so is the line. */
static bool clone(struct sim_feed *feed)
{
	feed->image.vm_generation_counter =
		htole64(le64toh(feed->image.vm_generation_counter) + 1);
	return publish(feed);
}

#define URGENT (VMCLOCK_EVENT_DISRUPTED | VMCLOCK_EVENT_GENERATION)

TEST_F(restore, of_another_generation_alone_sets_the_clock)
{
	struct pollfd p = { .fd = self->fd, .events = POLLPRI };

	ASSERT_TRUE(add_generation(self->fd, &self->feed));
	ASSERT_EQ(0, set("on_restore", "step"));
	ASSERT_TRUE(clone(&self->feed));
	EXPECT_EQ(1, poll(&p, 1, PATIENCE / 1000000));
	EXPECT_EQ(POLLPRI, p.revents);
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_GENERATION, PATIENCE));
	EXPECT_EQ(VMCLOCK_EVENT_GENERATION, self->wait.events & URGENT);
	EXPECT_FALSE(comes(self, VMCLOCK_EVENT_RECALIBRATED, A_WHILE));
	EXPECT_FALSE(was_set(self->timer));

	ASSERT_TRUE(go_ahead(&self->feed, 1000));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_EQ(1000, stepped(self));
	EXPECT_TRUE(is_right(self->fd));
}

TEST_F(restore, of_another_generation_alone_is_told_without_setting_a_clock)
{
	ASSERT_TRUE(add_generation(self->fd, &self->feed));
	ASSERT_TRUE(clone(&self->feed));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_GENERATION, PATIENCE));
	EXPECT_EQ(0, self->wait.events & VMCLOCK_EVENT_RECALIBRATED);
	ASSERT_TRUE(go_ahead(&self->feed, 1000));
	ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
	EXPECT_FALSE(was_set(self->timer));
}

/* What the kernel's log says of steps, from where @kmsg is: how often, by how much. */
static void add_up_steps(int kmsg, const char *node, int *lines, int64_t *sum_ns)
{
	char record[1024], text[80];
	long long by;
	ssize_t n;

	snprintf(text, sizeof(text), "vmclock: %s: CLOCK_REALTIME stepped by ",
		 node + strlen("/dev/"));
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		const char *at;

		record[n] = '\0';
		at = strstr(record, text);
		if (!at || sscanf(at + strlen(text), "%lld", &by) != 1)
			continue;
		*lines += 1;
		*sum_ns += by;
	}
}

/*
 * One line at once, one a second later for all that came meanwhile, and so on. None
 * is left out in what they say together.
 */
TEST_F(restore, again_and_again_is_told_once_a_second)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int sock = t_uevent_socket(), rounds = 6, lines = 0;
	int64_t begin = t_clock_ns(CLOCK_MONOTONIC), sum_ns = 0;
	int64_t took_s, step_s = 100, all_s = 0;

	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	for (int i = 0; i < rounds; i++) {
		ASSERT_TRUE(disrupt(&self->feed));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_DISRUPTED, PATIENCE));
		ASSERT_TRUE(go_ahead(&self->feed, step_s));
		ASSERT_TRUE(comes(self, VMCLOCK_EVENT_RECALIBRATED, PATIENCE));
		all_s += step_s;
		step_s *= 2;
	}
	took_s = (t_clock_ns(CLOCK_MONOTONIC) - begin) / NSEC;
	while (t_uevent_comes(sock, self->node, "VMCLOCK_EVENT=recalibrated", 2500))
		;
	add_up_steps(kmsg, self->node, &lines, &sum_ns);
	EXPECT_LE(1, lines);
	EXPECT_GE(took_s + 2, lines);
	EXPECT_EQ(all_s, (sum_ns + NSEC / 2) / NSEC);
	EXPECT_EQ(all_s, stepped(self));
	close(sock);
	close(kmsg);
}

TEST_HARNESS_MAIN
