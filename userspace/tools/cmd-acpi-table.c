// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmclockctl acpi-table: for QEMU's -acpitable, a VMClock device whose page is at
 * the beginning of an ivshmem function's memory.
 *
 * Guests whose driver knows nothing of PCI find the page by it. The device is a
 * child of the function's own node, which QEMU's tables have: elsewhere the kernel
 * would take its range for one that is in the way of the function's, and move that.
 * Where the memory is the guest's firmware decides: _CRS looks it up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

#define LENGTH_AT	4
#define CHECKSUM_AT	9
#define SLOT_MAX	31

/* QEMU's name of the function: S, and two digits for slot * 8 + function. */
#define NAME_AT		50

/*
 * What iasl makes of
 *
 * DefinitionBlock ("", "SSDT", 2, "VMCLK", "VMCLKPCI", 1) {
 *   Scope (\_SB.PCI0.S00) {
 *     OperationRegion (PCFG, PCI_Config, 0x00, 0x40)
 *     Field (PCFG, DWordAcc, NoLock, Preserve) { Offset (0x18), BLO, 32, BHI, 32 }
 *     Device (VCLK) {
 *       Name (_HID, "AMZNC10C")
 *       Name (_CID, "VMCLOCK")
 *       Name (_DDN, "VMCLOCK")
 *       Name (RBUF, ResourceTemplate () { QWordMemory (ResourceConsumer, PosDecode,
 *         MinFixed, MaxFixed, Cacheable, ReadOnly, 0, 0, 0xFFF, 0, 0x1000,,, WIN0) })
 *       Method (_CRS, 0, Serialized) {
 *         CreateQWordField (RBUF, ^WIN0._MIN, MIN0)
 *         CreateQWordField (RBUF, ^WIN0._MAX, MAX0)
 *         Local0 = BHI << 32
 *         MIN0 = Local0 | (BLO & 0xFFFFFFF0)
 *         MAX0 = MIN0 + 0xFFF
 *         Return (RBUF)
 *       }
 *     }
 *   }
 * }
 */
static const unsigned char template[] = {
	'S', 'S', 'D', 'T', 0, 0, 0, 0, 0x02, 0,
	'V', 'M', 'C', 'L', 'K', 0, 'V', 'M', 'C', 'L', 'K', 'P', 'C', 'I',
	0x01, 0, 0, 0, 'V', 'M', 'C', 'T', 0x01, 0, 0, 0,
	/* Scope */
	0x10, 0x44, 0x0e, 0x5c, 0x2f, 0x03, '_', 'S', 'B', '_', 'P', 'C', 'I', '0', 'S', '0',
	'0', '_',
	/* OperationRegion */
	0x5b, 0x80, 'P', 'C', 'F', 'G', 0x02, 0, 0x0a, 0x40,
	/* Field */
	0x5b, 0x81, 0x13, 'P', 'C', 'F', 'G', 0x03, 0, 0x40, 0x0c, 'B', 'L', 'O', '_', 0x20, 'B',
	'H', 'I', '_', 0x20,
	/* Device */
	0x5b, 0x82, 0x42, 0x0b, 'V', 'C', 'L', 'K',
	0x08, '_', 'H', 'I', 'D', 0x0d, 'A', 'M', 'Z', 'N', 'C', '1', '0', 'C', 0,
	0x08, '_', 'C', 'I', 'D', 0x0d, 'V', 'M', 'C', 'L', 'O', 'C', 'K', 0,
	0x08, '_', 'D', 'D', 'N', 0x0d, 'V', 'M', 'C', 'L', 'O', 'C', 'K', 0,
	/* RBUF, a QWordMemory */
	0x08, 'R', 'B', 'U', 'F', 0x11, 0x33, 0x0a, 0x30,
	0x8a, 0x2b, 0, 0, 0x0d, 0x02,
	0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0,
	0xff, 0x0f, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0,
	0, 0x10, 0, 0, 0, 0, 0, 0,
	0x79, 0,
	/* _CRS */
	0x14, 0x47, 0x04, '_', 'C', 'R', 'S', 0x08,
	0x8f, 'R', 'B', 'U', 'F', 0x0a, 0x0e, 'M', 'I', 'N', '0',
	0x8f, 'R', 'B', 'U', 'F', 0x0a, 0x16, 'M', 'A', 'X', '0',
	0x79, 'B', 'H', 'I', '_', 0x0a, 0x20, 0x60,
	0x7d, 0x60, 0x7b, 'B', 'L', 'O', '_', 0x0c, 0xf0, 0xff, 0xff, 0xff, 0, 'M', 'I', 'N',
	'0',
	0x72, 'M', 'I', 'N', '0', 0x0b, 0xff, 0x0f, 'M', 'A', 'X', '0',
	0xa4, 'R', 'B', 'U', 'F',
};

#define TABLE_SIZE	sizeof(template)

_Static_assert(TABLE_SIZE == 265, "the lengths inside add up");

static void make(unsigned char table[TABLE_SIZE], unsigned int slot)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char sum = 0;

	memcpy(table, template, TABLE_SIZE);
	table[LENGTH_AT] = TABLE_SIZE & 0xff;
	table[LENGTH_AT + 1] = TABLE_SIZE >> 8;
	table[NAME_AT + 1] = digits[slot * 8 >> 4];
	table[NAME_AT + 2] = digits[slot * 8 & 15];
	/* All bytes add up to 0. */
	for (size_t i = 0; i < TABLE_SIZE; i++)
		sum += table[i];
	table[CHECKSUM_AT] = -sum;
}

static int put(const unsigned char table[TABLE_SIZE], const char *path)
{
	FILE *f = path ? fopen(path, "we") : stdout;
	bool ok;

	if (!f) {
		complain(path, "%s", strerror(errno));
		return EXIT_SYSTEM;
	}
	ok = fwrite(table, TABLE_SIZE, 1, f) == 1;
	/* The standard output is flushed by main(). */
	if (path && fclose(f))
		ok = false;
	if (!ok)
		complain(path ? path : "standard output", "%s", strerror(errno));
	return ok ? EXIT_OK : EXIT_SYSTEM;
}

int cmd_acpi_table(const struct options *opt)
{
	unsigned char table[TABLE_SIZE];

	if (opt->path || !opt->slot || opt->slot > SLOT_MAX) {
		complain("acpi-table", "it needs --slot=N, 1 to 31, and nothing else but --output");
		return EXIT_SYSTEM;
	}
	make(table, opt->slot);
	return put(table, opt->output);
}
