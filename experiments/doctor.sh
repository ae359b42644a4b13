#!/bin/sh
# Prints facts about this machine's GPUs, one per line: kind and fields, separated by tabs. Deno opens /proc, /sys and
# /dev only for programs with all permissions; a task that may only run this file learns what it prints. It opens and
# closes devices but changes nothing. $1 is for tests: a folder to prepend to all paths.
set -u
root=${1:-}

# Replaces control characters in fields, including tabs and line breaks, by spaces.
fact() {
  printf '%s' "$1"
  shift
  for field in "$@"; do printf '\t%s' "$(printf '%s' "$field" | tr '[:cntrl:]' ' ')"; done
  echo
}

# Display controllers have class 0x03.
for card in "$root"/sys/bus/pci/devices/*; do
  case $(cat "$card/class" 2>/dev/null) in 0x03*) ;; *) continue ;; esac
  driver=$(readlink "$card/driver")
  fact card "$(cat "$card/vendor")" "${driver##*/}"
done
version=$(head -n 1 "$root/proc/driver/nvidia/version" 2>/dev/null) && fact nvidia "$version"
for instance in "$root"/proc/driver/nvidia/capabilities/gpu*/mig/gi*; do
  [ -d "$instance" ] && fact mig "${instance##*/}"
done

# Only opening a device shows whether it can be used: its mode does not include a job's limits.
for device in "$root"/dev/nvidia[0-9]* "$root"/dev/nvidiactl "$root"/dev/dri/renderD*; do
  [ -e "$device" ] || continue
  state=denied
  if (exec 3<>"$device") 2>/dev/null; then state=open; elif [ -r "$device" ] && [ -w "$device" ]; then state=refused; fi
  fact device "${device#"$root"}" "$state" "$(stat -c '%a %U %G' "$device" 2>/dev/null)"
done

# Prints the file that the dynamic loader finds for library $1.
library() {
  IFS=:
  machine=$(uname -m)-linux-gnu
  for folder in ${LD_LIBRARY_PATH:-} "/usr/lib/$machine" "/lib/$machine" /usr/lib64 /usr/lib /usr/local/lib64 /usr/local/lib; do
    if [ -e "$root$folder/$1" ]; then readlink -f "$root$folder/$1" && return; fi
  done
  [ -n "$root" ] || { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | sed -n "s|^[[:blank:]]*$1 .*=> ||p" | head -n 1
}
for name in libvulkan.so.1 libGLX_nvidia.so.0 libX11.so.6 libXext.so.6; do fact library "$name" "$(library $name)"; done

# Vulkan's loader finds drivers by JSON files. Source: Vulkan-Loader, LoaderDriverInterface.md, "Linux Driver Discovery"
places=${XDG_CONFIG_HOME:-${HOME:-}/.config}:${XDG_CONFIG_DIRS:-/etc/xdg}:/usr/local/etc:/etc
places=$places:${XDG_DATA_HOME:-${HOME:-}/.local/share}:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}
IFS=:
if [ -n "${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}" ]; then set -- ${VK_DRIVER_FILES:-$VK_ICD_FILENAMES}; else
  set -- $(for place in $places; do printf '%s/vulkan/icd.d:' "$place"; done)
fi
for place in "$@"; do
  for json in "$root$place" "$root$place"/*.json; do
    case $json in *.json) [ -f "$json" ] || continue ;; *) continue ;; esac
    named=$(sed -n 's/.*"library_path"[[:blank:]]*:[[:blank:]]*"\([^"]*\)".*/\1/p' "$json")
    case $named in
      /*) file=$root$named ;;
      */*) file=${json%/*}/$named ;; # relative to the JSON file
      *) file=$(library "$named") ;;
    esac
    [ -f "$file" ] || file=
    fact driver "${json#"$root"}" "$named" "${file#"$root"}"
  done
done

for name in VK_DRIVER_FILES VK_ICD_FILENAMES VK_LOADER_DRIVERS_SELECT VK_LOADER_DRIVERS_DISABLE DENO_WEBGPU_BACKEND \
  NVIDIA_DRIVER_CAPABILITIES SLURM_JOB_ID; do
  eval "value=\${$name:-}"
  [ -n "$value" ] && fact variable "$name" "$value"
done
[ -e "$root/.dockerenv" ] && fact container Docker
[ -e "$root/run/.containerenv" ] && fact container Podman
[ -e "$root/.singularity.d" ] && fact container Apptainer
[ -n "${KUBERNETES_SERVICE_HOST:-}" ] && fact container Kubernetes
exit 0
