# shellcheck shell=bash disable=SC2154
# Turns trees of files into an initrd, a root file system and a bootable disk.
# Sourced by build, which sets here, work, stage and version.
kernel_arguments='console=tty1 console=ttyS0 no_timer_check mitigations=off random.trust_cpu=on rcupdate.rcu_expedited=1'
boot_mib=20
root_label=cirros-rootfs
root_uuid=c1220500-0000-4000-8000-000000000001
hash_seed=c1220500-0000-4000-8000-000000000002
disk_modules=(virtio virtio_ring virtio_pci virtio_mmio virtio_blk virtio_scsi sd_mod ata_piix)

# copy_modules TARGET MODULE...: kernel modules with all that they need
copy_modules() {
	local target=$1 module path
	shift
	mkdir -p "$target/lib/modules/$version"
	cp "$stage/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$target/lib/modules/$version/"
	for module in "$@"; do
		# a module that this kernel has built in, or lacks, prints no insmod line
		while read -r path; do
			[ -n "$path" ] || continue
			mkdir -p "$(dirname "$target/$path")"
			[ -e "$target/$path" ] || cp "$stage/$path" "$target/$path"
		done < <(modprobe -d "$stage" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }' | sed "s|^$stage||")
	done
	depmod -b "$target" "$version"
	rm -f "$target/lib/modules/$version"/modules.{devname,softdep,symbols,symbols.bin,dep.bin,alias.bin,builtin.alias.bin,builtin.bin}
}

# same_times TREE: every file gets the date of the build, so that builds repeat
same_times() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

# initrd FILE: busybox, the disk drivers and initrd/init
initrd() {
	local mini=$work/mini applet
	mkdir -p "$mini"/{bin,sbin,dev,proc,sys,newroot}
	cp "$stage/bin/busybox" "$mini/bin/busybox"
	for applet in sh mount umount mkdir cat readlink dd hexdump tr printf usleep echo ls insmod dmesg; do ln -s busybox "$mini/bin/$applet"; done
	for applet in modprobe switch_root blockdev findfs poweroff; do ln -s ../bin/busybox "$mini/sbin/$applet"; done
	install -m 755 "$here/initrd/init" "$mini/init"
	copy_modules "$mini" "${disk_modules[@]}"
	same_times "$mini"
	(cd "$mini" && find . -print0 | sort -z | cpio -0 --quiet -o -H newc --reproducible | gzip -9n) >"$1"
}

# root_image TREE FILE: ext4 file system, with 10 MiB to spare
root_image() {
	local mib=$(($(du -sm --apparent-size "$1" | cut -f1) + 16))
	E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -i 16384 -m 0 -L "$root_label" -U "$root_uuid" \
		-J size=4 -O ^metadata_csum -E "hash_seed=$hash_seed,lazy_itable_init=0,nodiscard" -d "$1" "$2" "${mib}M" >/dev/null
	# mke2fs takes over the times of change and access, which differ each time
	(cd "$1" && find . -print) | cut -c2- | sort | while read -r path; do
		for field in atime ctime crtime; do
			printf 'set_inode_field "%s" %s @%s\n' "${path:-/}" "$field" "$SOURCE_DATE_EPOCH"
		done
	done >"$work/times"
	E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH debugfs -w -f "$work/times" "$2" >/dev/null 2>&1
}

# disk_image DISK ROOTFS KERNEL INITRD: MBR disk with a FAT partition that BIOS
# and UEFI start from (partition 2) and, last so that it can grow, the root
disk_image() {
	local disk=$1 rootfs=$2 kernel=$3 initrd=$4 boot=$work/boot.img root_mib
	root_mib=$(($(stat -c %s "$rootfs") / 1048576))
	truncate -s "${boot_mib}M" "$boot"
	mkfs.fat -F 16 -n GUESTBOOT -i c1220500 --invariant "$boot" >/dev/null
	cat >"$work/syslinux.cfg" <<-END_OF_FILE
		DEFAULT guest
		PROMPT 0
		TIMEOUT 0
		LABEL guest
			LINUX /vmlinuz
			INITRD /initrd.img
			APPEND root=LABEL=$root_label $kernel_arguments
	END_OF_FILE
	cp /usr/lib/SYSLINUX.EFI/efi64/syslinux.efi "$work/BOOTX64.EFI"
	cp /usr/lib/syslinux/modules/efi64/ldlinux.e64 "$work/ldlinux.e64"
	touch -d "@$SOURCE_DATE_EPOCH" "$work"/{syslinux.cfg,BOOTX64.EFI,ldlinux.e64} "$kernel" "$initrd"
	export MTOOLS_SKIP_CHECK=1
	mmd -i "$boot" ::/EFI ::/EFI/BOOT
	mcopy -m -i "$boot" "$kernel" ::/vmlinuz
	mcopy -m -i "$boot" "$initrd" ::/initrd.img
	mcopy -m -i "$boot" "$work/syslinux.cfg" ::/syslinux.cfg
	mcopy -m -i "$boot" "$work/BOOTX64.EFI" "$work/ldlinux.e64" ::/EFI/BOOT/
	syslinux --install "$boot"
	truncate -s $((1 + boot_mib + root_mib))M "$disk"
	sfdisk -q "$disk" <<-END_OF_FILE
		label: dos
		label-id: 0xc1220500
		unit: sectors
		2 : start=2048, size=$((boot_mib * 2048)), type=ef, bootable
		1 : start=$(((1 + boot_mib) * 2048)), size=$((root_mib * 2048)), type=83
	END_OF_FILE
	dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
	dd if="$boot" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
	dd if="$rootfs" of="$disk" bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
}
