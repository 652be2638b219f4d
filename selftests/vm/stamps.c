// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's witness: reads the clock all the time, by the driver and the library,
 * and writes down what it was told, see stamp-ring.h. A second thread answers the
 * clock exchange, so that the host can tell whether that was true.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vmclk.h>

#include "clock-link.h"
#include "counter.h"
#include "stamp-ring.h"

#define INTERVAL_NS	5000000L
#define IDLE_NS		1000000L
/* After an answer the next question comes at once, or the exchange is over. */
#define SPINS		200000

static void *map(int fd, size_t size, off_t at)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	if (memory == MAP_FAILED) {
		perror("stamps: /dev/mem");
		_exit(1);
	}
	return memory;
}

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static void *answer(void *argument)
{
	struct clock_link *link = argument;
	/* What stands there from before we were restored is answered as well. */
	uint64_t last = atomic_load(&link->answer), request;

	for (unsigned int spins = SPINS;; spins++) {
		request = atomic_load(&link->request);
		if (request == last) {
			cpu_relax();
			if (spins >= SPINS)
				pause_ns(IDLE_NS);
			continue;
		}
		atomic_store(&link->counter, counter_ordered());
		atomic_store(&link->answer, request);
		last = request;
		spins = 0;
	}
	return NULL;
}

static int64_t ns(const struct vmclk_time *t)
{
	return t->sec * INT64_C(1000000000) + t->nsec;
}

static void fill(struct stamp_record *r, const struct vmclk_snapshot *s,
		 const struct vmclk_stamp *t)
{
	*r = (struct stamp_record){
		.counter = t->counter,
		.marker = s->disruption_marker, .generation = s->vm_generation_counter,
		.flags = s->flags, .counter_value = s->counter_value,
		.period = s->counter_period_frac_sec,
		.period_maxerror = s->counter_period_maxerror_rate_frac_sec,
		.time_sec = s->time_sec, .time_frac = s->time_frac_sec,
		.time_maxerror = s->time_maxerror_nanosec,
		.earliest_ns = ns(&t->earliest), .latest_ns = ns(&t->latest),
		.seq = s->seq_count, .reason = t->reason, .tai_offset = s->tai_offset_sec,
		.status = s->clock_status, .time_type = s->time_type,
		.shift = s->counter_period_shift, .counter_id = s->counter_id,
		.has_time = !!(t->valid & VMCLK_STAMP_TIME), .counter_valid = s->counter_valid,
	};
}

static int stamp(struct vmclk *clk, struct stamp_ring *ring)
{
	uint64_t number = atomic_load(&ring->count);
	struct stamp_record *r = ring->records + number % RING_RECORDS;
	struct vmclk_snapshot snapshot = { .size = 0 };
	struct vmclk_stamp t = { .reason = 0 };
	int err = vmclk_snapshot(clk, &snapshot);

	if (!err)
		err = vmclk_now_from(clk, &snapshot, &t);
	/* A page without a time is what this is about; any other error is not. */
	if (err && err != -VMCLK_ENOTIME) {
		fprintf(stderr, "stamps: %s\n", vmclk_strerror(err));
		return 1;
	}
	fill(r, &snapshot, &t);
	r->number = number;
	atomic_store(&ring->count, number + 1);
	return 0;
}

int main(void)
{
	int err = 0, fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	struct clock_link *link = map(fd, LINK_SIZE, LINK_ADDRESS);
	struct stamp_ring *ring = map(fd, RING_SIZE, RING_ADDRESS);
	struct vmclk *clk;
	pthread_t thread;

	if (vmclk_open("/dev/vmclock", &clk) ||
	    pthread_create(&thread, NULL, answer, link)) {
		fprintf(stderr, "stamps: no clock or no thread\n");
		return 1;
	}
	while (!err && !atomic_load(&ring->go)) {
		err = stamp(clk, ring);
		pause_ns(INTERVAL_NS);
	}
	return err;
}
