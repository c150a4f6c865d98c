# What `install.sh --board` does otherwise than for a box; install.sh reads this file after its own functions.
# The bureau's machine: board, Mosquitto with TLS, a CA of the bureau's own, access list, settings, first start.
# shellcheck shell=bash disable=SC2034,SC2154

opt=/opt/site-agent-board etc=/etc/site-agent-board state=/var/lib/site-agent-board user=site-agent-board
services=(site-agent-board site-agent-board-page)
packages=(python3 python3-venv openssh-client openssl ca-certificates mosquitto)
command=site-agent-board lock=requirements-board.lock
parts=(agent board config docs models scripts systemd)
mosquitto=/etc/mosquitto broker=/etc/mosquitto/site-agent
ca_days=10950 server_days=3650

# ── what is asked and checked before anything changes ──────────────────────────────────────────────────────────────
need_answers() {
  if [ ! -e "$etc/board.toml" ]; then
    if [ -z "$county" ] && [ -t 0 ]; then
      printf '%s ' "$(t "区县编号（主题的第一级，例如 wenshui）：" "ID of the county (first level of all topics, such as wenshui):")" >&2
      read -r county || true
    fi
    [ -n "$county" ] || die "请写明区县编号，例如 --county wenshui" "name the county: --county ID, such as wenshui" 2
    [ -n "$name" ] || name=$county
    if [ -z "$host" ]; then host=$(hostname -I 2>/dev/null | cut -d' ' -f1); [ -n "$host" ] || host=$(hostname); fi
  fi
  [ -z "$county" ] || [[ $county =~ ^[A-Za-z0-9][A-Za-z0-9-]{0,31}$ ]] ||
    die "区县编号“$county”不能用：1 到 32 个字母、数字或连字符" "\"$county\" is no ID of a county: 1 to 32 letters, digits or hyphens" 2
  [ -z "$host" ] || [[ $host =~ ^[A-Za-z0-9.:-]{1,253}$ ]] ||
    die "“$host”不是主机名或地址" "\"$host\" is no host name or address" 2
  [ -z "$name" ] || [[ ${#name} -le 80 && ! $name =~ [\"\\\&\|[:cntrl:]] ]] ||
    die "--name 不能用：80 个字以内，不含引号等符号" "--name cannot be used: at most 80 characters, no quotes" 2
  if [ -e "$mosquitto/mosquitto.conf" ] && ! grep -qE "^include_dir +$mosquitto/conf.d" "$mosquitto/mosquitto.conf"; then
    die "$mosquitto/mosquitto.conf 没有 include_dir $mosquitto/conf.d；请加上这一行" "$mosquitto/mosquitto.conf lacks the line: include_dir $mosquitto/conf.d"
  fi
}

plan() {
  say "将要进行：" "This will:"
  { t "
  1. 安装 Debian 软件包：${packages[*]}
  2. 建立系统用户 $user（不能登录）
  3. 程序和虚拟环境放到 $opt/versions/$new，$opt/current 指向它
  4. 设置放到 $etc（已有的不动），数据库和密钥放到 $state
  5. 在 $etc/ca 建立人社局自己的 CA，为消息服务器签发证书
  6. 消息服务器 Mosquitto：端口 8883，只用 TLS，账号和权限表在 $broker
  7. 安装、启用并启动服务 ${services[*]}，网页端口 8443
  8. 建立第一个网页账号 clerk（经办人），密码只显示一次
" "
  1. install Debian packages: ${packages[*]}
  2. make the system user $user (no login)
  3. put program and virtual environment into $opt/versions/$new, with $opt/current pointing at it
  4. put settings into $etc (existing ones stay), database and keys into $state
  5. make a CA of the bureau's own in $etc/ca, and a certificate for the broker
  6. set up Mosquitto: port 8883, TLS only, accounts and access list in $broker
  7. install, enable and start the units ${services[*]}; pages on port 8443
  8. make the first account of the pages, clerk; its password is shown once
"; } >&2
}

# ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────
folders() {
  install -d -m 0755 "$etc"
  install -d -m 0700 "$etc/credentials" "$etc/ca"
  install -d -m 0700 -o "$user" -g "$user" "$state"
  [ -e "$etc/camera-models.toml" ] || install -m 0644 "$source/config/camera-models.example.toml" "$etc/camera-models.toml"
  if [ ! -e "$etc/board.toml" ]; then
    sed -e "s|^county = \"[^\"]*\"|county = \"$county\"|" -e "s|^language = \"zh\"|language = \"$language\"|" \
        -e "s|^name = \"[^\"]*\"|name = \"$name\"|" \
        -e "/^\[pages\]/,\$ {/^certificate_file =/d; /^key_file =/d; s|^names = .*|names = []|}" \
        "$source/config/board.example.toml" >"$etc/board.toml.new"
    chown "root:$user" "$etc/board.toml.new"; chmod 0640 "$etc/board.toml.new"
    mv "$etc/board.toml.new" "$etc/board.toml"
  fi
  # the only other `host` is the board's own way to the broker, in [broker]
  [ -z "$host" ] || sed -i -e "/^\[enrolment\]/,/^\[/ s|^host = \"[^\"]*\"|host = \"$host\"|" \
    -e "/^\[pages\]/,\$ s|^names = .*|names = [\"$host\"]|" "$etc/board.toml"
}

# the name or address of the broker for boxes, as the settings have it
broker_host() { sed -n '/^\[enrolment\]/,/^\[/ s|^host = "\([^"]*\)".*|\1|p' "$etc/board.toml"; }

# san VALUE: how a certificate names it
san() { if [[ $1 =~ ^[0-9.]+$ || $1 == *:* ]]; then printf 'IP:%s' "$1"; else printf 'DNS:%s' "$1"; fi; }

# the CA is made once; its key never leaves this machine and is root's alone
authority() {
  [ ! -s "$etc/ca/ca.crt" ] || [ ! -s "$etc/ca/ca.key" ] || return 0
  say "建立人社局的 CA" "making the CA of the bureau"
  printf '%s\n' '[req]' 'distinguished_name=dn' 'x509_extensions=ca' '[dn]' '[ca]' 'basicConstraints=critical,CA:TRUE,pathlen:0' \
    'keyUsage=critical,keyCertSign,cRLSign' 'subjectKeyIdentifier=hash' >"$etc/ca/ca.cnf"
  (umask 077; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days "$ca_days" \
    -config "$etc/ca/ca.cnf" -subj "/O=site-agent/CN=site-agent CA $(hostname)" -keyout "$etc/ca/ca.key" -out "$etc/ca/ca.crt.new" 2>/dev/null) ||
    die "CA 建立失败" "the CA could not be made"
  mv "$etc/ca/ca.crt.new" "$etc/ca/ca.crt"
}

# does the broker's certificate name the host, come from this CA and last another 90 days?
certified() {
  local check=(-checkhost "$1")
  [ "$(san "$1")" != "IP:$1" ] || check=(-checkip "$1")
  [ -s "$broker/server.key" ] && openssl verify -CAfile "$etc/ca/ca.crt" "$broker/server.crt" >/dev/null 2>&1 &&
    openssl x509 -in "$broker/server.crt" -noout -checkend $((90 * 86400)) >/dev/null &&
    openssl x509 -in "$broker/server.crt" -noout "${check[@]}" | grep -q 'does match'
}

certificate() {
  local host names; host=$(broker_host); host=${host:-127.0.0.1}
  if certified "$host"; then return 0; fi
  say "为消息服务器签发证书：$host" "making the broker's certificate for $host"
  names="$(san "$host"),$(san "$(hostname)"),DNS:localhost,IP:127.0.0.1"
  printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth' \
    'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' "subjectAltName=$names" >"$etc/ca/server.cnf"
  (umask 077; cd "$etc/ca" && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config ca.cnf \
    -subj "/O=site-agent/CN=site-agent broker" -keyout server.key -out server.csr 2>/dev/null &&
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -sha256 -days "$server_days" \
      -extfile server.cnf -out server.crt 2>/dev/null) ||
    die "证书签发失败" "the certificate could not be made"
  install -m 0640 -o root -g mosquitto "$etc/ca/server.key" "$broker/server.key"
  install -m 0644 "$etc/ca/server.crt" "$broker/server.crt"
  rm -f "$etc/ca"/server.{key,csr,crt,cnf}
  changed=1
}

broker_files() {
  local file
  install -d -m 0755 "$broker"
  authority
  cmp -s "$etc/ca/ca.crt" "$broker/ca.crt" || { install -m 0644 "$etc/ca/ca.crt" "$broker/ca.crt"; changed=1; }
  certificate
  # site-agent-board writes both and keeps owner and mode
  for file in passwords acl; do
    [ -e "$broker/$file" ] || install -m 0640 -o root -g mosquitto /dev/null "$broker/$file"
  done
  [ -e "$mosquitto/conf.d/site-agent.conf" ] || broker_settings
  # by it `enrol` has the broker read accounts again; Debian 13's own file, unlike Debian 12's, has none
  grep -qs '^pid_file ' "$mosquitto/mosquitto.conf" "$mosquitto/conf.d/"*.conf || {
    printf 'pid_file /run/mosquitto/mosquitto.pid\n' >>"$mosquitto/conf.d/site-agent.conf"
    changed=1
  }
}

broker_settings() {
  local line key known
  # what Debian's own file sets already may not be set twice
  known=$(awk '/^[a-z]/ {print $1}' "$mosquitto/mosquitto.conf")
  while IFS= read -r line; do
    key=${line%% *}
    if [[ $key =~ ^[a-z] && $key != log_* ]] && grep -qx "$key" <<<"$known"; then continue; fi
    printf '%s\n' "$line"
  done <"$source/config/mosquitto.example.conf" >"$mosquitto/site-agent.conf.new"
  mv "$mosquitto/site-agent.conf.new" "$mosquitto/conf.d/site-agent.conf"
  changed=1
}

# the board's own account at the broker
board_account() {
  [ -s "$etc/credentials/broker.password" ] || "/usr/local/bin/$command" enrol --board >&2
}

# the first account; its password is shown once, by the command itself
first_account() {
  [ -z "$("/usr/local/bin/$command" account --list --json)" ] || return 0
  "/usr/local/bin/$command" account clerk --role clerk >&2
}

# site-agent-board@NAME is the same unit for another worker of a shared subscription (docs/guide/scale.md)
copy_units() {
  install -m 0644 "$opt/current/systemd/board/"*.service "$units/"
  sed -e 's|^Description=.*|& %i|' -e 's|site-agent-board run |&--worker %i |' "$units/site-agent-board.service" \
    >"$units/site-agent-board@.service"
}

enable() { systemctl -q enable mosquitto "${services[@]}"; }

start_services() {
  booted || return 0
  if [ -n "$changed" ] || ! systemctl -q is-active mosquitto; then
    systemctl restart mosquitto || die "Mosquitto 没有启动；请看：journalctl -u mosquitto -n 50" "Mosquitto did not start; see: journalctl -u mosquitto -n 50"
  fi
  systemctl restart "${services[@]}" || die "看板没有启动；请看：journalctl -u site-agent-board -n 50" "the board did not start; see: journalctl -u site-agent-board -n 50"
  systemctl try-restart 'site-agent-board@*'
}

# ── the three things that can be asked ─────────────────────────────────────────────────────────────────────────────
do_install() {
  changed=''
  need_answers; plan; confirm
  debian_packages; system_user; program; folders; broker_files
  switch_to "$new"; command_link; board_account; first_account; enable; start_services
  tidy
  local page; page=$(page_address "$etc/board.toml" pages)
  say "安装完成。网页：$page" "Installed. Pages: $page"
  say "下一步：sudo site-agent-board enrol --site 地点 --box 终端" "Next: sudo site-agent-board enrol --site SITE --box BOX"
}

# the database is migrated at the start and is not taken back: docs/board.md has the backup before it
do_upgrade() {
  [ -L "$opt/current" ] || die "还没有安装；请不带 --upgrade 运行" "nothing is installed yet; run it without --upgrade" 2
  do_install
}

do_uninstall() {
  say "将移除看板的程序和服务；保留 $etc（CA、账号）、$state（数据库、密钥）和 Mosquitto" "Removes program and unit of the board; $etc (CA, account), $state (database, keys) and Mosquitto stay"
  confirm
  local on=(); booted && on=(--now)
  systemctl -q disable "${on[@]}" "${services[@]}" || true
  local unit
  if booted; then systemctl stop 'site-agent-board@*'; fi
  for unit in "${services[@]}"; do rm -rf "$units/$unit.service" "$units/$unit.service.d"; done
  rm -f "$units"/site-agent-board@.service "$units"/*.wants/site-agent-board@*.service
  rm -rf "/usr/local/bin/$command" "$opt"
  if booted; then systemctl daemon-reload; fi
  say "已移除" "removed"
}
