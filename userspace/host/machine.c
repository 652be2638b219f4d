// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "machine.h"

/* After machine.first_fd. */
#define END_FD		0
#define MONITOR_FD	1
#define SERVER_FDS	2
#define FDS		(SERVER_FDS + VHOST_SERVER_FDS)

static bool lend_page(void *context, int fd, uint64_t offset, const struct dirty *dirty)
{
	return vm_lend_page(context, fd, offset, dirty);
}

static void take_page(void *context)
{
	vm_return_page(context);
}

static int open_server(struct machine *m)
{
	const struct vm_options *o = &m->vm.options;
	const struct vhost_page_user user = { lend_page, take_page, &m->vm };
	struct rtc_clocks clocks;
	int err;

	if (!o->vhost_socket && o->vhost_fd < 0)
		return 0;
	m->server = calloc(1, sizeof(*m->server));
	if (!m->server)
		return log_error("the clock device", -ENOMEM);
	rtc_clocks_init(&m->rtc, &m->vm, &clocks);
	err = vhost_server_open(m->server, o->vhost_socket, o->vhost_fd, &clocks, &user);
	if (!err)
		return 0;
	free(m->server);
	m->server = NULL;
	return err;
}

int machine_open(struct machine *m, struct clock *clock)
{
	int err = monitor_open(&m->monitor, &m->vm, clock);

	m->first_fd = MACHINE_NO_FDS;
	m->doorbell_fd = MACHINE_NO_FDS;
	if (err)
		return err;
	err = open_server(m);
	if (err)
		vm_stop(&m->vm);
	return err;
}

static struct ivshmem_server *doorbell(struct machine *m)
{
	return m->vm.has_page ? m->vm.target.server : NULL;
}

static int prepare_doorbell(struct machine *m, struct poll_set *set)
{
	int err;

	m->doorbell_fd = MACHINE_NO_FDS;
	if (!doorbell(m))
		return 0;
	err = poll_set_room(set, IVSHMEM_SERVER_FDS, &m->doorbell_fd);
	if (!err)
		ivshmem_server_prepare(doorbell(m), set->fds + m->doorbell_fd);
	return err;
}

int machine_prepare(struct machine *m, struct poll_set *set)
{
	int pidfd = m->vm.has_page ? m->vm.target.pidfd : -1;
	int err = prepare_doorbell(m, set);

	m->first_fd = MACHINE_NO_FDS;
	if (err)
		return err;
	if (m->state != MACHINE_RUNNING || (pidfd < 0 && !m->monitor.path && !m->server))
		return 0;
	err = poll_set_room(set, m->server ? FDS : SERVER_FDS, &m->first_fd);
	if (err)
		return err;
	set->fds[m->first_fd + END_FD] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	set->fds[m->first_fd + MONITOR_FD] = (struct pollfd){
		.fd = m->monitor.qmp.fd, .events = qmp_events(&m->monitor.qmp),
	};
	if (m->server)
		set->has_work |= vhost_server_prepare(m->server,
						      set->fds + m->first_fd + SERVER_FDS);
	return 0;
}

static void end(struct machine *m)
{
	machine_close(m);
	m->state = MACHINE_ENDED;
}

void machine_fail(struct machine *m)
{
	if (m->state != MACHINE_RUNNING)
		return;
	monitor_close(&m->monitor);
	vm_stop(&m->vm);
	if (m->server)
		log_line("no page is fed any more; the device goes on with the kernel's clock");
	else
		m->state = MACHINE_FAILED;
}

static void check(struct machine *m, int err)
{
	/* It most likely was QEMU, which restored the machine. */
	if (err == -ESTALE && (m->monitor.path || (m->takes_over && m->vm.options.qemu_pid)))
		err = monitor_overwritten(&m->monitor);
	if (err)
		machine_fail(m);
}

/*
 * The first client is the machine whose counter is known. Another one is another
 * machine, or the same started again: with another counter.
 */
static void work_on_doorbell(struct machine *m, const struct pollfd *fds)
{
	uint64_t known = m->arrivals;

	ivshmem_server_work(doorbell(m), fds);
	m->arrivals = doorbell(m)->arrivals;
	if (m->arrivals == known || m->arrivals == 1)
		return;
	log_line("the guest's counter is not known any more: another client has come");
	check(m, monitor_disrupt(&m->monitor));
}

void machine_work(struct machine *m, const struct poll_set *set)
{
	const struct pollfd *fds;

	if (m->doorbell_fd != MACHINE_NO_FDS && doorbell(m))
		work_on_doorbell(m, set->fds + m->doorbell_fd);
	if (m->first_fd == MACHINE_NO_FDS)
		return;
	fds = set->fds + m->first_fd;
	if (fds[END_FD].revents) {
		log_line("the machine has ended");
		end(m);
	}
	if (m->state == MACHINE_RUNNING)
		check(m, monitor_work(&m->monitor, fds[MONITOR_FD].revents));
	if (!m->server)
		return;
	vhost_server_work(m->server, fds + SERVER_FDS);
	if (vhost_server_is_over(m->server))
		end(m);
}

void machine_tick(struct machine *m)
{
	if (m->state == MACHINE_RUNNING)
		check(m, monitor_tick(&m->monitor));
	if (m->server)
		vhost_server_tick(m->server);
}

void machine_publish(struct machine *m)
{
	if (m->state == MACHINE_RUNNING && m->vm.options.publishes)
		check(m, vm_publish(&m->vm));
}

void machine_stop(struct machine *m)
{
	machine_close(m);
	m->state = MACHINE_STOPPED;
}

void machine_close(struct machine *m)
{
	/* In this order: the guest's page is given back first. */
	if (m->server) {
		vhost_server_close(m->server);
		free(m->server);
		m->server = NULL;
	}
	monitor_close(&m->monitor);
	vm_stop(&m->vm);
}
