/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine's page, or one in a file: the work between two waits. The
 * reading is everybody's, the line is this page's own: it is calibrated in the
 * guest's counter, so that what is promised about lines (nesting, continuing a
 * line that was found, TIME_MONOTONIC) is exact for each page, and no VM can
 * disturb another one's.
 *
 * What happens to a guest's counter is told by whoever knows:
 *
 *	vm_hush()		it may be stopped or copied from now on
 *	vm_resume_feed()	it was not
 *	vm_disrupt()		it is another one now, and not known
 *	vm_set_counter()	it is known
 *
 * A VM whose counter is not known is nothing wrong: its page says INITIALIZING.
 */
#ifndef HOST_VM_H
#define HOST_VM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "calibrate.h"
#include "clock.h"
#include "guest-counter.h"
#include "publish.h"
#include "scale.h"
#include "target.h"

/*
 * Who changes the page's generation counter. A machine that is moved keeps it; one that
 * is restored, or a copy, has another one.
 */
enum vm_generation {
	VM_GENERATION_FOREIGN,	/* the hypervisor, or nobody */
	VM_GENERATION_KEPT,	/* we; a machine that comes in is moved */
	VM_GENERATION_NEW,	/* we; a machine that comes in is restored */
};

/**
 * struct vm_options - what the operator asked for
 * @qemu_pid: the QEMU process whose page is written, or 0
 * @qemu_user: whose QEMU it is, if @has_qemu_user; see vm_qemu_user()
 * @has_qemu_user: that is given
 * @qmp_path: the socket of QEMU's monitor, or NULL; whose owner's page it is, if
 *	@qemu_pid is 0
 * @qmp_continues: a VM that came in over a migration is continued by us
 * @generation: who changes the generation counter
 * @file: the file that holds the page, or NULL
 * @ivshmem_socket: where QEMU's ivshmem-doorbell device finds the page, or NULL; at
 *	most one of the three
 * @replace: put a page where the file holds something else
 * @vhost_socket: where the vhost-user device listens, or NULL
 * @vhost_fd: a socket for it, or -1; at most one of the two
 * @guest: from the host's counter to the guest's
 * @has_tsc_offset: @guest.offset is given
 * @is_guests: the page in @file is a guest's, and not for programs here
 * @offset_error: ticks of the guest's counter by which @guest may be wrong
 * @wants_utc: publish UTC in any case
 * @publishes: re-base the line all the time, @publish_us apart
 * @publish_us: pause between two updates, 0 for none
 */
struct vm_options {
	pid_t qemu_pid;
	uid_t qemu_user;
	bool has_qemu_user;
	const char *qmp_path;
	bool qmp_continues;
	enum vm_generation generation;
	const char *file;
	const char *ivshmem_socket;
	bool replace;
	const char *vhost_socket;
	int vhost_fd;
	struct guest_counter guest;
	bool has_tsc_offset;
	bool is_guests;
	uint64_t offset_error;
	bool wants_utc;
	bool publishes;
	uint32_t publish_us;
};

/**
 * vm_names_page() - is it said which page is to be fed?
 * @options: the VM's
 *
 * Return: true if so, else it is one that a front-end lends.
 */
bool vm_names_page(const struct vm_options *options);

/**
 * vm_qemu_user() - whose QEMU is it?
 * @options: the VM's
 *
 * Return: the user that was given, or our own: whoever may write to everybody's memory
 * does it to nobody's unless told so.
 */
uid_t vm_qemu_user(const struct vm_options *options);

/**
 * vm_needs_counter() - has a guest's counter to be told before there is a line?
 * @options: the VM's
 *
 * Return: true if the page is a guest's, and its counter not given.
 */
bool vm_needs_counter(const struct vm_options *options);

/* What the page offers, as far as the operator is told. */
enum vm_state {
	VM_STARTING,
	VM_SYNCHRONIZED,
	VM_UNKNOWN,
	VM_STEPPED,
	VM_FREERUNNING,
	VM_EXPIRED,
	VM_WAITING,
};

/**
 * struct vm - everything that lives as long as the VM is fed
 * @options: filled in by the caller; its strings stay the caller's
 * @clock: where readings come from
 * @guest: the guest's counter, as of now
 * @offset_error: ticks by which it may be wrong
 * @has_guest: @guest is the guest's; else it is the host's own, for a file
 * @waits_for_counter: it is not known: no line until vm_set_counter()
 * @target: the page
 * @scale: the page's time scale
 * @cal: readings to line
 * @pub: line to page
 * @state: what was logged last
 * @needs_marker: the next line gets a new disruption marker
 * @has_published: a first line was published
 * @tries: readings in a row without a line
 * @has_page: there is something to feed: not so after vm_stop()
 * @is_lent: the page is the guest's, from vm_lend_page()
 * @refused: why the page that was offered last is not fed, or NULL
 * @left: what the lent page said when it was given back, if @has_left
 * @has_left: it was lent since the counter was told
 * @left_holds: the line that it had then has not been broken since
 * @last_reading: the guest's counter at the latest reading
 * @is_restored: the next disruption is that of a machine which was restored
 * @disruptions: how often the counter has become another one
 * @has_announced: vm_announce() was called
 */
struct vm {
	struct vm_options options;
	struct clock *clock;
	struct guest_counter guest;
	uint64_t offset_error;
	bool has_guest;
	bool waits_for_counter;
	struct target target;
	struct scale scale;
	struct calibrate cal;
	struct publish pub;
	enum vm_state state;
	bool needs_marker;
	bool has_published;
	unsigned int tries;
	bool has_page;
	bool is_lent;
	const char *refused;
	struct vmclk_snapshot left;
	bool has_left;
	bool left_holds;
	uint64_t last_reading;
	bool is_restored;
	uint64_t disruptions;
	bool has_announced;
};

/**
 * vm_start() - open the page and announce that time is coming
 * @vm: @options is filled in, the rest is zero; not to be moved from here on. If
 *	they name no page, it is one that nobody sees; and if the host's counter is
 *	not to be trusted either, there is none and no line.
 * @clock: started; has to outlive the VM
 *
 * Return: 0, or a negative errno value; the reason has been logged, and
 * nothing is open or was changed.
 */
int vm_start(struct vm *vm, struct clock *clock);

/**
 * vm_tick() - do what the clock's latest reading asks for
 * @vm: started; clock_tick() was called, with whatever outcome but a final error
 *
 * Return: 0, or a negative errno value if the page can't be kept: -EIO if it was
 * taken away or there is no line to be had, -ESTALE if somebody else wrote it
 * (after that it may go on with vm_disrupt()); the reason has been logged.
 */
int vm_tick(struct vm *vm);

/**
 * vm_is_warming() - would more readings, soon, bring a line?
 * @vm: started
 *
 * Return: true if so; then vm_tick() every VM_WARM_NS, else once an interval.
 */
bool vm_is_warming(const struct vm *vm);

#define VM_WARM_NS	10000000ULL

/**
 * vm_publish() - with --publish-us: re-base the line for about 1 ms
 * @vm: started; does nothing while there is no line to be published
 *
 * Return: 0, or a negative errno value as from vm_tick().
 */
int vm_publish(struct vm *vm);

/**
 * vm_hush() - offer no line: before a migration or a save begins
 * @vm: started
 *
 * When this returns the page says INITIALIZING and has no line, and that stays so
 * until vm_resume_feed(): a copy made in the meantime is not to be believed,
 * whenever its page was copied. What is measured goes on. If somebody else had
 * written the page, this is vm_disrupt().
 *
 * Return: 0, or a negative errno value: the page is gone; the reason has been logged.
 */
int vm_hush(struct vm *vm);

/**
 * vm_resume_feed() - offer the line again: the migration or save was given up
 * @vm: started; does nothing unless after vm_hush()
 *
 * The guest's counter must have gone on as ever, else vm_disrupt() is what is
 * needed. The line has the disruption marker that it had, if the clock was not set in
 * the meantime. A page that somebody else wrote stays as it is: vm_tick() finds it.
 */
void vm_resume_feed(struct vm *vm);

/**
 * vm_disrupt() - the guest's counter has become another one
 * @vm: started
 *
 * When this returns the page has a disruption marker that it never had, it says
 * INITIALIZING and has no line, whether or not vm_hush() came before. Whatever
 * somebody else wrote to the page is taken over, and is no error any more. There is no
 * line before vm_set_counter(); only a page whose counter is the host's own, by
 * @options, needs none.
 *
 * Return: 0, or a negative errno value, then the page can't be kept; the reason has
 * been logged.
 */
int vm_disrupt(struct vm *vm);

/**
 * vm_disown() - do not go on with what was found
 * @vm: just started
 *
 * If the counter has to be told first, and the page was another daemon's, this is
 * vm_disrupt(): it may be another counter than that daemon was told, or a measurement
 * from then may still be on its way here.
 *
 * Return: 0, or as vm_disrupt(), and it is stopped.
 */
int vm_disown(struct vm *vm);

/**
 * vm_set_counter() - the guest's counter is known
 * @vm: started
 * @guest: from the host's counter to the guest's; copied. @ratio is not 0.
 * @offset_error: ticks of the guest's counter by which it may be wrong
 *
 * Lines are published from the next readings on. If it is another one than so far
 * and vm_disrupt() was not called, then it is now.
 *
 * Return: 0, -EINVAL if that is no counter, or as vm_disrupt().
 */
int vm_set_counter(struct vm *vm, const struct guest_counter *guest, uint64_t offset_error);

/**
 * vm_announce() - tell the guest of a coming disruption
 * @vm: started
 * @notice: VMCLOCK_PAGE_FLAG_DISRUPTION_SOON (within a day), _IMMINENT (within an
 *	hour), both, or 0: none any more
 *
 * Before the first call it is told what the page said that was found: a daemon that
 * is started anew must not call off what no operator did.
 */
void vm_announce(struct vm *vm, uint64_t notice);

/**
 * vm_lend_page() - the guest's page may be written from now on
 * @vm: started
 * @fd: the memory that it is in; stays the caller's
 * @offset: where it is
 * @dirty: where it is marked what was written
 *
 * It is fed if no other page was asked for and the guest's counter is known; if
 * it is the page that is fed already, its updates are logged from now on.
 *
 * One that was lent before and is not as it was left is that of a machine that was
 * restored or started again: then the counter is not known any more, and the page left
 * alone until vm_set_counter().
 *
 * Return: true; or false if the counter has to be known first: offer it again.
 */
bool vm_lend_page(struct vm *vm, int fd, uint64_t offset, const struct dirty *dirty);

/**
 * vm_return_page() - leave the guest's page UNRELIABLE, and give it back
 * @vm: started. It goes on without a page, and what is measured stays good.
 */
void vm_return_page(struct vm *vm);

/**
 * vm_stop() - leave the page UNRELIABLE, and close it
 * @vm: started; there is no line any more
 */
void vm_stop(struct vm *vm);

#endif /* HOST_VM_H */
