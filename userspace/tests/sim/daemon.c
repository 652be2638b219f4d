// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE	/* memfd_create() */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vmclock-page.h>

#include "log.h"
#include "daemon.h"
#include "wraps.h"

static int page_fd;

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "sim: %s\n", what);
	exit(2);
}

/* The page's file needs no name. */
int __wrap_target_file_open(struct target *target, const char *path, bool replace)
{
	(void)replace;
	*target = (struct target){ .fd = dup(page_fd), .pidfd = -1 };
	return target_attach(target, path);
}

int __wrap_source_kernel_read(struct source_kernel *kernel, struct source_reading *reading)
{
	(void)kernel;
	sim_kernel_read(reading);
	return 0;
}

/* A year has a lot to say. */
void __wrap_log_line(const char *format, ...)
{
	(void)format;
}

static int read_source(struct source *source, struct source_reading *reading)
{
	return sim_source_read(reading) ? 0 : source_lost(source, "lost");
}

void daemon_init(struct daemon *d)
{
	void *page;

	page_fd = memfd_create("page", MFD_CLOEXEC);
	need(page_fd >= 0 && !ftruncate(page_fd, TARGET_SIZE), "no page");
	page = mmap(NULL, TARGET_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
	need(page != MAP_FAILED && !vmclk_writer_format(page, TARGET_SIZE), "no page");
	d->page = page;
}

void daemon_start(struct daemon *d)
{
	d->clock = (struct clock){
		.options = d->clock.options, .leaps = d->clock.leaps,
		.source.read = read_source, .is_open = true,
		.rate.drift_ppb = d->clock.options.drift_ppb, .outcome = -EAGAIN,
	};
	d->vm = (struct vm){ .options = d->vm.options };
	d->vm.options.file = "the simulated page";
	need(!vm_start(&d->vm, &d->clock), "it does not start");
}

void daemon_kill(struct daemon *d)
{
	target_close(&d->vm.target);
}

void daemon_ask(struct daemon *d)
{
	clock_tick(&d->clock);
}

void daemon_work(struct daemon *d)
{
	need(!vm_tick(&d->vm), "it gives up");
}

void daemon_publish_again(struct daemon *d)
{
	if (d->vm.cal.has_line && d->vm.state != VM_EXPIRED)
		publish_rebased(&d->vm.pub, &d->vm.cal.line, &d->vm.scale);
}
