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
static const char template[] =
	"SSDT\0\0\0\0\x02\0VMCLK\0VMCLKPCI\1\0\0\0VMCT\1\0\0\0"
	"\x10\x44\x0e\\\x2f\x03_SB_PCI0S00_"
	"\x5b\x80PCFG\x02\x00\x0a\x40"
	"\x5b\x81\x13PCFG\x03\x00\x40\x0c" "BLO_\x20" "BHI_\x20"
	"\x5b\x82\x42\x0bVCLK"
	"\x08_HID\x0d" "AMZNC10C\0"
	"\x08_CID\x0dVMCLOCK\0"
	"\x08_DDN\x0dVMCLOCK\0"
	"\x08RBUF\x11\x33\x0a\x30"
	"\x8a\x2b\0\0\x0d\x02"
	"\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\xff\x0f\0\0\0\0\0\0"
	"\0\0\0\0\0\0\0\0" "\0\x10\0\0\0\0\0\0" "\x79\0"
	"\x14\x47\x04_CRS\x08"
	"\x8fRBUF\x0a\x0eMIN0"
	"\x8fRBUF\x0a\x16MAX0"
	"\x79" "BHI_\x0a\x20\x60"
	"\x7d\x60\x7b" "BLO_\x0c\xf0\xff\xff\xff\0MIN0"
	"\x72MIN0\x0b\xff\x0fMAX0"
	"\xa4RBUF";

/* Not the end of the string. */
#define TABLE_SIZE	(sizeof(template) - 1)

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
