// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's end of the clock exchange, see clock-link.h: finds the offset of
 * the guest's counter from the host's.
 *
 *	clock-exchange FD [MILLISECONDS]
 *
 * FD is the inherited file descriptor of the guest's RAM. It takes two seconds, or
 * as long as is said. An exchange that
 * left at h1 and came back at h2 (host), with the guest's reading g in
 * between, proves that the offset is in [g - h2, g - h1], but for the grain of the
 * host's counter. All exchanges together prove the intersection. It is printed as
 *
 *	offset=N error=N
 *
 * in cycles: guest = host + offset modulo 2^64, +/- error. QEMU moves its counter
 * where one processor of the host is behind another one: then no offset fits all
 * exchanges, and those from before the jump are forgotten.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock-link.h"
#include "counter.h"

/*
 * For this long, so that it is quiet on both sides at least once; and at least
 * that often, however busy the machine.
 */
#define MILLISECONDS	2000
#define COUNT_MIN	100
/* A guest that does not answer by then never will: SIGALRM ends this. */
#define PATIENCE	60
/* With fewer processors than threads that spin, an answer needs a pause. */
#define SPINS		5000

struct interval {
	int64_t lo, hi;
};

static struct interval exchange(struct clock_link *link, uint64_t request)
{
	uint64_t h1, h2, guest;

	h1 = counter_ordered();
	atomic_store(&link->request, request);
	for (int spins = 1; atomic_load(&link->answer) != request; spins++)
		if (spins % SPINS == 0)
			sched_yield();
	h2 = counter_ordered();
	guest = atomic_load(&link->counter);
	return (struct interval){ guest - (h2 + COUNTER_GRAIN), guest - h1 };
}

/* Returns false if there is nothing in common. */
static bool intersect(struct interval *all, struct interval one)
{
	if (one.lo > all->lo)
		all->lo = one.lo;
	if (one.hi < all->hi)
		all->hi = one.hi;
	return all->lo <= all->hi;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct interval all, one;
	int64_t end, length = argc == 3 ? atoi(argv[2]) : MILLISECONDS;
	uint64_t first, done, width;
	struct clock_link *link;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: clock-exchange FD [MILLISECONDS]\n");
		return 2;
	}
	link = mmap(NULL, LINK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]),
		    LINK_OFFSET);
	if (link == MAP_FAILED) {
		perror("clock-exchange: the guest's RAM");
		return 1;
	}

	alarm(PATIENCE);
	/* The guest may take its time to start; then the clock runs. */
	done = atomic_load(&link->answer);
	all = exchange(link, ++done);
	first = done;
	end = now_ms() + length;
	while (done - first < COUNT_MIN || now_ms() <= end) {
		one = exchange(link, ++done);
		if (intersect(&all, one))
			continue;
		fprintf(stderr, "clock-exchange: a counter jumped: beginning again\n");
		all = one;
		first = done;
		end = now_ms() + length;
	}

	/* Without overflow; the half width is rounded up. */
	width = (uint64_t)all.hi - (uint64_t)all.lo;
	printf("offset=%" PRId64 " error=%" PRIu64 "\n", all.lo + (int64_t)(width / 2),
	       (width + 1) / 2);
	return 0;
}
