// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which message does what, what a well-formed one has, and how it is answered.
 */
#include <errno.h>
#include <string.h>

#include "vhost-inflight.h"
#include "vhost-queue.h"
#include "vhost-setup.h"
#include "vhost-state.h"

static int reply_u64(struct vhost_reply *r, uint64_t value)
{
	r->size = sizeof(r->u64);
	r->u64 = value;
	return 0;
}

static int get_features(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)v;
	(void)m;
	return reply_u64(r, VHOST_FEATURES);
}

/* What a ring was started with is changed by starting it again. */
#define RING_FEATURES	(VHOST_F_EVENT_IDX | VHOST_F_INDIRECT)

/* Comes at run time too, to switch logging. */
static int set_features(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	uint64_t changed = v->features ^ m->u64;

	(void)r;
	if (m->u64 & ~VHOST_FEATURES)
		return -EINVAL;
	if (changed & RING_FEATURES)
		queues_pause(v);
	v->features = m->u64;
	rtc_set_features(&v->rtc, v->features & 1ULL << RTC_F_ALARM);
	/* Without a log nothing is recorded until one comes: no error. */
	dirty_vm_enable(&v->memory.log, v->features & VHOST_F_LOG_ALL);
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		if (!(v->features & VHOST_F_PROTOCOL))
			v->queues[i].is_enabled = true;
	if (changed & RING_FEATURES)
		queues_resume(v);
	return 0;
}

static int get_protocol(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)v;
	(void)m;
	return reply_u64(r, VHOST_PROTOCOL_FEATURES);
}

static int set_protocol(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)r;
	if (m->u64 & ~VHOST_PROTOCOL_FEATURES)
		return -EINVAL;
	v->protocol = m->u64;
	return 0;
}

static int get_queue_num(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)v;
	(void)m;
	return reply_u64(r, VHOST_QUEUES);
}

static int get_max_slots(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)v;
	(void)m;
	return reply_u64(r, VHOST_SLOTS);
}

static int accept_it(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)v;
	(void)m;
	(void)r;
	return 0;
}

static int reset_device(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)m;
	(void)r;
	queues_stop(v);
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		v->queues[i].is_enabled = false;
	state_drop(v);
	rtc_reset(&v->rtc);
	rtc_set_features(&v->rtc, v->features & 1ULL << RTC_F_ALARM);
	v->status = 0;
	return 0;
}

/*
 * 0 is written when the driver resets the device, but also when a machine is
 * only paused: the queues stop, and alarms are kept, as a device may across a
 * reset. RESET_DEVICE is the one that clears them.
 */
static int set_status(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)r;
	if (m->u64 > UINT8_MAX)
		return -EINVAL;
	v->status = m->u64;
	if (!v->status)
		queues_stop(v);
	return 0;
}

static int get_status(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)m;
	return reply_u64(r, v->status);
}

static int get_inflight(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_inflight_area area;
	int fd;

	(void)v;
	memcpy(&area, m->payload, sizeof(area));
	fd = inflight_new(&area);
	if (fd < 0)
		return fd;
	memcpy(r->payload, &area, sizeof(area));
	r->size = m->size;
	r->fd = fd;
	return 0;
}

static int set_inflight(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	struct vhost_inflight_area area;

	(void)r;
	memcpy(&area, m->payload, sizeof(area));
	return inflight_set(v, &area, m->fds[0]);
}

#define STATE_SAVE	0
#define STATE_LOAD	1
#define STATE_NO_FD	0x100	/* we have no better descriptor than yours */

static int set_state_fd(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	uint32_t words[2];	/* direction, phase: 0 is "stopped" */
	int fd, err = 0;

	memcpy(words, m->payload, sizeof(words));
	if (words[0] > STATE_LOAD || words[1])
		return -EINVAL;
	if (queues_run(v))
		return -EBUSY;
	fd = vhost_message_take_fd(m, 0);
	if (words[0] == STATE_LOAD)
		state_load(v, fd);
	else
		err = state_save(v, fd);
	return err ? err : reply_u64(r, STATE_NO_FD);
}

static int check_state(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	(void)m;
	return reply_u64(r, state_check(v) ? 1 : 0);
}

/*
 * What a message has to have: a size between two, a number of descriptors
 * between two. "answers": it has a reply of its own.
 */
static const struct rule {
	uint32_t request;
	uint16_t size_min, size_max;
	uint8_t fds_min, fds_max;
	bool answers;
	int (*run)(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
} rules[] = {
	{ VHOST_GET_FEATURES, 0, 0, 0, 0, true, get_features },
	{ VHOST_SET_FEATURES, 8, 8, 0, 0, false, set_features },
	{ VHOST_SET_OWNER, 0, 0, 0, 0, false, accept_it },
	{ VHOST_RESET_OWNER, 0, 0, 0, 0, false, accept_it },
	{ VHOST_SET_MEM_TABLE, 8, 8 + 32 * VHOST_FDS_MAX, 0, VHOST_FDS_MAX, false,
	  setup_mem_table },
	{ VHOST_SET_LOG_BASE, 16, 16, 1, 1, true, setup_log },
	{ VHOST_SET_VRING_NUM, 8, 8, 0, 0, false, setup_num },
	{ VHOST_SET_VRING_ADDR, 40, 40, 0, 0, false, setup_addr },
	{ VHOST_SET_VRING_BASE, 8, 8, 0, 0, false, setup_base },
	{ VHOST_GET_VRING_BASE, 8, 8, 0, 0, true, setup_get_base },
	{ VHOST_SET_VRING_KICK, 8, 8, 0, 1, false, setup_kick },
	{ VHOST_SET_VRING_CALL, 8, 8, 0, 1, false, setup_call },
	{ VHOST_SET_VRING_ERR, 8, 8, 0, 1, false, setup_error },
	{ VHOST_GET_PROTOCOL_FEATURES, 0, 0, 0, 0, true, get_protocol },
	{ VHOST_SET_PROTOCOL_FEATURES, 8, 8, 0, 0, false, set_protocol },
	{ VHOST_GET_QUEUE_NUM, 0, 0, 0, 0, true, get_queue_num },
	{ VHOST_SET_VRING_ENABLE, 8, 8, 0, 0, false, setup_enable },
	{ VHOST_GET_INFLIGHT_FD, VHOST_INFLIGHT_AREA_MIN, sizeof(struct vhost_inflight_area),
	  0, 0, true, get_inflight },
	{ VHOST_SET_INFLIGHT_FD, VHOST_INFLIGHT_AREA_MIN, sizeof(struct vhost_inflight_area),
	  1, 1, false, set_inflight },
	{ VHOST_RESET_DEVICE, 0, 0, 0, 0, false, reset_device },
	{ VHOST_GET_MAX_MEM_SLOTS, 0, 0, 0, 0, true, get_max_slots },
	{ VHOST_ADD_MEM_REG, 40, 40, 1, 1, false, setup_add_memory },
	{ VHOST_REM_MEM_REG, 40, 40, 0, 1, false, setup_remove_memory },
	{ VHOST_SET_STATUS, 8, 8, 0, 0, false, set_status },
	{ VHOST_GET_STATUS, 0, 0, 0, 0, true, get_status },
	{ VHOST_SET_DEVICE_STATE_FD, 8, 8, 1, 1, true, set_state_fd },
	{ VHOST_CHECK_DEVICE_STATE, 0, 0, 0, 0, true, check_state },
};

static const struct rule *find_rule(uint32_t request)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].request == request)
			return &rules[i];
	return NULL;
}

static bool is_well_formed(const struct vhost_message *m, const struct rule *rule)
{
	return !m->is_long && m->size >= rule->size_min && m->size <= rule->size_max &&
	       m->fd_count >= rule->fds_min && m->fd_count <= rule->fds_max;
}

/* An error where something else is expected: 8 bytes, of which some are set. */
static void fail(const struct vhost_message *m, struct vhost_reply *r)
{
	reply_u64(r, m->request == VHOST_SET_DEVICE_STATE_FD ? STATE_NO_FD | 1 : 1);
}

/* Without LOG_SHMFD nobody waits for one, and would take it for that of the next. */
static bool has_answer(const struct vhost *v, const struct rule *rule)
{
	return rule && rule->answers &&
	       (rule->request != VHOST_SET_LOG_BASE || v->protocol & VHOST_P_LOG_SHMFD);
}

bool vhost_handle(struct vhost *v, struct vhost_message *m, struct vhost_reply *r)
{
	bool acknowledges = m->needs_reply && v->protocol & VHOST_P_REPLY_ACK;
	const struct rule *rule = find_rule(m->request);
	int err = -EINVAL;

	memset(r, 0, sizeof(*r));
	r->fd = -1;
	if (rule && is_well_formed(m, rule))
		err = rule->run(v, m, r);
	if (has_answer(v, rule)) {
		if (err)
			fail(m, r);
		return true;
	}
	if (acknowledges)
		reply_u64(r, err ? 1 : 0);
	return acknowledges;
}
