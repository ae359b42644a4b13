#!/bin/sh
# Prints what this machine reveals about its GPUs, drivers, processors and a folder: one record per line, fields
# separated by tabs, as documented in host.ts. Deno reads /proc, /sys and /dev only for programs with all permissions; a
# task that may only run this file learns no more about them than is printed here. Devices are opened and closed;
# nothing is changed.
#
#   $1  the folder where runs would go
#   $2  for tests: a folder put before the absolute system paths
set -u
LC_ALL=C
export LC_ALL
folder=${1:-.}
root=${2:-}

# Prints a record; control characters in a field, and so tabs and line breaks, become blanks.
record() {
  line=$1
  shift
  for field in "$@"; do
    case $field in
      *[[:cntrl:]]*) field=$(printf '%s' "$field" | tr '[:cntrl:]' ' ') ;;
    esac
    line="$line	$field"
  done
  printf '%s\n' "$line"
}

# Prints the first line of file $1, nothing if it cannot be read.
first_line() {
  [ -r "$1" ] && head -n 1 "$1" 2>/dev/null
}

# ---- Graphics cards ------------------------------------------------------------------------------------------------

# Display controllers have class 0x03.
for card in "$root"/sys/bus/pci/devices/*; do
  class=$(first_line "$card/class") || continue
  case $class in 0x03*) ;; *) continue ;; esac
  driver=
  [ -h "$card/driver" ] && driver=$(readlink "$card/driver")
  record pci "${card##*/}" "$(first_line "$card/vendor")" "$(first_line "$card/device")" "${driver##*/}"
done

version=$(first_line "$root/proc/driver/nvidia/version") && record nvidia-driver "$version"
for information in "$root"/proc/driver/nvidia/gpus/*/information; do
  [ -r "$information" ] && record nvidia-card "$(sed -n 's/^Model:[[:blank:]]*//p' "$information")"
done
for instance in "$root"/proc/driver/nvidia/capabilities/gpu*/mig/gi*; do
  [ -d "$instance" ] && record nvidia-instance "${instance##*/}"
done

# Only opening a device shows whether it can be used: a job's limits are not in its mode.
for device in "$root"/dev/nvidia[0-9]* "$root"/dev/nvidiactl "$root"/dev/dri/renderD*; do
  [ -e "$device" ] || continue
  if (exec 3<>"$device") 2>/dev/null; then
    state=open
  elif [ -r "$device" ] && [ -w "$device" ]; then
    state=refused
  else
    state=denied
  fi
  # shellcheck disable=SC2046 # three words
  record device "${device#"$root"}" "$state" $(stat -c '%a %U %G' "$device" 2>/dev/null)
done

# ---- Libraries -----------------------------------------------------------------------------------------------------

# Prints those of the given libraries that Vulkan and its drivers need, each with the file it leads to.
libraries() {
  for library in "$@"; do
    case ${library##*/} in
      libvulkan* | lib*_nvidia.so.* | libX11.so.6 | libXext.so.6) ;;
      *) continue ;;
    esac
    if [ -e "$library" ]; then
      found=$(readlink -f "$library")
      record library "${library##*/}" "${found#"$root"}"
    fi
  done
}

# In the order of the dynamic loader, which takes the first of a name.
machine=$(uname -m)
old_ifs=$IFS
IFS=:
for folder_of_libraries in ${LD_LIBRARY_PATH:-}; do
  IFS=$old_ifs
  [ -n "$folder_of_libraries" ] && libraries "$folder_of_libraries"/lib*
done
IFS=$old_ifs
if [ -z "$root" ]; then
  list=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null)
  printf '%s\n' "$list" | sed -n 's/.* => //p' | while read -r library; do libraries "$library"; done
fi
for place in "usr/lib/$machine-linux-gnu" "lib/$machine-linux-gnu" usr/lib64 usr/lib usr/local/lib64 usr/local/lib; do
  libraries "$root/$place"/libvulkan* "$root/$place"/lib*_nvidia.so.* "$root/$place"/libX*
done

# ---- Program and user ----------------------------------------------------------------------------------------------

for name in VK_DRIVER_FILES VK_ICD_FILENAMES VK_LOADER_DRIVERS_SELECT VK_LOADER_DRIVERS_DISABLE DENO_WEBGPU_BACKEND \
  NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES SLURM_JOB_ID HOME XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME \
  XDG_DATA_DIRS; do
  eval "value=\${$name:-}"
  [ -n "$value" ] && record variable "$name" "$value"
done

kind=
if [ -e "$root/.dockerenv" ]; then kind=Docker; fi
if [ -e "$root/run/.containerenv" ]; then kind=Podman; fi
if [ -e "$root/.singularity.d" ]; then kind=Apptainer; fi
if [ -n "${KUBERNETES_SERVICE_HOST:-}" ]; then kind=Kubernetes; fi
[ -n "$kind" ] && record container "$kind"

record user "$(id -un 2>/dev/null || id -u)" "$(id -Gn 2>/dev/null)"

# ---- Processors and memory -----------------------------------------------------------------------------------------

processors=$(first_line "$root/sys/devices/system/cpu/online") && record processors "$processors"

# Prints the limits of control group $2 below folder $1, and of its parents.
limits() {
  group=${2%/}
  while :; do
    limit=$(first_line "$1$group/cpu.max") && record quota "$limit"
    limit=$(first_line "$1$group/cpu.cfs_quota_us") &&
      record quota "$limit $(first_line "$1$group/cpu.cfs_period_us")"
    limit=$(first_line "$1$group/memory.max") && record memory "$limit"
    limit=$(first_line "$1$group/memory.limit_in_bytes") && record memory "$limit"
    [ -n "$group" ] || break
    group=${group%/*}
  done
}

# Prints this program's control group of controller $1.
group_of() {
  awk -F: -v name="$1" '$2 ~ "(^|,)" name "(,|$)" { print $3; exit }' "$own"
}
own=$root/proc/self/cgroup
if [ -r "$own" ]; then
  # Version 2 has one tree, version 1 a tree for each controller.
  limits "$root/sys/fs/cgroup" "$(awk -F: '$1 == 0 { print $3 }' "$own")"
  limits "$root/sys/fs/cgroup/cpu" "$(group_of cpu)"
  limits "$root/sys/fs/cgroup/memory" "$(group_of memory)"
fi

# ---- The folder ----------------------------------------------------------------------------------------------------

# If it does not exist, its nearest existing parent shows whether it can be made and how much room there is.
there=$folder
while [ ! -e "$there" ]; do
  case $there in
    */*) there=${there%/*} && there=${there:-/} ;;
    *) there=. ;;
  esac
done
state=closed
if [ -d "$there" ] && [ -w "$there" ]; then state=writable; fi
record folder "$there" "$state" "$(df -Pk "$there" 2>/dev/null | awk 'NR == 2 { print $4 }')"
exit 0
