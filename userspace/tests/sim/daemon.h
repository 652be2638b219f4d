/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon with one page: its own clock.c, vm.c and all that they use, over a
 * simulated counter and a simulated source.
 */
#ifndef TESTS_SIM_DAEMON_H
#define TESTS_SIM_DAEMON_H

#include "clock.h"
#include "vm.h"

/**
 * struct daemon - the daemon
 * @clock: @options and @leaps are what it is started with
 * @vm: @options are
 * @page: what readers see
 */
struct daemon {
	struct clock clock;
	struct vm vm;
	const struct vmclock_page *page;
};

/* What the simulation has to give: what the kernel's clock says, and the source. */
void sim_kernel_read(struct source_reading *reading);
/* False: it is lost. */
bool sim_source_read(struct source_reading *reading);

/* An empty page, and nobody who serves it. There is one daemon in a simulation. */
void daemon_init(struct daemon *d);

/* Starts, on the page that is there. */
void daemon_start(struct daemon *d);

/* As SIGKILL does: nothing is said to anybody. */
void daemon_kill(struct daemon *d);

/* Asks the source. */
void daemon_ask(struct daemon *d);

/* Does what its answer asks for. */
void daemon_work(struct daemon *d);

/* The same line again, as often-publishing daemons do. */
void daemon_publish_again(struct daemon *d);

#endif /* TESTS_SIM_DAEMON_H */
