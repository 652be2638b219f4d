// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"
#include "machine.h"

/* After machine.first_fd. */
#define END_FD		0
#define SERVER_FDS	1
#define FDS		(SERVER_FDS + VHOST_SERVER_FDS)

static void lend_page(void *context, int fd, uint64_t offset, const struct dirty *dirty)
{
	vm_lend_page(context, fd, offset, dirty);
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
	rtc_clocks_init(&m->rtc, &m->vm, &clocks);
	err = vhost_server_open(&m->server, o->vhost_socket, o->vhost_fd, &clocks, &user);
	m->has_server = !err;
	return err;
}

int machine_open(struct machine *m, struct clock *clock)
{
	int err = vm_start(&m->vm, clock);

	if (err)
		return err;
	err = open_server(m);
	if (err)
		vm_stop(&m->vm);
	return err;
}

int machine_prepare(struct machine *m, struct poll_set *set)
{
	int pidfd = m->vm.has_page && m->state == MACHINE_RUNNING ? m->vm.target.pidfd : -1;
	size_t count = m->has_server ? FDS : SERVER_FDS;
	int err = poll_set_room(set, count, &m->first_fd);

	if (err)
		return err;
	set->fds[m->first_fd + END_FD] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	if (m->has_server)
		set->has_work |= vhost_server_prepare(&m->server,
						      set->fds + m->first_fd + SERVER_FDS);
	return 0;
}

static void end(struct machine *m)
{
	machine_close(m);
	m->state = MACHINE_ENDED;
}

void machine_work(struct machine *m, const struct poll_set *set)
{
	const struct pollfd *fds = set->fds + m->first_fd;

	if (m->state == MACHINE_RUNNING && fds[END_FD].revents) {
		log_line("the machine has ended");
		end(m);
	}
	if (!m->has_server)
		return;
	vhost_server_work(&m->server, fds + SERVER_FDS);
	if (vhost_server_is_over(&m->server))
		end(m);
}

void machine_fail(struct machine *m)
{
	vm_stop(&m->vm);
	if (m->has_server)
		log_line("no page is fed any more; the device goes on with the kernel's clock");
	else
		m->state = MACHINE_FAILED;
}

static void check(struct machine *m, int err)
{
	if (err)
		machine_fail(m);
}

void machine_tick(struct machine *m)
{
	if (m->state == MACHINE_RUNNING)
		check(m, vm_tick(&m->vm));
}

void machine_publish(struct machine *m)
{
	if (m->state == MACHINE_RUNNING && m->vm.options.publishes)
		check(m, vm_publish(&m->vm));
}

void machine_close(struct machine *m)
{
	/* In this order: the guest's page is given back first. */
	if (m->has_server)
		vhost_server_close(&m->server);
	m->has_server = false;
	vm_stop(&m->vm);
}
