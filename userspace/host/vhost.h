/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio-rtc device as a vhost-user back-end: what a front-end's messages do
 * to it. No socket in here: vhost-server.h has that.
 *
 * Nothing that a message or a guest says ends the device. A message that makes
 * no sense is refused and changes nothing; a queue that breaks the rules stops
 * until it is set up again; guest memory that is taken away stops all queues.
 *
 * Who may write guest memory when: a queue its used ring and buffers, from its
 * start until its stop (ring.h says what exactly); whoever feeds the clock page,
 * from @lend_page to @take_page, which are inside of that.
 *
 * One thread.
 */
#ifndef HOST_VHOST_H
#define HOST_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "rtc.h"
#include "vhost-memory.h"
#include "vhost-message.h"

/* Feature bits: the device's own, and those of the protocol. */
#define VHOST_F_INDIRECT	(1ULL << 28)
#define VHOST_F_EVENT_IDX	(1ULL << 29)
#define VHOST_F_LOG_ALL		(1ULL << 26)
#define VHOST_F_PROTOCOL	(1ULL << 30)
#define VHOST_F_VERSION_1	(1ULL << 32)
#define VHOST_FEATURES		(1ULL << RTC_F_ALARM | VHOST_F_INDIRECT | VHOST_F_EVENT_IDX | \
				 VHOST_F_LOG_ALL | VHOST_F_PROTOCOL | VHOST_F_VERSION_1)

#define VHOST_P_MQ		(1ULL << 0)
#define VHOST_P_LOG_SHMFD	(1ULL << 1)
#define VHOST_P_REPLY_ACK	(1ULL << 3)
#define VHOST_P_INFLIGHT	(1ULL << 12)
#define VHOST_P_RESET_DEVICE	(1ULL << 13)
#define VHOST_P_MEM_SLOTS	(1ULL << 15)
#define VHOST_P_STATUS		(1ULL << 16)
#define VHOST_P_DEVICE_STATE	(1ULL << 19)
#define VHOST_PROTOCOL_FEATURES	(VHOST_P_MQ | VHOST_P_LOG_SHMFD | VHOST_P_REPLY_ACK | \
				 VHOST_P_INFLIGHT | VHOST_P_RESET_DEVICE | \
				 VHOST_P_MEM_SLOTS | VHOST_P_STATUS | VHOST_P_DEVICE_STATE)

enum { VHOST_REQUESTQ, VHOST_ALARMQ, VHOST_QUEUES };

/**
 * struct vhost_inflight - the area that tells a successor what was in flight
 * @shm: the front-end's memory, or an empty handle
 * @queues: how many it has room for
 * @queue_bytes: from one to the next
 */
struct vhost_inflight {
	struct shm shm;
	unsigned int queues;
	size_t queue_bytes;
};

struct vhost;

/**
 * struct vhost_queue - a queue, as messages have set it up
 * @vhost: the device
 * @num: entries, or 0: not told
 * @base: next entry of the available ring, while it is stopped
 * @desc: the front-end's address of the descriptor table
 * @avail: of the available ring
 * @used: of the used ring
 * @has_addresses: those three were told
 * @is_logged: what is written to the used ring is dirty at @used_log
 * @used_log: where the used ring is in the log
 * @kick: the guest has something; or -1
 * @call: we have something; or -1
 * @error: the queue is broken; or -1
 * @is_enabled: it is to be worked on
 * @is_started: by the front-end; @ring runs if all it needs is there
 * @ring: the ring
 */
struct vhost_queue {
	struct vhost *vhost;
	uint32_t num;
	uint16_t base;
	uint64_t desc, avail, used;
	bool has_addresses;
	bool is_logged;
	struct dirty_region used_log;
	int kick, call, error;
	bool is_enabled;
	bool is_started;
	struct ring ring;
};

/**
 * struct vhost_page_user - who feeds the guest's clock page
 * @lend: it may be written from now on. @fd, where it is at @offset, is good for
 *	this call; what is written is to be marked in @dirty, which is cloned. False:
 *	not now, but offer it again
 * @take: it must not be written any more when this returns
 * @context: passed to both
 */
struct vhost_page_user {
	bool (*lend)(void *context, int fd, uint64_t offset, const struct dirty *dirty);
	void (*take)(void *context);
	void *context;
};

/**
 * struct vhost - the device
 * @rtc: what it does
 * @page_user: who feeds the clock page
 * @is_page_lent: between its two calls
 * @features: acknowledged
 * @protocol: protocol features acknowledged
 * @status: the virtio device status that was set
 * @memory: the guest's
 * @queues: requestq and alarmq
 * @inflight: what is in flight, which is nothing
 * @timer: for alarms; -1 without
 * @load: where a saved state comes from, or -1
 * @load_have: bytes of it that came
 * @load_bytes: them, and one more that must not come
 * @load_error: what became of it
 * @has_more: vhost_work() has to be called again without being woken up
 */
struct vhost {
	struct rtc rtc;
	struct vhost_page_user page_user;
	bool is_page_lent;
	uint64_t features;
	uint64_t protocol;
	uint8_t status;
	struct vhost_memory memory;
	struct vhost_queue queues[VHOST_QUEUES];
	struct vhost_inflight inflight;
	int timer;
	int load;
	size_t load_have;
	uint8_t load_bytes[RTC_STATE_SIZE + 1];
	int load_error;
	bool has_more;
};

/**
 * vhost_init() - a device that no front-end has talked to
 * @vhost: initialised here; not to be moved
 * @clocks: its clocks
 * @page_user: copied
 *
 * Return: 0, or a negative errno value; the reason has been logged.
 */
int vhost_init(struct vhost *vhost, const struct rtc_clocks *clocks,
	       const struct vhost_page_user *page_user);

/**
 * vhost_handle() - do what a message says
 * @vhost: the device
 * @message: a whole one; its descriptors are taken, or stay the caller's
 * @reply: the answer; @fd is the caller's
 *
 * Return: true if there is an answer to be sent.
 */
bool vhost_handle(struct vhost *vhost, struct vhost_message *message,
		  struct vhost_reply *reply);

/**
 * vhost_work() - work on the queues, and look at the alarms
 * @vhost: the device
 *
 * To be called after messages, when something is to be read from the kick of
 * some queue, from @timer or from @load, and while @has_more.
 */
void vhost_work(struct vhost *vhost);

/**
 * vhost_disconnect() - the front-end has gone
 * @vhost: as after vhost_init()
 */
void vhost_disconnect(struct vhost *vhost);

/**
 * vhost_end() - give everything back
 * @vhost: the device
 */
void vhost_end(struct vhost *vhost);

#endif /* HOST_VHOST_H */
