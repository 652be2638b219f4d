// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's end of the clock exchange, see clock-link.h.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "clock-link.h"
#include "counter.h"

static struct clock_link *map_link(void)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return MAP_FAILED;
	return mmap(NULL, LINK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, LINK_ADDRESS);
}

int main(void)
{
	struct clock_link *link = map_link();
	uint64_t last = 0, request;

	if (link == MAP_FAILED) {
		perror("clock-peer: /dev/mem");
		return 1;
	}

	while ((request = atomic_load(&link->request)) != LINK_GO) {
		if (request == last) {
			cpu_relax();
			continue;
		}
		atomic_store(&link->counter, counter_ordered());
		atomic_store(&link->answer, request);
		last = request;
	}
	return 0;
}
