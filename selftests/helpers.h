/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests share. Test pages are numbered as in vm/pages.py.
 */
#ifndef SELFTESTS_HELPERS_H
#define SELFTESTS_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vmclock-dev.h>

/* The counter of this machine's pages, another machine's, and what describes them. */
#if defined(__aarch64__) || defined(__arm__)
#define T_ARM64		1
#define T_COUNTER	VMCLOCK_PAGE_COUNTER_ARM_VCT
#define T_NO_COUNTER	VMCLOCK_PAGE_COUNTER_X86_TSC
#define T_BUS		VMCLOCK_BUS_OF
#else
#define T_COUNTER	VMCLOCK_PAGE_COUNTER_X86_TSC
#define T_NO_COUNTER	VMCLOCK_PAGE_COUNTER_ARM_VCT
#define T_BUS		VMCLOCK_BUS_ACPI
#endif

/* The page of QEMU's own device, for the functions that take a test page. */
#define T_QEMU	(-1)
/* That of vmclock_sim, if it is loaded: only t_node() and t_open() know it. */
#define T_SIM	(-2)
/* The good test page, which tests may change (and put back). */
#define T_KNOB	0
/* Another one, with notifications. */
#define T_NOTIFIED	11

/* Those on PCI functions: see vm/ivshmem.py. */
#define T_PCI		0x20
#define T_PCI_LATER	0x21
#define T_PCI_NOTIFIED	0x22
/* And those that vmclock-hostd writes: see vm/served.py. */
#define T_PCI_SERVED	0x23
#define T_ACPI_SERVED	0x24

#define T_DRIVER_DIR "/sys/bus/platform/drivers/vmclock-cdev"
#define T_PCI_DRIVER_DIR "/sys/bus/pci/drivers/vmclock-cdev"

/* The name of a test page's PCI function, and the directory it has in sysfs. */
void t_pci_function(int page, char *name, size_t size);
void t_pci_dir(int page, char *path, size_t size);

/*
 * The platform device made of a test page's ACPI node, "AMZNC10C:03" say, or of that
 * of the device tree, "5f003000.vcp3".
 * Return: false if there is none.
 */
bool t_platform_device(int page, char *name, size_t size);

/*
 * Where in sysfs the driver of a test page's bus is, and by what name that bus
 * knows the device. Both have room for @size. Return: false if there is none.
 */
bool t_driver(int page, char *dir, char *name, size_t size);

/* The /dev path of a test page. Return: false if no driver made one. */
bool t_node(int page, char *path, size_t size);

/* Open the node of a test page. Return: a file descriptor, or -1. */
int t_open(int page, int flags);

/*
 * Open the PTP clock of a test page; its number goes to @index, if not NULL.
 * Return: a file descriptor, or -1.
 */
int t_open_ptp(int page, int *index, int flags);

/*
 * Send a command to the host, a line with its end, and read the answer, one
 * without. Return: false if there is none.
 */
bool t_ask(const char *command, char *answer, size_t size);

/*
 * For a machine that goes to sleep: have the host do a command of the link a while
 * later; have it wake the machine a while later, also of s2idle; and say that it is
 * awake, before anything else. Return: false if the host did not understand.
 */
bool t_later(int ms, const char *command);
bool t_nap(int ms);
bool t_awake(void);

/*
 * Change or look at a test page from outside the machine, while it runs.
 * Return: false if the host did not do it.
 */
bool t_poke(int page, size_t offset, const void *data, size_t len);
bool t_peek(int page, size_t offset, void *data, size_t len);

/* Poke one field of struct vmclock_page; @value has the field's type. */
#define t_poke_field(page, field, value) ({				\
	__typeof__(((struct vmclock_page *)0)->field) t_v = (value);	\
	t_poke(page, offsetof(struct vmclock_page, field), &t_v, sizeof(t_v)); })

/* Have the firmware send the notification of page T_NOTIFIED. */
bool t_ring(void);
/* Have the host raise the interrupt of page T_PCI_NOTIFIED. */
bool t_ring_pci(void);

/* How often a node's interrupt has come since it was asked for; -1 if it has none. */
long t_interrupt_count(int page);

/* Its number, or -1. */
int t_interrupt_number(int page);

/*
 * Change a page as a hypervisor does, and notify if the page has that: all from
 * the marker on is taken from @p, whose seq_count is that of the page. It is
 * advanced as by @updates updates.
 */
bool t_publish(int page, struct vmclock_page *p, uint32_t updates);

/*
 * Read the page, and have it updated without a change, so that no event of an
 * earlier test is left over for the next update. @fd has seen all that.
 */
bool t_settle(int fd, int page, struct vmclock_page *p);

/* The ioctls, with all of their arguments. Return: 0 or a negative errno. */
int t_wait(int fd, uint32_t mask, int64_t timeout_ns, struct vmclock_wait *wait);
int t_set_events(int fd, uint32_t events);
int t_set_eventfd(int fd, uint32_t events, int eventfd);

/* Wait until a thread sleeps, and can be woken. Return: false if it does not. */
bool t_sleeps(pid_t tid);

/* A socket that gets the kernel's uevents from now on. */
int t_uevent_socket(void);

/* Wait for a uevent of action "change" of the node, with this variable. */
bool t_uevent_comes(int fd, const char *node, const char *want, int ms);

#define T_WATCH_MS "/sys/module/vmclock/parameters/watch_ms"

/* Write a word to a file in sysfs. Return: 0 or a negative errno. */
int t_write_file(const char *path, const char *text);

/* The first line of a file, without its end. Return: false if there is none. */
bool t_read_line(const char *path, char *line, size_t size);

/* Load and unload a module. Return: 0 or a negative errno. */
int t_load(const char *path, const char *params);
int t_unload(const char *name);

/*
 * Have the PTP clocks on UTC, which is not the default of every kernel. Nothing
 * of the driver may be open.
 */
int t_load_with_utc(void);

/* Lines of the kernel's log that have both texts; the last one goes to @line. */
int t_count_in_log(const char *first, const char *second, char *line, size_t size);

/*
 * Have one of the driver's tracepoints written down, or all: "". Or no more: what was
 * is thrown away. Return: false if that is not possible.
 */
bool t_trace(const char *event, bool on);

/* How often they came, with a text. */
int t_count_in_trace(const char *event, const char *text);

/* Nanoseconds of a clock. */
int64_t t_clock_ns(int clock);

/*
 * Run a program. Return: its exit status, or -1 if it was killed. What it
 * printed, both streams, goes to @output, cut to @size.
 */
int t_run(char *const argv[], char *output, size_t size);

#endif /* SELFTESTS_HELPERS_H */
