# shellcheck shell=bash
# Sourced by ./om and ./test with $root set: finds .NET, tells without MSBuild whether a build is out of date, and builds.
#
# A unit is what one call builds: `cli` is the command line and om-silo, `all` the whole solution, tests included, `faulty` the command
# line with the bugs that src/Core/Faults.cs names, under .build/faulty. .build/UNIT.built lists the files, with time and size, of the
# last build that succeeded; .build/UNIT.tried those of the last one that ended at all.
#
# Some package sources lack parts of Orleans. .build/orleans holds what was found when the host was restored last: a key of the pins
# and sources it was found with, then `yes`, or why not. Without it everything else is built, by OrleansMemory.WithoutOrleans.slnf.

: "${root:?}"
framework=net10.0
program=$root/src/Cli/bin/Release/$framework/om
silo=$root/src/Silo/bin/Release/$framework/om-silo
# shellcheck disable=SC2034 # for those who source this
faulty=$root/.build/faulty/Cli/bin/Release/$framework/om

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
    paths=(src [s]amples [d]eploy Directory.*.{props,targets} nuget.confi[g] global.json .editorconfig)
    [[ $1 == all ]] && paths+=(tests *.sln *.slnf)
    case $OSTYPE in
        darwin* | *bsd*) format=(-f '%Fm|%z|%N') ;;
        *) format=(-c '%y|%s|%n') ;;
    esac
    export TZ=UTC0 LC_ALL=C
    find "${paths[@]}" -type d \( -name bin -o -name obj \) -prune -o -type f -exec stat "${format[@]}" {} + 2>/dev/null | sort
)

# What an answer about Orleans hangs on.
orleans_key()
(
    if [[ ${OM_WITHOUT_ORLEANS:-} == 1 ]]; then
        echo without
        exit
    fi
    cd -- "$root" || exit
    {
        echo "${NUGET_PACKAGES:-}"
        cat Directory.Packages.props src/Grains/*.csproj src/Silo/*.csproj
        cat [Nn]u[Gg]et.[Cc]onfig ~/.nuget/NuGet/NuGet.Config ~/.config/NuGet/NuGet.Config ~/.nuget/config/* ~/.config/NuGet/config/* /etc/opt/NuGet/Config/*
    } 2>/dev/null | cksum
)

# Sets $orleans to `yes`, or to why the host cannot be built here; empty while nobody tried.
read_orleans()
{
    local key
    orleans=
    if [[ -f $root/.build/orleans ]]; then
        { read -r key && read -r orleans; } <"$root/.build/orleans" || true
        [[ $key == "$(orleans_key)" ]] || orleans=
    fi
}

# Finds out by restoring the host. A source that lacks a package is an answer; one that cannot be reached is an error.
probe_orleans()
{
    local log=.build/restore.log missing
    if [[ ${OM_WITHOUT_ORLEANS:-} == 1 ]]; then
        orleans='OM_WITHOUT_ORLEANS is set'
    elif "$dotnet" restore src/Silo/Silo.csproj -v q -nodeReuse:false >$log 2>&1 </dev/null 9>&-; then
        orleans=yes
    elif grep -q ' error ' $log && ! grep ' error ' $log | grep -q -v -E 'error NU110[123]:'; then
        missing=$(grep -o -E 'error NU110[123]: Unable to find [a-z ]*package [^ ]+' $log | awk '{ sub(/\.$/, "", $NF); print $NF }' | sort -u | paste -sd ' ' - | sed 's/ /, /g')
        orleans="the package sources lack $missing"
        # What a restore that failed left behind speaks for nothing.
        rm -f src/{Silo,Grains}/obj/project.assets.json
    else
        grep ' error ' $log | sort -u >&2 || cat $log >&2
        say "the packages of src/Silo could not be restored; .build/restore.log has all of it"
        return 1
    fi
    [[ $orleans == yes ]] || say "$orleans: building OrleansMemory.WithoutOrleans.slnf"
    printf '%s\n' "$(orleans_key)" "$orleans" >.build/orleans.next
    mv .build/orleans.next .build/orleans
}

# Sets $orleans, by a restore if need be.
find_orleans()
{
    read_orleans
    [[ -n $orleans ]] && return
    (
        cd -- "$root" || exit 1
        mkdir -p .build
        exec 9>>.build/lock
        lock || exit 1
        require_sdk
        read_orleans
        [[ -n $orleans ]] || probe_orleans
    ) || return
    read_orleans
}

# What is built here; after find_orleans.
solution()
{
    [[ $orleans == yes ]] && echo OrleansMemory.sln || echo OrleansMemory.WithoutOrleans.slnf
}

is_in_solution()
{
    [[ $orleans == yes ]] || grep -q -F "\\$1.csproj" "$root/OrleansMemory.WithoutOrleans.slnf"
}

# Prints "SUITE<tab>program" for each test project that is built here.
test_programs()
{
    local project suite
    for project in "$root"/tests/*.Tests/*.csproj; do
        suite=${project##*/}
        suite=${suite%.csproj}
        is_in_solution "$suite" || continue
        printf '%s\t%s\n' "$suite" "${project%/*}/bin/Release/$framework/OrleansMemory.$suite"
    done
}

is_current()
{
    local unit=$1 file
    [[ -f $root/.build/$unit.built ]] || return 1
    if [[ $unit == faulty ]]; then
        [[ -x $faulty && $(fingerprint "$unit") == "$(<"$root/.build/$unit.built")" ]]
        return
    fi
    [[ -x $program ]] || return 1
    read_orleans
    [[ -n $orleans ]] || return 1
    [[ $orleans != yes || -x $silo ]] || return 1
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
    local unit path units=(cli all)
    if [[ $1 == faulty ]]; then
        units=(faulty)
        [[ -d $root/.build/faulty && ! -f $root/.build/faulty.tried ]] && return
    else
        compgen -G "$root/src/Cli/obj/Release" >/dev/null && [[ ! -f $root/.build/cli.tried ]] && return
    fi
    [[ $1 == all ]] && compgen -G "$root/tests/*/obj/Release" >/dev/null && [[ ! -f $root/.build/all.tried ]] && return
    for unit in "${units[@]}"; do
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
    if [[ $unit != faulty ]]; then
        read_orleans
        [[ -n $orleans ]] || probe_orleans || exit 1
    fi
    if [[ $unit == all ]]; then
        targets=("$(solution)")
        units=(cli all)
    elif [[ $unit == faulty ]]; then
        targets=(src/Cli/Cli.csproj)
        units=(faulty)
        flags+=(-p:FaultInjection=true)
    else
        targets=(src/Cli/Cli.csproj)
        [[ $orleans != yes ]] || targets+=(src/Silo/Silo.csproj)
        units=(cli)
    fi

    is_hidden_from_msbuild "$unit" && flags+=(--no-incremental)
    for each in "${units[@]}"; do
        fingerprint "$each" >".build/$each.next"
        rm -f ".build/$each.built" ".build/$each.tried"
    done

    say "building ${targets[*]}$([[ $unit != faulty ]] || echo ', with faults')"
    export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_UI_LANGUAGE=en
    code=0
    trap 'exit 130' INT
    : >.build/build.log
    for target in "${targets[@]}"; do
        "$dotnet" build "$target" "${flags[@]}" >>.build/build.log 2>&1 </dev/null 9>&- || { code=$?; break; }
    done
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
