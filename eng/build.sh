# shellcheck shell=bash
# Sourced by ./om and ./test with $root set: finds .NET, tells without MSBuild whether a build is out of date, and builds.
#
# A unit is what one call builds: `cli` is the command line, `all` the whole solution, tests included. .build/UNIT.built lists the
# files, with time and size, of the last build that succeeded; .build/UNIT.tried those of the last one that ended at all.

: "${root:?}"
framework=net10.0
program=$root/src/Cli/bin/Release/$framework/om

say()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# Sets $dotnet; the built programs find the same runtime through DOTNET_ROOT.
find_dotnet()
{
    local place
    dotnet=$(type -P dotnet) || for place in "${DOTNET_ROOT:-}" ~/.dotnet /usr/share/dotnet /usr/lib/dotnet /usr/local/share/dotnet; do
        [[ -x $place/dotnet ]] && dotnet=$place/dotnet && break
    done
    if [[ -z $dotnet ]]; then
        say "needs the .NET SDK 10, found none: install it from https://dotnet.microsoft.com/download/dotnet/10.0"
        exit 1
    fi

    [[ -n ${DOTNET_ROOT:-} ]] && return
    place=$dotnet
    [[ -L $place ]] && place=$(readlink -f -- "$place")
    [[ -d ${place%/*}/host/fxr ]] && export DOTNET_ROOT="${place%/*}"
    return 0
}

require_sdk()
{
    (cd -- "$root" && "$dotnet" --version >/dev/null 2>&1) && return
    local found
    found=$("$dotnet" --list-sdks 2>/dev/null | cut -d ' ' -f 1 | paste -sd ' ' -) || true
    say "needs the .NET SDK 10 (global.json says which), found ${found:-none}: install it from https://dotnet.microsoft.com/download/dotnet/10.0"
    exit 1
}

# One line for each file that a build of the unit reads. A file that is edited, added, deleted, renamed, or replaced by an older
# one changes the list; moving the whole checkout does not.
fingerprint()
(
    cd -- "$root" || exit
    shopt -s nullglob nocaseglob # a pattern that matches nothing vanishes
    paths=(src [s]amples Directory.*.{props,targets} nuget.confi[g] global.json .editorconfig)
    [[ $1 == all ]] && paths+=(tests *.sln *.slnf)
    case $OSTYPE in
        darwin* | *bsd*) format=(-f '%Fm|%z|%N') ;;
        *) format=(-c '%y|%s|%n') ;;
    esac
    export TZ=UTC0 LC_ALL=C
    find "${paths[@]}" -type d \( -name bin -o -name obj \) -prune -o -type f -exec stat "${format[@]}" {} + 2>/dev/null | sort
)

# Prints "SUITE<tab>program" for each test project.
test_programs()
{
    local project suite
    for project in "$root"/tests/*.Tests/*.csproj; do
        suite=${project##*/}
        suite=${suite%.csproj}
        printf '%s\t%s\n' "$suite" "${project%/*}/bin/Release/$framework/OrleansMemory.$suite"
    done
}

is_current()
{
    local unit=$1 file
    [[ -x $program && -f $root/.build/$unit.built ]] || return 1
    if [[ $unit == all ]]; then
        while IFS=$'\t' read -r _ file; do
            [[ -x $file ]] || return 1
        done < <(test_programs)
    fi
    [[ $(fingerprint "$unit") == "$(<"$root/.build/$unit.built")" ]]
}

# Succeeds when the unit must be built from scratch: a file changed and is yet no newer than the last build (edited while that ran, or
# replaced by an older one), so that MSBuild, which compares times only, would not compile it; or nothing is known of what is there.
is_hidden_from_msbuild()
{
    local unit path
    compgen -G "$root/src/Cli/obj/Release" >/dev/null && [[ ! -f $root/.build/cli.tried ]] && return
    [[ $1 == all ]] && compgen -G "$root/tests/*/obj/Release" >/dev/null && [[ ! -f $root/.build/all.tried ]] && return
    for unit in cli all; do
        [[ -f $root/.build/$unit.tried ]] || continue
        while IFS='|' read -r _ _ path; do
            [[ $root/$path -nt $root/.build/$unit.tried ]] || return 0
        done < <(fingerprint "$unit" | LC_ALL=C comm -13 "$root/.build/$unit.tried" -)
    done
    return 1
}

lock()
{
    if ! type -P flock >/dev/null; then
        perl -e 'use Fcntl ":flock"; open(my $lock, ">&=", 9) && flock($lock, LOCK_EX) or exit 1'
    elif ! flock -n 9; then
        say "waiting for another build"
        flock 9
    fi
}

# Builds the unit unless another process just did. The subshell holds the lock, also when its caller is killed meanwhile; a compiler
# server that a build leaves behind holds neither the lock nor the caller's stdout and stderr.
build()
(
    unit=$1
    target=src/Cli/Cli.csproj
    units=(cli)
    if [[ $unit == all ]]; then
        target=OrleansMemory.sln
        units=(cli all)
    fi

    cd -- "$root" || exit 1
    if ! { mkdir -p .build && : >>.build/lock; } 2>/dev/null; then
        say "$root is out of date and cannot be written to"
        exit 1
    fi
    exec 9>>.build/lock
    lock || exit 1
    is_current "$unit" && exit 0
    require_sdk

    flags=(-c Release -v q --nologo -clp:NoSummary -nodeReuse:false)
    is_hidden_from_msbuild "$unit" && flags+=(--no-incremental)
    for each in "${units[@]}"; do
        fingerprint "$each" >".build/$each.next"
        rm -f ".build/$each.built" ".build/$each.tried"
    done

    say "building $target"
    export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en
    code=0
    trap 'exit 130' INT
    "$dotnet" build "$target" "${flags[@]}" >.build/build.log 2>&1 </dev/null 9>&- || code=$?
    for each in "${units[@]}"; do
        cp ".build/$each.next" ".build/$each.tried"
        if ((code == 0)); then
            cp ".build/$each.next" ".build/$each.built"
        fi
        rm ".build/$each.next"
    done
    if ((code != 0)); then
        grep -E '(^|[ :])error ' .build/build.log | sort -u >&2 || cat .build/build.log >&2
        say "the build of $target failed; .build/build.log has all of it"
        exit 1
    fi
)

find_dotnet
