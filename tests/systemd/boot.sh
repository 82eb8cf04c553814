#!/bin/sh
# boot.sh WORK LAYER: become a systemd of our own, on a throw-away root. WORK is an empty directory, LAYER what lies over
# this machine's root. To be run in fresh namespaces (see tests/support/booted.py): all of it goes with them.
set -eu
work=$1
layer=$2

# The host's services that touch the kernel or a disk, and those that only take time.
masked="
    dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount
    sys-kernel-tracing.mount proc-sys-fs-binfmt_misc.automount systemd-binfmt.service systemd-firstboot.service
    systemd-hwdb-update.service systemd-logind.service systemd-modules-load.service systemd-networkd.service
    systemd-pstore.service systemd-random-seed.service systemd-remount-fs.service systemd-resolved.service
    systemd-sysctl.service systemd-timesyncd.service systemd-udevd.service systemd-update-utmp.service
    network-online.target remote-fs.target swap.target timers.target"

lay_root() {
    mount -t tmpfs -o size=1g,mode=755 tmpfs "$work"
    mkdir "$work/upper" "$work/scratch" "$work/root"
    cp -a "$layer/." "$work/upper/"
    chmod 755 "$work/upper" # it becomes /, whatever the layer was
    mkdir -p "$work/upper/etc/systemd/system"
    for name in $masked; do ln -sf /dev/null "$work/upper/etc/systemd/system/$name"; done
    : >"$work/upper/etc/fstab"
    mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" overlay "$work/root"
}

mount_kernel() {
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    for place in run var/log; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
    mount -t tmpfs -o mode=1777 tmpfs tmp
}

mount_devices() {
    mount -t tmpfs -o mode=755 tmpfs dev
    for node in null zero full random urandom tty; do
        : >"dev/$node"
        mount --bind "/dev/$node" "dev/$node"
    done
    mkdir dev/shm dev/pts
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    : >dev/console
}

lay_root
cd "$work/root"
mount_kernel
mount_devices
ip link set lo up
hostname tocsin-test
mkdir run/before
pivot_root . run/before
# Shared propagation, or credentials and private mounts don't reach the services.
exec chroot . /bin/sh -c '
    umount -l /run/before && rmdir /run/before && mount --make-rshared /
    exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        /lib/systemd/systemd --system --unit=basic.target --show-status=no </dev/null >/dev/console 2>&1'
