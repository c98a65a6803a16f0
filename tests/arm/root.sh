#!/bin/sh
# root.sh DIR: makes DIR a folder like /, of what programs for 64-bit ARM are linked to and run with.
#
# Debian's packages are fetched with the system's own sources and keys and unpacked; the system is left
# as it is: it needs no foreign architecture, and this no root. Does nothing where DIR is complete.
set -eu

[ $# -eq 1 ] || {
    echo "usage: root.sh DIR" >&2
    exit 64
}
[ ! -e "$1/complete" ] || exit 0
packages='libc6 libgcc-s1 libgfortran5 libopenblas0-pthread libopenblas-pthread-dev zlib1g zlib1g-dev
libyaml-0-2 libyaml-dev libjansson4 libjansson-dev libcmocka0 libcmocka-dev'
rm -rf "$1"
mkdir -p "$1/usr/lib" "$1/apt/lists/partial" "$1/apt/archives/partial"
ln -s usr/lib "$1/lib"
root=$(cd "$1" && pwd)
cd "$root/apt"

# Every setting that names a place, so that nothing is shared with the system's own lists.
: >status
cat >apt.conf <<END
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "$root/apt";
Dir::State::status "$root/apt/status";
Dir::Cache "$root/apt";
END
export APT_CONFIG="$root/apt/apt.conf"
# A source without packages for ARM is no hindrance: what counts is whether they can be had.
apt-get -qq update >log 2>&1 || true
# shellcheck disable=SC2086 # a list of words
apt-get -qq download $packages >>log 2>&1 || {
    echo "no packages for ARM: apt-get download: $(grep '^E:' log | tail -n 1)" >&2
    exit 1
}
for package in *.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
done

# Links are to lead where they would lead if this were /; and OpenBLAS is where it is linked to by
# the scripts of its package.
libraries=$root/usr/lib/aarch64-linux-gnu
find "$root" -type l -lname '/*' | while read -r link; do
    ln -sfnr "$root$(readlink "$link")" "$link"
done
ln -sfn openblas-pthread/libopenblas.so.0 "$libraries/libopenblas.so.0"
ln -sfn ../openblas-pthread/pkgconfig/openblas.pc "$libraries/pkgconfig/openblas.pc"
cd "$root"
rm -rf apt
touch complete
