# shellcheck shell=sh disable=SC2154,SC2153,SC1090
# Sourced by deploy.sh: what is installed. One folder for each release, one virtual environment for each requirements.txt.

# Prints the name of the release that the source tree makes: a checksum of its files.
release_name() {
    (cd "$SOURCE" && release_files | LC_ALL=C sort | tr '\n' '\000' | xargs -0 cksum) | cksum | cut -d ' ' -f 1
}

# Lists the files that belong to a release, relative to the source tree; never a database, uploads or secrets.
release_files() {
    for part in core pages streamlit_app scripts docs .streamlit data/presets data/samples data/models/rex-mini-zh; do
        [ ! -d "$part" ] || find "$part" -type f ! -name '*.pyc' ! -name 'secrets.toml'
    done
    for part in deploy.sh README.md CHANGELOG.md LICENSE data/known_answers.json requirements*.txt; do
        [ ! -f "$part" ] || printf '%s\n' "$part"
    done
}

# Copies the source tree to $1, complete or not at all.
copy_release() {
    [ ! -d "$1" ] || return 0
    say "复制程序到 $1"
    run mkdir -p "$1.part"
    if [ -z "$DRY" ]; then
        (cd "$SOURCE" && release_files | tar -cf - -T -) | tar -xf - -C "$1.part"
    fi
    write_file "$1.part/.release" 644 "$(basename "$1")"
    run mv "$1.part" "$1"
}

# Makes the virtual environment of release $1 unless one of the same requirements is there; sets VENV.
make_environment() {
    if [ -n "$GIVEN_VENV" ]; then
        VENV=$GIVEN_VENV
    else
        VENV="$ROOT/venvs/$(cksum <"$SOURCE/requirements.txt" | cut -d ' ' -f 1)"
        run mkdir -p "$ROOT/venvs"
        # Installing it again does nothing when it is complete.
        run env VENV="$VENV" PYTHON="$PYTHON" sh "$1/scripts/venv.sh" requirements.txt || return 1
    fi
    [ -n "$DRY" ] || [ -x "$VENV/bin/python" ] || { say "没有 $VENV/bin/python"; return 1; }
    # Which environment belongs to which release: going back needs both.
    write_file "$1/.venv-path" 644 "$VENV"
}

# Runs Python of release $1 with the settings of the installation: in_release DIR ARGUMENTS...
in_release() {
    release=$1
    shift
    python="$(cat "$release/.venv-path" 2>/dev/null || printf '%s' "$VENV")/bin/python"
    if [ -n "$DRY" ]; then
        say "+ $python $*"
        return 0
    fi
    # The settings are KEY="value" lines of harmless characters (see `safe`).
    # shellcheck disable=SC2016  # expanded by the inner shell
    as_service sh -c 'cd "$1" && set -a && . "$2" && set +a && shift 2 && exec "$@"' sh "$release" "$CONFIG" "$python" "$@"
}

# Fetches the model that is set, or looks at the included one, so that no visitor waits for a download.
fetch_model() {
    say "检查模型 $MODEL"
    in_release "$1" -c 'from core.config import Settings
from core.model.checkpoint import read_files
s = Settings()
read_files(s.model, revision=s.model_revision, download_dir=s.download_dir)'
}

# Brings the database to the version of release $1.
migrate() {
    in_release "$1" -c 'from core import bootstrap
bootstrap.build().close()'
}

# Writes a backup of the database and sets BACKUP to its path; empty when there is no SQLite file yet.
back_up() {
    BACKUP=
    [ -f "$ROOT/data/app.db" ] || return 0
    BACKUP="$ROOT/backups/desk-$(date +%Y%m%d-%H%M%S).db"
    say "备份数据库到 $BACKUP"
    in_release "$1" -m core backup "$BACKUP"
}
