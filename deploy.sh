#!/bin/sh
# Installs the desk on a plain server and keeps it running: `sh deploy.sh` is all; `sh deploy.sh help` lists the rest.
# Doing it again changes nothing that is in place. Without root everything stays below one folder.
set -eu

SOURCE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
say() { printf '%s\n' "$*" >&2; }
fail() { say "错误：$*"; exit 1; }

usage() {
    cat <<'USAGE'
用法：sh deploy.sh [命令] [选项]
命令：install（缺省） upgrade start stop restart status configure（只写设置） uninstall help
选项：
  --home DIR            安装到哪里；缺省 ~/rex-desk，root 为 /opt/rex-desk
  --port N              工作台的端口，缺省 8501
  --address ADDRESS     监听的地址，缺省 127.0.0.1；其他地址必须先设登录
  --prefix PATH         URL 前缀，例如 /desk
  --health-port N       健康检查与指标的端口（只在本机），缺省 9464
  --model NAME          embedded（缺省）、检查点目录或 ModelScope 编号
  --model-revision REV  ModelScope 的版本；请固定标签或提交
  --device DEVICE       auto（缺省）、cpu、cuda、cuda:N
  --profile NAME        显卡配置，缺省 auto：启动时按显卡选择
  --service KIND        auto（缺省）、system、user（systemd）或 process（自己看护）
  --user NAME           root 安装时运行服务的用户，缺省 rex-desk
  --python PATH         用哪个 Python 建虚拟环境
  --venv DIR            用现成的虚拟环境，不安装软件包
  --wait SECONDS        等模型就绪的最长时间，缺省 300
  --dry-run             只说要做什么，不做
  --purge --yes         uninstall 时连数据一起删除
USAGE
}

COMMAND=install
case "${1:-}" in
    '' | -*) ;;
    *) COMMAND=$1; shift ;;
esac

ROOT='' PORT='' ADDRESS='' PREFIX='' PREFIX_GIVEN='' HEALTH='' MODEL='' REVISION='' DEVICE='' PROFILE=''
SERVICE=auto SERVICE_USER=rex-desk PYTHON=${PYTHON:-} GIVEN_VENV='' WAIT=300 DRY='' PURGE='' YES=''
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) DRY=yes; shift; continue ;;
        --purge) PURGE=yes; shift; continue ;;
        --yes) YES=yes; shift; continue ;;
        -h | --help) usage; exit 0 ;;
    esac
    [ $# -ge 2 ] || fail "$1 需要一个值，或不是选项；sh deploy.sh help 列出全部"
    case $1 in
        --home) ROOT=$2 ;;
        --port) PORT=$2 ;;
        --address) ADDRESS=$2 ;;
        --prefix) PREFIX=$2 PREFIX_GIVEN=yes ;;
        --health-port) HEALTH=$2 ;;
        --model) MODEL=$2 ;;
        --model-revision) REVISION=$2 ;;
        --device) DEVICE=$2 ;;
        --profile) PROFILE=$2 ;;
        --service) SERVICE=$2 ;;
        --user) SERVICE_USER=$2 ;;
        --python) PYTHON=$2 ;;
        --venv) GIVEN_VENV=$2 ;;
        --wait) WAIT=$2 ;;
        *) fail "不认识的选项 $1；sh deploy.sh help 列出全部" ;;
    esac
    shift 2
done

# Values go into a file that systemd and sh read: only characters that mean nothing to either.
safe() {
    case $2 in
        *[!A-Za-z0-9._:/@+,%-]*) fail "$1 的值含有不能使用的字符：$2" ;;
    esac
}
number() {
    case $2 in
        '' | *[!0-9]*) fail "$1 要一个数字，而不是 $2" ;;
    esac
}
if [ -z "$ROOT" ]; then
    if [ "$(id -u)" -eq 0 ]; then ROOT=/opt/rex-desk; else ROOT=$HOME/rex-desk; fi
fi
case $ROOT in /*) ;; *) ROOT=$(pwd)/$ROOT ;; esac
ROOT=${ROOT%/}
[ -n "$ROOT" ] || fail "--home 不能是 /"
safe --home "$ROOT"
for pair in "--address=$ADDRESS" "--prefix=$PREFIX" "--model=$MODEL" "--model-revision=$REVISION" "--device=$DEVICE" \
    "--profile=$PROFILE" "--user=$SERVICE_USER"; do
    safe "${pair%%=*}" "${pair#*=}"
done
for pair in "--port=${PORT:-0}" "--health-port=${HEALTH:-0}" "--wait=$WAIT"; do
    number "${pair%%=*}" "${pair#*=}"
done
case $SERVICE in auto | system | user | process) ;; *) fail "--service 可选 auto、system、user、process" ;; esac
CONFIG=$ROOT/config/desk.env

# Runs a command, or only says so.
run() {
    if [ -n "$DRY" ]; then say "+ $*"; else "$@"; fi
}

# write_file PATH MODE CONTENT: whole or not at all, never readable by others meanwhile; untouched when it is so already.
write_file() {
    [ -f "$1" ] && [ "$(cat "$1")" = "$3" ] && return 0
    if [ -n "$DRY" ]; then
        say "+ 写入 $1（权限 $2）"
        return 0
    fi
    (umask 077 && printf '%s\n' "$3" >"$1.part")
    chmod "$2" "$1.part"
    mv "$1.part" "$1"
}

# Runs a command as the user of the service; root alone has another one.
as_service() {
    if [ "$(id -u)" -eq 0 ] && [ "$SERVICE_USER" != root ]; then
        setpriv --reuid "$SERVICE_USER" --regid "$(id -g "$SERVICE_USER")" --init-groups env HOME="$ROOT" "$@"
    else
        "$@"
    fi
}

# shellcheck source=scripts/deploy_release.sh
. "$SOURCE/scripts/deploy_release.sh"
# shellcheck source=scripts/deploy_service.sh
. "$SOURCE/scripts/deploy_service.sh"

# Prints a value of the settings in force, empty without.
setting() {
    [ -f "$CONFIG" ] || return 0
    sed -n "s/^$1=\"\\(.*\\)\"\$/\\1/p" "$CONFIG"
}

# Prints the first that is not empty: what was asked for, what is set, the default.
choose() {
    for value in "$@"; do
        [ -z "$value" ] || { printf '%s' "$value"; return 0; }
    done
}

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Writes the settings; what was set before and is not asked for anew stays, secrets above all, and lines of the user's.
configure() {
    if [ -z "$PREFIX_GIVEN" ]; then PREFIX=$(setting DESK_PREFIX); fi
    PREFIX=$(printf '%s' "$PREFIX" | sed 's|^/*||; s|/*$||')
    MODEL=$(choose "$MODEL" "$(setting DESK_MODEL)" embedded)
    # Of the included model nothing is set: it stays the default, which the model page may change.
    chosen=
    if [ "$MODEL" != embedded ]; then chosen="
REX_MODEL=\"$MODEL\"
REX_MODEL_REVISION=\"$(choose "$REVISION" "$(setting REX_MODEL_REVISION)" master)\""; fi
    # Whoever can come from elsewhere is asked who he is.
    case $(choose "$ADDRESS" "$(setting DESK_ADDRESS)" 127.0.0.1) in
        127.* | localhost | ::1) auth=none ;;
        *)
            auth=accounts
            [ "$(setting REX_AUTH)" != none ] || fail "要监听 $ADDRESS，先把 $CONFIG 里的 REX_AUTH 改为 accounts、oidc 或 proxy"
            ;;
    esac
    own=$(cat <<ENV
DESK_PORT="$(choose "$PORT" "$(setting DESK_PORT)" 8501)"
DESK_ADDRESS="$(choose "$ADDRESS" "$(setting DESK_ADDRESS)" 127.0.0.1)"
DESK_PREFIX="$PREFIX"
DESK_SERVICE="$KIND"
STREAMLIT_SERVER_COOKIE_SECRET="$(choose "$(setting STREAMLIT_SERVER_COOKIE_SECRET)" "$(secret)")"
REX_DATA_DIR="$ROOT/data"
DESK_MODEL="$MODEL"
REX_DEVICE="$(choose "$DEVICE" "$(setting REX_DEVICE)" auto)"
REX_PROFILE="$(choose "$PROFILE" "$(setting REX_PROFILE)" auto)"
REX_AUTH="$(choose "$(setting REX_AUTH)" "$auth")"
REX_PRELOAD="true"
REX_HEALTH_PORT="$(choose "$HEALTH" "$(setting REX_HEALTH_PORT)" 9464)"
REX_LOG_FILE="$ROOT/logs/desk.log"$chosen
ENV
    )
    names=$(printf '%s\n' "$own" REX_MODEL REX_MODEL_REVISION | sed 's/=.*//' | tr '\n' '|')
    more=$([ ! -f "$CONFIG" ] || grep -vE "^(${names%|})=" "$CONFIG" || true)
    if [ -n "$more" ]; then own="$own
$more"; fi
    write_file "$CONFIG" 600 "$own"
}

make_folders() {
    for folder in releases config data backups logs run; do
        [ -d "$ROOT/$folder" ] || run mkdir -p "$ROOT/$folder"
    done
    if [ -z "$DRY" ]; then chmod 700 "$ROOT/config" "$ROOT/data" "$ROOT/backups" "$ROOT/logs" "$ROOT/run"; fi
    [ "$(id -u)" -eq 0 ] && [ "$SERVICE_USER" != root ] || return 0
    id "$SERVICE_USER" >/dev/null 2>&1 || run useradd --system --home-dir "$ROOT" --shell /usr/sbin/nologin "$SERVICE_USER"
}

give_folders() {
    [ "$(id -u)" -eq 0 ] && [ "$SERVICE_USER" != root ] || return 0
    run chown -R "$SERVICE_USER": "$ROOT/config" "$ROOT/data" "$ROOT/backups" "$ROOT/logs" "$ROOT/run"
}

# Prints the name of the release that serves, empty without one.
current() { cat "$ROOT/app/.release" 2>/dev/null || true; }

# Puts a prepared release in the place that serves, which always has the same path: jobs note where their model was.
switch_to() {
    old=$(current)
    [ -z "$old" ] || run mv "$ROOT/app" "$ROOT/releases/$old"
    run mv "$ROOT/releases/$1" "$ROOT/app"
}

# Prints what /readyz says; true once the model is loaded.
ready() {
    "$(cat "$ROOT/app/.venv-path")/bin/python" - "$(setting REX_HEALTH_PORT)" "$(setting DESK_ADDRESS)" \
        "$(setting DESK_PORT)" "$(setting DESK_PREFIX)" <<'PY'
import sys, urllib.error, urllib.request
health, address, port, prefix = sys.argv[1:]
address = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, address)
try:
    answer = urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz", timeout=5)
except urllib.error.HTTPError as error:
    answer = error
except OSError:
    sys.exit(2)
print(answer.read().decode())
if answer.status != 200:
    sys.exit(1)
path = "/".join(part for part in (prefix, "_stcore/health") if part)
try:
    urllib.request.urlopen(f"http://{address}:{port}/{path}", timeout=5)
except OSError as error:
    print(f"{address}:{port}: {error}")
    sys.exit(1)
PY
}

# Waits until requests can be answered; fails when the service ends or the time is over.
await_ready() {
    [ -z "$DRY" ] || return 0
    until_s=$(($(date +%s) + WAIT))
    sleep 1
    while [ "$(date +%s)" -lt "$until_s" ]; do
        if ready >/dev/null 2>&1; then
            say "就绪：http://$(setting DESK_ADDRESS):$(setting DESK_PORT)/$(setting DESK_PREFIX)"
            return 0
        fi
        # The first seconds belong to whatever starts it.
        is_running || [ $((until_s - WAIT + 15)) -gt "$(date +%s)" ] || { say "服务已经停止，日志在 $ROOT/logs"; return 1; }
        sleep 1
    done
    say "$WAIT 秒内没有就绪：$(ready 2>/dev/null || true)。日志在 $ROOT/logs"
    return 1
}

# Makes the first administrator where accounts are asked for and nobody has one; the password is shown once.
first_account() {
    [ "$(setting REX_AUTH)" = accounts ] && [ -z "$DRY" ] || return 0
    if [ "$(in_release "$ROOT/app" -m core user list --json)" = "[]" ]; then
        say "建立第一个管理员 admin；密码只显示这一次："
        in_release "$ROOT/app" -m core user add admin --role admin
    fi
}

# Starts unless it runs, and waits for the model.
bring_up() {
    if [ -z "$DRY" ] && ! is_running; then
        code=0
        ready >/dev/null 2>&1 || code=$?
        [ "$code" -eq 2 ] || { say "端口 $(setting REX_HEALTH_PORT) 上已有别的工作台：请用 --health-port 换一个"; return 1; }
    fi
    is_running || start_service
    await_ready
}

# Prepares the release of the source tree beside the one that serves; NEW is its name.
prepare() {
    make_folders
    configure
    if [ "$NEW" != "$(current)" ]; then
        copy_release "$ROOT/releases/$NEW"
        make_environment "$ROOT/releases/$NEW" || fail "虚拟环境没有装好"
    fi
    give_folders
}

install() {
    say "安装到 $ROOT（服务方式：$KIND）"
    NEW=$(release_name)
    if [ -n "$(current)" ] && [ "$(current)" != "$NEW" ]; then
        upgrade
        return
    fi
    before=$(cat "$CONFIG" 2>/dev/null || true)
    prepare
    [ -n "$(current)" ] || switch_to "$NEW"
    fetch_model "$ROOT/app" || fail "没有取得模型"
    in_release "$ROOT/app" -m core doctor --port "$(choose "$(setting DESK_PORT)" "$PORT" 8501)" || fail "体检发现问题，没有启动"
    first_account
    install_service
    # What was set anew is taken up by starting again.
    if [ -z "$DRY" ] && [ -n "$before" ] && [ "$before" != "$(cat "$CONFIG")" ] && is_running; then stop_service; fi
    bring_up || fail "没有启动成功"
}

upgrade() {
    OLD=$(current)
    [ -n "$OLD" ] || fail "$ROOT 里还没有安装：请先 sh deploy.sh install"
    OLD_CONFIG=$(cat "$CONFIG")
    NEW=$(release_name)
    prepare
    if [ "$NEW" = "$OLD" ]; then
        say "已经是这个版本"
        bring_up
        return
    fi
    stop_service
    if ! back_up "$ROOT/app"; then
        write_file "$CONFIG" 600 "$OLD_CONFIG"
        give_folders
        bring_up || true
        fail "没能备份数据库，没有升级，仍是原来的版本"
    fi
    say "从 $OLD 升级到 $NEW"
    switch_to "$NEW"
    if fetch_model "$ROOT/app" && migrate "$ROOT/app" && install_service && bring_up; then
        say "已升级；旧版本留在 $ROOT/releases/$OLD"
        return
    fi
    say "升级失败，退回 $OLD"
    stop_service || true
    switch_to "$OLD"
    write_file "$CONFIG" 600 "$OLD_CONFIG"
    give_folders
    # The service is stopped: whoever else has the database open does not keep the damage in place.
    if [ -n "$BACKUP" ] && ! in_release "$ROOT/app" -m core restore --in-use "$BACKUP"; then
        fail "升级失败，程序已退回，但数据库没有恢复，所以没有启动：请运行 restore $BACKUP，再 deploy.sh start"
    fi
    install_service
    bring_up || fail "升级失败，而且旧版本没有启动：请看 $ROOT/logs"
    fail "升级失败，已退回原来的版本和升级前的数据"
}

status() {
    [ -n "$(current)" ] || { say "$ROOT 里没有安装"; exit 4; }
    say "版本 $(current)，服务方式 $KIND，目录 $ROOT"
    is_running || { say "没有运行"; exit 3; }
    code=0
    ready || code=$?
    [ "$code" -ne 0 ] || say "就绪：http://$(setting DESK_ADDRESS):$(setting DESK_PORT)/$(setting DESK_PREFIX)"
    [ "$code" -eq 0 ] || { say "正在运行，还没有就绪"; exit 1; }
}

uninstall() {
    [ -e "$ROOT/app" ] || [ -d "$ROOT/releases" ] || fail "$ROOT 里没有安装"
    if [ -n "$PURGE" ] && [ -z "$YES" ]; then fail "--purge 会删除 $ROOT/data 里的一切，请加 --yes 确认"; fi
    stop_service
    remove_service
    for part in app releases venvs run logs; do run rm -rf "${ROOT:?}/$part"; done
    if [ -n "$PURGE" ]; then
        for part in data backups config; do run rm -rf "${ROOT:?}/$part"; done
        run rmdir "$ROOT" || true
    else
        say "数据、备份和设置留在 $ROOT；连同数据删除：sh deploy.sh uninstall --home $ROOT --purge --yes"
    fi
}

[ "$SERVICE" != auto ] || SERVICE=$(choose "$(setting DESK_SERVICE)" auto)
KIND=$(service_kind)
case $COMMAND in
    install | upgrade | status | uninstall) "$COMMAND" ;;
    configure) make_folders; configure; give_folders ;;
    start) [ -e "$ROOT/app" ] || fail "$ROOT 里没有安装"; bring_up ;;
    stop) stop_service ;;
    restart) stop_service; bring_up ;;
    _serve) serve ;;
    _supervise) supervise ;;
    help) usage ;;
    *) usage; fail "不认识的命令 $COMMAND" ;;
esac
