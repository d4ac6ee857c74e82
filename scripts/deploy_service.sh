# shellcheck shell=sh disable=SC2154
# Sourced by deploy.sh: how it is kept running. systemd where it runs, else a supervisor of our own.

UNIT_NAME=rex-desk
STOP_S=30

# Prints which way is used here: system, user or process.
service_kind() {
    if [ "$SERVICE" != auto ]; then
        printf '%s' "$SERVICE"
    elif [ -d /run/systemd/system ] && [ "$(id -u)" -eq 0 ]; then
        printf system
    elif [ -d /run/systemd/system ] && systemctl --user show-environment >/dev/null 2>&1; then
        printf user
    else
        printf process
    fi
}

# Runs systemctl for this kind of unit.
control() {
    if [ "$KIND" = user ]; then run systemctl --user "$@"; else run systemctl "$@"; fi
}

unit_path() {
    if [ "$KIND" = user ]; then
        printf '%s' "${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/$UNIT_NAME.service"
    else
        printf '%s' "/etc/systemd/system/$UNIT_NAME.service"
    fi
}

# Prints the unit file.
unit_text() {
    cat <<UNIT
[Unit]
Description=RexUniNLU desk
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
Type=exec
ExecStart=/bin/sh "$ROOT/app/deploy.sh" _serve --home "$ROOT"
WorkingDirectory=$ROOT
Restart=on-failure
RestartSec=5
TimeoutStopSec=$STOP_S
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
PrivateTmp=yes
UNIT
    if [ "$KIND" = system ]; then
        cat <<UNIT
User=$SERVICE_USER
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths="$ROOT/data" "$ROOT/logs" "$ROOT/run" "$ROOT/backups"

[Install]
WantedBy=multi-user.target
UNIT
    else
        printf '\n[Install]\nWantedBy=default.target\n'
    fi
}

# Installs the unit; with the supervisor there is nothing to install.
install_service() {
    if [ "$KIND" = process ]; then
        say "这里没有 systemd：由 deploy.sh 自己看护进程。开机自启可加入 crontab：@reboot sh $ROOT/app/deploy.sh start --home $ROOT"
        return 0
    fi
    run mkdir -p "$(dirname "$(unit_path)")"
    write_file "$(unit_path)" 644 "$(unit_text)"
    control daemon-reload
    control enable "$UNIT_NAME"
    if [ "$KIND" = user ]; then
        run loginctl enable-linger || say "注意：退出登录后服务会停止；请管理员运行 loginctl enable-linger $(id -un)"
    fi
}

remove_service() {
    [ "$KIND" != process ] || return 0
    control disable "$UNIT_NAME" || true
    run rm -f "$(unit_path)"
    control daemon-reload
}

# True while the service is meant to run: the unit is active, or the supervisor lives.
is_running() {
    if [ "$KIND" = process ]; then
        pid=$(cat "$ROOT/run/supervisor.pid" 2>/dev/null) || return 1
        # A number that the system has given to something else since is not ours.
        tr '\000' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "_supervise --home $ROOT " 2>/dev/null
    elif [ "$KIND" = user ]; then
        systemctl --user is-active --quiet "$UNIT_NAME" 2>/dev/null
    else
        systemctl is-active --quiet "$UNIT_NAME" 2>/dev/null
    fi
}

start_service() {
    if [ "$KIND" != process ]; then
        control start "$UNIT_NAME"
    elif [ -n "$DRY" ]; then
        say "+ sh $ROOT/app/deploy.sh _supervise --home $ROOT &"
    else
        # What the process itself prints; the log proper is turned over by the desk.
        if [ -n "$(find "$ROOT/logs/desk.out" -size +10000k 2>/dev/null)" ]; then mv "$ROOT/logs/desk.out" "$ROOT/logs/desk.out.1"; fi
        # The trailing argument only ends the name of the folder, for `is_running`. Nothing of this process stays open in
        # it: whoever reads what the installation says would wait for ever.
        # shellcheck disable=SC2016  # expanded by the inner shell
        (
            exec </dev/null >/dev/null 2>&1
            as_service setsid sh -c 'umask 077; cd "$1"; exec nohup sh "$1/app/deploy.sh" _supervise --home "$1" --yes >>"$1/logs/desk.out" 2>&1' sh "$ROOT"
        ) &
    fi
}

stop_service() {
    if [ "$KIND" != process ]; then
        control stop "$UNIT_NAME"
        return
    fi
    is_running || return 0
    run kill -TERM "$(cat "$ROOT/run/supervisor.pid")"
    left=$((STOP_S + 5))
    while [ -z "$DRY" ] && is_running; do
        [ "$left" -gt 0 ] || { say "看护进程没有停止"; return 1; }
        left=$((left - 1))
        sleep 1
    done
}

# Becomes the desk (command _serve): the one process of it.
serve() {
    cd "$ROOT/app" || exit 1
    umask 077
    set -a
    # shellcheck disable=SC1090
    . "$CONFIG"
    set +a
    exec "$(cat .venv-path)/bin/python" -m streamlit_app.serve \
        --server.port="$DESK_PORT" --server.address="$DESK_ADDRESS" --server.baseUrlPath="$DESK_PREFIX" \
        --server.headless=true --server.enableXsrfProtection=true --browser.gatherUsageStats=false
}

# Keeps the desk running (command _supervise): starts it again when it fails, each time after a longer pause.
supervise() {
    child=
    trap 'end_child; rm -f "$ROOT/run/supervisor.pid"; exit 0' TERM INT
    echo $$ >"$ROOT/run/supervisor.pid"
    pause=1
    while :; do
        began=$(date +%s)
        sh "$ROOT/app/deploy.sh" _serve --home "$ROOT" &
        child=$!
        status=0
        wait "$child" || status=$?
        child=
        [ "$status" -ne 0 ] || break
        [ $(($(date +%s) - began)) -lt 300 ] || pause=1
        say "$(date '+%F %T') 进程以状态 $status 结束，$pause 秒后重新启动"
        sleep "$pause" &
        wait $! || true
        pause=$((pause < 60 ? pause * 2 : 60))
    done
    rm -f "$ROOT/run/supervisor.pid"
}

end_child() {
    [ -n "$child" ] || return 0
    kill -TERM "$child" 2>/dev/null || return 0
    left=$STOP_S
    while kill -0 "$child" 2>/dev/null; do
        [ "$left" -gt 0 ] || { kill -KILL "$child" 2>/dev/null; break; }
        left=$((left - 1))
        sleep 1
    done
}
