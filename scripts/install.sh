#!/usr/bin/env bash
# Installs site-agent on Debian 12 or 13 as systemd services. Can be run again at any time.
#   install.sh                install, or mend an installation; asks before it changes anything
#   install.sh --upgrade      the same with the new program; goes back by itself where it does not work
#   install.sh --uninstall    removes program and units; settings, keys, catalog and recordings stay
#   --board                   the bureau's board instead of a box (scripts/install-board.sh says what that is); with it
#                             --county ID, --host NAME (the broker as boxes reach it), --name TEXT (on countersignatures)
#   --wheels DIR              no network: Python wheels and Debian packages from a folder made by scripts/wheelhouse
#   --yes                     do not ask       --start  start the service at once      --language zh|en
#   --in-class                restart the service even while a class is being recorded (costs some seconds of picture)
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

opt=/opt/site-agent etc=/etc/site-agent state=/var/lib/site-agent user=site-agent
units=/etc/systemd/system
services=(site-agent site-agent-page)
packages=(python3 python3-venv openssh-client openssl ca-certificates libgl1 libglib2.0-0 smartmontools exfatprogs ntfs-3g fdisk systemd-timesyncd)
mode=install wheels='' yes='' start='' in_class='' language=zh board='' county='' host='' name=''
# what the program consists of; a box has no board
command=site-agent lock=requirements.lock parts=(agent config docs models scripts systemd)

# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────
t() { if [ "$language" = en ]; then printf '%s' "$2"; else printf '%s' "$1"; fi; }
say() { printf '── %s\n' "$(t "$@")" >&2; }
die() { printf 'install.sh: %s\n' "$(t "$@")" >&2; exit "${3:-1}"; }

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
      --upgrade|--uninstall) mode=${1#--} ;;
      --board) board=1 ;;
      --county|--host|--name)
        [ -n "${2:-}" ] || die "$1 后面要写内容" "$1 needs a value" 2; printf -v "${1#--}" %s "$2"; shift ;;
      --wheels) [ -n "${2:-}" ] || die "--wheels 后面要写文件夹" "--wheels needs a folder" 2; wheels=$2; shift ;;
      --language)
        case ${2:-} in zh|en) language=$2 ;; *) die "--language 只能是 zh 或 en" "--language is zh or en" 2 ;; esac; shift ;;
      --yes) yes=1 ;;
      --start) start=1 ;;
      --in-class) in_class=1 ;;
      *) sed -n '2,11p' "$0" >&2; exit 2 ;;
    esac
    shift
  done
}

# ── what can be known before anything changes ──────────────────────────────────────────────────────────────────────
booted() { [ -d /run/systemd/system ]; }

# the line that does the same as root: from a stick it must be the stick's own, which alone works without network
as_root() {
  local called=$0
  if [ -n "$wheels" ] && [ -f "$wheels/install.sh" ]; then called=$wheels/install.sh; fi
  # quoted only where it must be: %q would spell Chinese folder names in numbers
  case $called in *[[:space:]]*) called="\"$called\"" ;; esac
  [ -z "$board" ] || called="$called --board"
  [ "$mode" = install ] || called="$called --$mode"
  if command -v sudo >/dev/null; then printf 'sudo bash %s' "$called"; else printf "su -c 'bash %s'" "$called"; fi
}

check() {
  [ "$(id -u)" -eq 0 ] || die "请用 root 运行：$(as_root)" "run it as root: $(as_root)" 2
  local id='' version=''
  # shellcheck disable=SC1091
  id=$(. /etc/os-release; echo "$ID") version=$(. /etc/os-release; echo "${VERSION_ID:-}")
  case "$id $version" in
    'debian 12'|'debian 13') ;;
    *) die "只支持 Debian 12 和 13，本机是 $id $version；请先安装其一" "only Debian 12 and 13 are supported, this is $id $version; install one of them first" 2 ;;
  esac
  release=$version
  command -v systemctl >/dev/null || die "缺少 systemd；请安装：apt-get install systemd" "systemd is missing: apt-get install systemd"
  local free; free=$(df -Pk /opt | awk 'NR==2 {print int($4/1024)}')
  [ "$free" -ge 2048 ] || die "/opt 所在磁盘只剩 ${free} MB，至少需要 2048 MB；请先清理" "the disk of /opt has ${free} MB left, 2048 MB are needed; make room first"
  [ -z "$wheels" ] || check_stick
}

check_stick() {
  wheels=$(cd "$wheels" 2>/dev/null && pwd) || die "没有文件夹 $wheels；请插好安装盘" "there is no folder $wheels; attach the stick" 2
  [ -d "$wheels/debian/$release" ] || die "安装盘 $wheels 不含 Debian $release 的软件包；请用 scripts/wheelhouse 重新制作" "the stick $wheels holds no packages for Debian $release; make it again by scripts/wheelhouse" 2
  local made='' mine; mine=$(dpkg --print-architecture)
  if [ -f "$wheels/architecture" ]; then made=$(cat "$wheels/architecture"); fi
  [ -z "$made" ] || [ "$made" = "$mine" ] || die "安装盘 $wheels 是为 $made 制作的，本机是 $mine；请在 $mine 的电脑上用 scripts/wheelhouse 重新制作" "the stick $wheels is for $made, this machine is $mine; make it by scripts/wheelhouse on a $mine machine" 2
  (cd "$wheels" && sha256sum --quiet -c SHA256SUMS >&2) || die "安装盘上的文件已损坏；请重新制作" "files on the stick are damaged; make it again"
}

confirm() {
  [ -z "$yes" ] || return 0
  printf '%s [y/N] ' "$(t "开始吗？" "Go on?")" >&2
  local answer=''; read -r answer || true
  case $answer in [yY]*) ;; *) die "未作任何改动" "nothing was changed" 1 ;; esac
}

# a table of the classes that cameras record now; nothing where there is none, or the installed version cannot say
under_way() {
  booted && systemctl -q is-active site-agent && [ -L "$opt/current" ] || return 0
  as_user "$opt/current/.venv/bin/site-agent" classes now --language "$language" 2>/dev/null || true
}

# a restart of the service costs some seconds of picture, an upgrade that goes back up to some minutes
not_in_class() {
  [ -z "$in_class" ] || return 0
  local classes; classes=$(under_way)
  [ -n "$classes" ] || return 0
  say "正在上课，此时重启服务会缺失一段录像：" "A class is under way; restarting the service now loses some of its recording:"
  printf '%s\n' "$classes" >&2
  if [ -n "$yes" ] || [ ! -t 0 ]; then
    die "未切换版本；请在课间运行，一定要现在进行请加 --in-class" "nothing was switched; run this in a break, or add --in-class to do it now all the same"
  fi
  confirm; in_class=1
}

plan() {
  say "将要进行：" "This will:"
  { t "
  1. 安装 Debian 软件包：${packages[*]}
  2. 建立系统用户 $user（不能登录）
  3. 程序和虚拟环境放到 $opt/versions/$new，$opt/current 指向它
  4. 设置放到 $etc（已有的不动），状态放到 $state；生成签名密钥、网页证书和网页的第一个账号（密码只显示一次）
  5. 安装并启用服务 site-agent、site-agent-page（检查页面）、site-agent-maintenance.timer
" "
  1. install Debian packages: ${packages[*]}
  2. make the system user $user (no login)
  3. put program and virtual environment into $opt/versions/$new, with $opt/current pointing at it
  4. put settings into $etc (existing ones stay), state into $state; make the signing key, the page's
     certificate and its first account (the password is shown once)
  5. install and enable the units site-agent, site-agent-page (the inspectors' page) and
     site-agent-maintenance.timer
"; } >&2
}

# ── steps; each looks first and does only what is missing ──────────────────────────────────────────────────────────
have() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

debian_packages() {
  local missing=() package apt=(apt-get -y -q --no-install-recommends)
  for package in "${packages[@]}"; do have "$package" || have "${package}t64" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "安装软件包：${missing[*]}" "installing packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  if [ -n "$wheels" ]; then
    scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
    mkdir -p "$scratch/none" "$scratch/lists/partial" "$scratch/archives/partial"
    ln -s "$wheels/debian/$release" "$scratch/packages"
    echo "deb [trusted=yes] file:$scratch/packages ./" >"$scratch/stick.list"
    apt+=(-o "Dir::Etc::sourcelist=$scratch/stick.list" -o "Dir::Etc::sourceparts=$scratch/none" -o "Dir::State::lists=$scratch/lists"
          -o "Dir::Cache::archives=$scratch/archives" -o APT::Sandbox::User=root)
  fi
  "${apt[@]}" update >/dev/null && "${apt[@]}" install "${missing[@]}" >/dev/null ||
    die "软件包安装失败；请检查网络或安装盘，然后重新运行" "packages could not be installed; check the network or the stick, then run this again"
}

system_user() {
  getent passwd "$user" >/dev/null ||
    useradd --system --user-group --home-dir "$state" --no-create-home --shell /usr/sbin/nologin "$user"
}

# the program's name: its version and a sum over its files, so that the same program is never installed twice
name_of_source() {
  local version sum
  version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$source/agent/__init__.py")
  sum=$(cd "$source" && find "${parts[@]}" pyproject.toml "$lock" -type f ! -path 'docs/*' \
        ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-10)
  echo "$version-$sum"
}

program() {
  local target=$opt/versions/$new pip
  if [ -f "$target/complete" ]; then return 0; fi
  say "安装程序（几分钟）" "installing the program (a few minutes)"
  rm -rf "$target"; mkdir -p "$target"
  tar -C "$source" --exclude __pycache__ --exclude '*.egg-info' -cf - "${parts[@]}" \
      pyproject.toml "$lock" README.md SECURITY.md SECURITY.zh.md LICENSE | tar -C "$target" --no-same-owner -xf -
  python3 -m venv "$target/.venv"
  pip=("$target/.venv/bin/python" -m pip --disable-pip-version-check -qq --no-cache-dir)
  [ -z "$wheels" ] || export PIP_NO_INDEX=1 PIP_FIND_LINKS="$wheels/wheels"
  # setuptools first: it builds the one library that comes as source, and the agent itself, without a second download
  "${pip[@]}" install --require-hashes --no-deps -r <(only setuptools "$target/$lock") &&
    "${pip[@]}" install --require-hashes --no-deps --no-build-isolation --use-pep517 -r "$target/$lock" &&
    "${pip[@]}" install --no-deps --no-build-isolation -e "$target" &&
    "$target/.venv/bin/python" -m compileall -q "$target/agent" ||
    { rm -rf "$target"; die "Python 库安装失败，原有版本未改动；请检查网络或安装盘" "Python libraries could not be installed and nothing was switched; check the network or the stick"; }
  # the package names both programs; a box is given one
  [ -n "$board" ] || rm -f "$target/.venv/bin/site-agent-board"
  touch "$target/complete"
}

# one requirement of a lock, with its hashes
only() { awk -v name="^$1==" '$0 ~ name {on=1} on {print} on && !/\\$/ {exit}' "$2"; }

folders() {
  install -d -m 0755 "$etc"
  install -d -m 0700 "$etc/credentials"
  install -d -m 0700 -o "$user" -g "$user" "$state"
  install -d -m 0755 /media/evidence
  if [ ! -e "$etc/agent.toml" ]; then
    install -m 0640 -o root -g "$user" "$source/config/agent.example.toml" "$etc/agent.toml"
    sed -i "s/^language = \"zh\"/language = \"$language\"/" "$etc/agent.toml"
    fresh=1
  fi
}

command_link() {
  install -d /usr/local/bin
  printf '#!/bin/sh\nexec %s/current/.venv/bin/%s "$@"\n' "$opt" "$command" >"/usr/local/bin/$command.new"
  chmod 0755 "/usr/local/bin/$command.new"
  mv "/usr/local/bin/$command.new" "/usr/local/bin/$command"
}

# as the service's user, so that what it makes belongs to the service
as_user() { setpriv --reuid="$user" --regid="$user" --init-groups env -C / HOME="$state" "$@"; }

# signing key and the page's certificate; on a fresh box the page's first account, whose password is shown here alone
first_state() {
  as_user "$opt/current/.venv/bin/site-agent" setup --keys >&2
  if [ -n "$fresh" ]; then as_user "$opt/current/.venv/bin/site-agent" setup --account admin >&2; fi
}

# page_address FILE SECTION: where people find the pages, by the settings
page_address() {
  local section host port
  section=$(sed -n "/^\[$2\]/,/^\[/p" "$1")
  host=$(sed -n 's/^names = \["\([^"]*\)".*/\1/p' <<<"$section") port=$(sed -n 's/^port = \([0-9]*\).*/\1/p' <<<"$section")
  [ -n "$host" ] || host=$(hostname -I 2>/dev/null | cut -d' ' -f1)
  [ -n "$host" ] || host=$(hostname)
  case $host in *:*) host="[$host]" ;; esac
  printf 'https://%s:%s/' "$host" "${port:-8443}"
}

copy_units() { install -m 0644 "$opt/current/systemd/"*.service "$opt/current/systemd/"*.timer "$units/"; }

switch_to() {
  ln -sfn "versions/$1" "$opt/current.new"
  mv -T "$opt/current.new" "$opt/current"
  copy_units
  # growing pauses between restarts: systemd 254 and newer know how
  if [ "$(systemctl --version | awk 'NR==1 {print $2}')" -ge 254 ]; then
    local unit
    for unit in "${services[@]}"; do
      install -d "$units/$unit.service.d"
      printf '[Service]\nRestartSteps=6\nRestartMaxDelaySec=60\n' >"$units/$unit.service.d/back-off.conf"
    done
  fi
  if booted; then systemctl daemon-reload; fi
}

enable() {
  systemctl -q enable "${services[@]}" site-agent-maintenance.timer
  if booted; then systemctl -q start site-agent-maintenance.timer; fi
}

# ── the three things that can be asked ─────────────────────────────────────────────────────────────────────────────
do_install() {
  fresh=''
  not_in_class; plan; confirm
  debian_packages; system_user; program; folders
  not_in_class
  switch_to "$new"; command_link; first_state; enable
  if booted && { [ -z "$fresh" ] || [ -n "$start" ]; }; then
    local unit
    for unit in "${services[@]}"; do
      systemctl restart "$unit" || die "服务 $unit 没有启动；请看：journalctl -u $unit -n 50" "the service $unit did not start; see: journalctl -u $unit -n 50"
    done
  fi
  tidy
  local page; page=$(page_address "$etc/agent.toml" serve)
  say "安装完成。检查页面：$page（服务启动后可用）" "Installed. The inspectors' page: $page (once the services run)"
  say "下一步：sudo site-agent setup" "Next: sudo site-agent setup"
}

do_upgrade() {
  local old before=$state/before-upgrade
  [ -L "$opt/current" ] || die "还没有安装；请不带 --upgrade 运行" "nothing is installed yet; run it without --upgrade" 2
  old=$(basename "$(readlink "$opt/current")")
  [ "$old" != "$new" ] || { say "已是这个版本：$new" "this version is installed already: $new"; return 0; }
  not_in_class; plan; confirm
  debian_packages; program; folders
  booted || { switch_to "$new"; return 0; }
  # minutes have passed: a class may have begun
  not_in_class
  rm -rf "$before"; install -d -m 0700 "$before"
  site-agent doctor --json >"$before/doctor.json" 2>/dev/null || true
  systemctl stop "${services[@]}" 2>/dev/null || systemctl stop site-agent
  cp -a "$state"/catalog.db* "$before/" 2>/dev/null || true
  switch_to "$new"
  enable
  if systemctl start "${services[@]}" && healthy "$before/doctor.json"; then
    tidy; say "已升级到 $new" "upgraded to $new"; return 0
  fi
  say "新版本不能正常工作，正在退回 $old" "the new version does not work, going back to $old"
  systemctl stop "${services[@]}" || true
  switch_to "$old"
  old_services
  if ! systemctl start "${services[@]}"; then
    # the new version may have changed the catalog beyond what the old one reads; the drive's journal has the difference
    systemctl stop "${services[@]}" || true
    rm -f "$state"/catalog.db*; cp -a "$before"/catalog.db* "$state/"
    systemctl start "${services[@]}" || die "退回 $old 后服务仍未启动；请看：journalctl -u site-agent" "back on $old, but the service does not start; see: journalctl -u site-agent"
  fi
  rm -rf "${opt:?}/versions/$new"
  die "升级失败，已退回 $old，录像继续；新版本的日志：journalctl -u site-agent" "the upgrade failed; $old is running again. The new version's log: journalctl -u site-agent"
}

# what the version that is current now brings: before it was a unit of its own the page was part of the agent
old_services() {
  if [ ! -e "$opt/current/systemd/site-agent-page.service" ]; then
    systemctl -q disable site-agent-page.service || true
    rm -rf "$units/site-agent-page.service" "$units/site-agent-page.service.d"
    systemctl daemon-reload
    services=(site-agent)
  fi
}

# no fault that was not there before; a camera may need a minute to come back
healthy() {
  local try
  for try in 1 2 3 4 5 6; do
    if site-agent doctor --baseline "$1" >&2; then return 0; fi
    [ "$try" -eq 6 ] || sleep 10
  done
  return 1
}

do_uninstall() {
  say "将移除程序和服务；保留 $etc、$state（密钥、目录库）和全部录像" "Removes program and units; $etc, $state (keys, catalog) and all recordings stay"
  confirm
  local unit on=(); booted && on=(--now)
  for unit in "${services[@]}" site-agent-maintenance.timer; do systemctl -q disable "${on[@]}" "$unit" || true; done
  rm -f "$units"/site-agent.service "$units"/site-agent-{page,maintenance,smart}.service "$units"/site-agent-maintenance.timer /usr/local/bin/site-agent
  rm -rf "$units"/site-agent{,-page}.service.d "$opt"
  if booted; then systemctl daemon-reload; fi
  say "已移除" "removed"
}

# keep the running version and the one before it
tidy() {
  local current; current=$(basename "$(readlink "$opt/current")")
  find "$opt/versions" -mindepth 1 -maxdepth 1 ! -name "$current" -printf '%T@ %p\n' | sort -rn | tail -n +2 | cut -d' ' -f2- |
    while read -r path; do rm -rf "$path"; done
}

parse "$@"
# shellcheck source=scripts/install-board.sh
[ -z "$board" ] || . "$source/scripts/install-board.sh"
check
new=$(name_of_source)
"do_$mode"
