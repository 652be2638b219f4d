// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands of io_uring: the ioctls' work, without a thread that waits.
 *
 * A WAIT that finds nothing new stays in the device's list of commands. There
 * it is armed, and owned by the list. Whoever takes it out owns it, and that is
 * one of these, under notify.lock:
 *
 *	an event, its timeout, CANCEL, the end of the device: each sends it to
 *		the task that submitted it, where user memory can be written;
 *		there it is completed, or armed again if it was for nothing
 *	the end of the ring or the task: completes it at once
 *
 * A command in the list holds its file by its request, so neither file nor
 * device can go before it.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "vmclock.h"

/**
 * struct vmclock_command - a WAIT that is pending
 * @entry: in the device's list, or in that of whoever took it out of there
 * @armed: in the device's list
 * @cancelled: by CANCEL
 * @ioucmd: the request, which points here from its private room
 * @vf: its file
 * @arg: its argument, and
 * @room: how much room there is
 * @mask: from the argument
 * @id: CANCEL's handle on it
 * @expires: in jiffies, U64_MAX for never
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
 * vmclock_command_arm() - put a command into the list
 * @command: the command
 *
 * Context: notify.lock held, and nothing new for the command.
 */
void vmclock_command_arm(struct vmclock_command *command)
{
	struct vmclock_notify *n = &command->vf->vd->notify;

	lockdep_assert_held(&n->lock);

	command->armed = true;
	list_add_tail(&command->entry, &n->commands);
	if (command->expires < n->next_expiry) {
		n->next_expiry = command->expires;
		vmclock_notify_expire_at(n, n->next_expiry);
	}
}

static void disarm(struct vmclock_command *command)
{
	command->armed = false;
	list_del_init(&command->entry);
}

/* Nobody finds the command by its request any more once it is freed. */
static void finish(struct vmclock_command *command, int ret, unsigned int issue_flags)
{
	struct vmclock_notify *n = &command->vf->vd->notify;
	struct io_uring_cmd *ioucmd = command->ioucmd;

	spin_lock(&n->lock);
	room_of(ioucmd)->command = NULL;
	spin_unlock(&n->lock);
	kfree(command);
	vmclock_uring_done(ioucmd, ret, issue_flags);
}

static int answer(struct vmclock_command *command, struct vmclock_wait *wait)
{
	u64 now = get_jiffies_64();

	if (command->cancelled)
		return -ECANCELED;
	return vmclock_event_take(command->vf, command->mask, wait,
				  now < command->expires ? command : NULL);
}

/* In the task that submitted it, unless that has gone, and its memory too. */
static void run_in_task(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_command *command = room_of(ioucmd)->command;
	struct vmclock_wait wait = { };
	int ret = -ECANCELED;

	if (!(current->flags & (PF_EXITING | PF_KTHREAD)))
		ret = answer(command, &wait);
	if (ret == -EIOCBQUEUED)
		return;
	if (ret == -EAGAIN)
		ret = -ETIMEDOUT;
	if (!ret)
		ret = vmclock_ioctl_put_wait(command->arg, command->room, &wait);
	finish(command, ret, issue_flags);
}

DEFINE_VMCLOCK_URING_WORK(task_work, run_in_task)

/* The next one is looked up first: a command may be gone once it was sent. */
static void send_all(struct list_head *commands)
{
	struct vmclock_command *command, *next;

	list_for_each_entry_safe(command, next, commands, entry) {
		list_del_init(&command->entry);
		io_uring_cmd_complete_in_task(command->ioucmd, task_work);
	}
}

static void take_out(struct vmclock_command *command, struct list_head *to)
{
	disarm(command);
	list_add_tail(&command->entry, to);
}

/**
 * vmclock_command_wake() - have commands look again
 * @vd: the device
 * @events: those that wait for one of these; 0: all of them
 */
void vmclock_command_wake(struct vmclock_device *vd, u32 events)
{
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_command *command, *next;
	LIST_HEAD(woken);

	spin_lock(&n->lock);
	list_for_each_entry_safe(command, next, &n->commands, entry)
		if (!events || events & (command->mask ?: command->vf->events))
			take_out(command, &woken);
	spin_unlock(&n->lock);
	send_all(&woken);
}

/**
 * vmclock_command_expire() - the work for the next time-out
 * @vd: the device
 */
void vmclock_command_expire(struct vmclock_device *vd)
{
	struct vmclock_notify *n = &vd->notify;
	struct vmclock_command *command, *next;
	u64 now = get_jiffies_64();
	LIST_HEAD(expired);

	spin_lock(&n->lock);
	n->next_expiry = U64_MAX;
	list_for_each_entry_safe(command, next, &n->commands, entry) {
		if (command->expires <= now)
			take_out(command, &expired);
		else
			n->next_expiry = min(n->next_expiry, command->expires);
	}
	if (n->next_expiry != U64_MAX)
		vmclock_notify_expire_at(n, n->next_expiry);
	spin_unlock(&n->lock);
	send_all(&expired);
}

/* Other files' commands are not ours to cancel. */
static int cancel_by_id(struct vmclock_file *vf, u64 id)
{
	struct vmclock_notify *n = &vf->vd->notify;
	struct vmclock_command *command, *next;
	LIST_HEAD(cancelled);

	spin_lock(&n->lock);
	list_for_each_entry_safe(command, next, &n->commands, entry) {
		if (command->vf != vf || command->id != id)
			continue;
		command->cancelled = true;
		take_out(command, &cancelled);
	}
	spin_unlock(&n->lock);
	if (list_empty(&cancelled))
		return -ENOENT;
	send_all(&cancelled);
	return 0;
}

/* The ring or the task ends. What is not armed is on its way to its end. */
static int cancel_by_ring(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct vmclock_file *vf = ioucmd->file->private_data;
	struct vmclock_notify *n = &vf->vd->notify;
	struct vmclock_command *command;

	spin_lock(&n->lock);
	command = room_of(ioucmd)->command;
	if (command && command->armed)
		disarm(command);
	else
		command = NULL;
	spin_unlock(&n->lock);
	if (command)
		finish(command, -ECANCELED, issue_flags);
	return 0;
}

static u64 expiry(s64 timeout_ns)
{
	/* One for the tick that has begun, one for rounding down. */
	return timeout_ns < 0 ? U64_MAX :
	       get_jiffies_64() + nsecs_to_jiffies64(timeout_ns) + 2;
}

static struct vmclock_command *command_create(struct io_uring_cmd *ioucmd,
					      const struct vmclock_uring *sqe)
{
	struct vmclock_command *command = kzalloc(sizeof(*command), GFP_KERNEL_ACCOUNT);

	if (!command)
		return NULL;
	INIT_LIST_HEAD(&command->entry);
	command->ioucmd = ioucmd;
	command->vf = ioucmd->file->private_data;
	command->arg = u64_to_user_ptr(READ_ONCE(sqe->arg));
	command->id = READ_ONCE(sqe->id);
	return command;
}

/* From here on only finish() ends it: the ring knows it as cancelable. */
static void wait_or_finish(struct vmclock_command *command, s64 timeout_ns,
			   unsigned int issue_flags)
{
	struct vmclock_wait wait = { };
	int ret;

	room_of(command->ioucmd)->command = command;
	io_uring_cmd_mark_cancelable(command->ioucmd, issue_flags);
	command->expires = expiry(timeout_ns);
	ret = vmclock_event_take(command->vf, command->mask, &wait,
				 timeout_ns ? command : NULL);
	if (ret == -EIOCBQUEUED)
		return;
	if (!ret)
		ret = vmclock_ioctl_put_wait(command->arg, command->room, &wait);
	finish(command, ret, issue_flags);
}

static int wait_issue(struct io_uring_cmd *ioucmd, const struct vmclock_uring *sqe,
		      unsigned int issue_flags)
{
	struct vmclock_command *command;
	struct vmclock_wait wait;
	long room;

	if (!vmclock_uring_can_wait())
		return -EOPNOTSUPP;
	command = command_create(ioucmd, sqe);
	if (!command)
		return -ENOMEM;
	room = vmclock_ioctl_get_wait(&wait, command->arg);
	if (room < 0) {
		kfree(command);
		return room;
	}
	command->room = room;
	command->mask = wait.events;
	wait_or_finish(command, wait.timeout_ns, issue_flags);
	return -EIOCBQUEUED;
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
	struct vmclock_file *vf = ioucmd->file->private_data;
	const struct vmclock_uring *sqe;

	if (issue_flags & VMCLOCK_URING_F_CANCEL)
		return cancel_by_ring(ioucmd, issue_flags);

	sqe = vmclock_uring_payload(ioucmd);
	switch (ioucmd->cmd_op) {
	case VMCLOCK_URING_SNAPSHOT:
		if (READ_ONCE(sqe->id))
			return -EINVAL;
		return vmclock_ioctl_snapshot(vf->vd, u64_to_user_ptr(READ_ONCE(sqe->arg)),
					      issue_flags & VMCLOCK_URING_F_NONBLOCK);
	case VMCLOCK_URING_WAIT:
		return wait_issue(ioucmd, sqe, issue_flags);
	case VMCLOCK_URING_CANCEL:
		if (READ_ONCE(sqe->arg))
			return -EINVAL;
		return cancel_by_id(vf, READ_ONCE(sqe->id));
	default:
		return -ENOTTY;
	}
}
