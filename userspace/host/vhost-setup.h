/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages that set up memory, its log, and queues. For vhost-handle.c,
 * which has looked at sizes and at the number of descriptors. All return 0 or
 * a negative errno value: then nothing has changed, if no more is said.
 */
#ifndef HOST_VHOST_SETUP_H
#define HOST_VHOST_SETUP_H

#include "vhost.h"

/* SET_MEM_TABLE: instead of all memory there is; after an error there is none. */
int setup_mem_table(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* ADD_MEM_REG */
int setup_add_memory(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* REM_MEM_REG */
int setup_remove_memory(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_LOG_BASE: when it is answered, nobody touches the log before this one. */
int setup_log(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);

/* SET_VRING_NUM */
int setup_num(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_VRING_ADDR, also of a queue that runs */
int setup_addr(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_VRING_BASE */
int setup_base(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* GET_VRING_BASE: stops the queue */
int setup_get_base(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_VRING_KICK: starts the queue */
int setup_kick(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_VRING_CALL */
int setup_call(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_VRING_ERR */
int setup_error(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);
/* SET_VRING_ENABLE */
int setup_enable(struct vhost *v, struct vhost_message *m, struct vhost_reply *r);

#endif /* HOST_VHOST_SETUP_H */
