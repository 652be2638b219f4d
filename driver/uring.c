// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands of io_uring: the ioctls' work, without a thread that waits.
 *
 * A WAIT that finds nothing new is put into the device's list of commands, and
 * stays there until its result is decided, so that CANCEL always finds it. As
 * long as it is armed nobody owns it. Whoever disarms it, under notify.lock, has
 * it completed, and that is one of these:
 *
 *	an event, its timeout, CANCEL, the end of the device: each sends it to
 *		the task that submitted it, where user memory can be written;
 *		there it is completed, or armed again if it was for nothing
 *	the end of the ring or the task: completes it at once
 *
 * On its way to its task it can still be cancelled: it is marked, and not armed
 * again. It leaves the list before it is freed, under the lock, so who holds the
 * lock may look at all that is in the list.
 *
 * A command holds its file by its request, so neither file nor device can go
 * before it.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "vmclock.h"

/**
 * struct vmclock_command - a WAIT that is pending
 * @entry: in the device's list, until its result is decided
 * @armed: in that list, and not sent to its task
 * @cancelled: by CANCEL, or its ring: not to be armed again
 * @ioucmd: the request, which points here from its private room
 * @vf: its file
 * @arg: its argument, and
 * @room: how much room there is
 * @mask: from the argument
 * @id: CANCEL's handle on it
 * @expires: in jiffies, U64_MAX for never, 0 if it does not wait at all
 */
struct vmclock_command {
	struct list_head entry;
	bool armed;
	bool cancelled;
	struct io_uring_cmd *ioucmd;
	struct vmclock_file *vf;
	void __user *arg;
	long room;
	u32 mask;
	u64 id;
	u64 expires;
};

struct private_room {
	struct vmclock_command *command;
};

static struct private_room *room_of(struct io_uring_cmd *ioucmd)
{
	BUILD_BUG_ON(sizeof(struct private_room) > sizeof(ioucmd->pdu));
	return (struct private_room *)ioucmd->pdu;
}

/**
 * vmclock_command_decide() - take a command out of the list to decide on it
 * @command: the command, not armed
 *
 * CANCEL does not find it any more, unless it is armed again.
 *
 * Context: notify.lock held, until it is armed or has its result.
 * Return: false if CANCEL did find it.
 */
bool vmclock_command_decide(struct vmclock_command *command)
{
	lockdep_assert_held(&command->vf->vd->notify.lock);

	list_del_init(&command->entry);
	return !command->cancelled;
}

/**
 * vmclock_command_arm() - put a command into the list
 * @command: the command
 *
 * Context: notify.lock held, nothing new for the command, and not cancelled.
 * Return: false if its time is over.
 */
bool vmclock_command_arm(struct vmclock_command *command)
{
	struct vmclock_notify *n = &command->vf->vd->notify;
	u64 now = get_jiffies_64();

	lockdep_assert_held(&n->lock);

	if (command->expires <= now)
		return false;
	command->armed = true;
	list_add_tail(&command->entry, &n->commands);
	if (command->expires < n->next_expiry) {
		n->next_expiry = command->expires;
		vmclock_notify_expire_at(n, n->next_expiry);
	}
	return true;
}

/*
 * Nobody finds the command by its request or in the list any more once it is
 * freed. Whoever was told that it is cancelled sees it end so.
 */
static void finish(struct vmclock_command *command, int ret, unsigned int issue_flags)
{
	struct vmclock_notify *n = &command->vf->vd->notify;
	struct io_uring_cmd *ioucmd = command->ioucmd;

	spin_lock(&n->lock);
	list_del(&command->entry);
	room_of(ioucmd)->command = NULL;
	if (ret && command->cancelled)
		ret = -ECANCELED;
	spin_unlock(&n->lock);
	kfree(command);
	vmclock_uring_done(ioucmd, ret, issue_flags);
}

/* Once it is armed again it may be gone, and is not touched. */
static void look(struct vmclock_command *command, unsigned int issue_flags)
{
	struct vmclock_wait wait = { };
	int ret = vmclock_event_take(command->vf, command->mask, &wait, command);

	if (ret == -EIOCBQUEUED)
		return;
	if (ret == -EAGAIN && command->expires)
		ret = -ETIMEDOUT;
	if (!ret)
		ret = vmclock_ioctl_put_wait(command->arg, command->room, &wait);
	finish(command, ret, issue_flags);
}

/* In the task that submitted it, unless that has gone, and its memory too. */
static void run_in_task(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_command *command = room_of(ioucmd)->command;

	if (current->flags & (PF_EXITING | PF_KTHREAD))
		finish(command, -ECANCELED, issue_flags);
	else
		look(command, issue_flags);
}

DEFINE_VMCLOCK_URING_WORK(task_work, run_in_task)

/*
 * Under the lock, so that nobody frees it meanwhile; the task's work is only
 * queued here, which any context may do.
 */
static void send(struct vmclock_command *command)
{
	lockdep_assert_held(&command->vf->vd->notify.lock);

	command->armed = false;
	io_uring_cmd_complete_in_task(command->ioucmd, task_work);
}

/**
 * vmclock_command_wake() - have commands look again
 * @vd: the device
 * @events: those that wait for one of these; 0: all of them
 */
void vmclock_command_wake(struct vmclock_device *vd, u32 events)
{
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_command *command;

	spin_lock(&n->lock);
	list_for_each_entry(command, &n->commands, entry)
		if (command->armed &&
		    (!events || events & (command->mask ?: command->vf->events)))
			send(command);
	spin_unlock(&n->lock);
}

/**
 * vmclock_command_expire() - the work for the next time-out
 * @vd: the device
 */
void vmclock_command_expire(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_command *command;
	u64 now = get_jiffies_64();

	spin_lock(&n->lock);
	n->next_expiry = U64_MAX;
	list_for_each_entry(command, &n->commands, entry) {
		if (!command->armed)
			continue;
		if (command->expires <= now)
			send(command);
		else
			n->next_expiry = min(n->next_expiry, command->expires);
	}
	if (n->next_expiry != U64_MAX)
		vmclock_notify_expire_at(n, n->next_expiry);
	spin_unlock(&n->lock);
}

/* Other files' commands are not ours to cancel, nor is one that is already. */
static int cancel_listed(struct vmclock_file *vf, u64 id)
{
	struct vmclock_notify *n = &vf->vd->notify;
	struct vmclock_command *command;
	int ret = -ENOENT;

	spin_lock(&n->lock);
	list_for_each_entry(command, &n->commands, entry) {
		if (command->vf != vf || command->id != id || command->cancelled)
			continue;
		command->cancelled = true;
		if (command->armed)
			send(command);
		ret = 0;
	}
	spin_unlock(&n->lock);
	return ret;
}

/* The end of the device is told to all commands: there is nothing to cancel then. */
static int cancel_by_id(struct vmclock_file *vf, u64 id)
{
	struct vmclock_device *vd = vf->vd;
	int token = srcu_read_lock(&vd->srcu);
	int ret = vmclock_is_gone(vd) ? -ENODEV : cancel_listed(vf, id);

	srcu_read_unlock(&vd->srcu, token);
	return ret;
}

/* The ring or the task ends. What is not armed ends in its task. */
static int cancel_by_ring(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_file *vf = ioucmd->file->private_data;
	struct vmclock_notify *n = &vf->vd->notify;
	struct vmclock_command *command;
	bool ours = false;

	spin_lock(&n->lock);
	command = room_of(ioucmd)->command;
	if (command) {
		ours = command->armed;
		command->armed = false;
		command->cancelled = true;
	}
	spin_unlock(&n->lock);
	if (ours)
		finish(command, -ECANCELED, issue_flags);
	return 0;
}

static u64 expiry(s64 timeout_ns)
{
	if (!timeout_ns)
		return 0;
	/* One for the tick that has begun, one for rounding down. */
	return timeout_ns < 0 ? U64_MAX :
	       get_jiffies_64() + nsecs_to_jiffies64(timeout_ns) + 2;
}

/*
 * The submission is in memory that its task may write to at any time: what is used
 * is read once. All else must be zero, of what this kernel lets us see.
 */
static int payload_get(struct io_uring_cmd *ioucmd, unsigned int issue_flags,
		       struct vmclock_uring *payload)
{
	const struct vmclock_uring *sqe = vmclock_uring_payload(ioucmd);

	payload->arg = READ_ONCE(sqe->arg);
	payload->id = READ_ONCE(sqe->id);
	return vmclock_uring_has_more(ioucmd, issue_flags) ? -EINVAL : 0;
}

static struct vmclock_command *command_create(struct io_uring_cmd *ioucmd,
					      const struct vmclock_uring *payload)
{
	struct vmclock_command *command = kzalloc(sizeof(*command), GFP_KERNEL_ACCOUNT);

	if (!command)
		return NULL;
	INIT_LIST_HEAD(&command->entry);
	command->ioucmd = ioucmd;
	command->vf = ioucmd->file->private_data;
	command->arg = u64_to_user_ptr(payload->arg);
	command->id = payload->id;
	return command;
}

static int wait_issue(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_command *command;
	struct vmclock_uring payload;
	struct vmclock_wait wait;
	long room;
	int err;

	if (!vmclock_uring_can_wait())
		return -EOPNOTSUPP;
	err = payload_get(ioucmd, issue_flags, &payload);
	if (err)
		return err;
	command = command_create(ioucmd, &payload);
	if (!command)
		return -ENOMEM;
	room = vmclock_ioctl_get_wait(&wait, command->arg);
	if (room < 0) {
		kfree(command);
		return room;
	}
	command->room = room;
	command->mask = wait.events;
	command->expires = expiry(wait.timeout_ns);
	room_of(ioucmd)->command = command;
	/* From here on only finish() ends it: the ring knows it as cancelable. */
	io_uring_cmd_mark_cancelable(ioucmd, issue_flags);
	look(command, issue_flags);
	return -EIOCBQUEUED;
}

static int snapshot_issue(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_file *vf = ioucmd->file->private_data;
	struct vmclock_uring payload;
	int ret = payload_get(ioucmd, issue_flags, &payload);

	if (ret)
		return ret;
	if (payload.id)
		return -EINVAL;
	ret = vmclock_ioctl_snapshot(vf->vd, u64_to_user_ptr(payload.arg),
				     issue_flags & VMCLOCK_URING_F_NONBLOCK);
	if (ret == -EAGAIN)
		vmclock_uring_keep_payload(ioucmd, issue_flags);
	return ret;
}

static int cancel_issue(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_uring payload;
	int err = payload_get(ioucmd, issue_flags, &payload);

	if (err)
		return err;
	return payload.arg ? -EINVAL : cancel_by_id(ioucmd->file->private_data, payload.id);
}

/**
 * vmclock_uring_cmd() - the file operation
 * @ioucmd: the command
 * @issue_flags: what may be done here
 *
 * Return: the result; -EAGAIN to be called again where we may sleep;
 * -EIOCBQUEUED if it has completed or will.
 */
int vmclock_uring_cmd(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	if (issue_flags & VMCLOCK_URING_F_CANCEL)
		return cancel_by_ring(ioucmd, issue_flags);

	switch (ioucmd->cmd_op) {
	case VMCLOCK_URING_SNAPSHOT:
		return snapshot_issue(ioucmd, issue_flags);
	case VMCLOCK_URING_WAIT:
		return wait_issue(ioucmd, issue_flags);
	case VMCLOCK_URING_CANCEL:
		return cancel_issue(ioucmd, issue_flags);
	default:
		return -ENOTTY;
	}
}
