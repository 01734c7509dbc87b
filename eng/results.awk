# Reads the events that an xunit.v3 program writes with `-reporter json`, one object a line, amid whatever the tests printed.
# Prints "passed failed skipped ended" (ended: 1 when the run came to its end), then, when it did not, the tests that were running,
# then each failure with its messages and the innermost line of our own sources. Counts hold for a run cut short.

# The text of the JSON string that starts at s, which begins behind its opening quote. Sets `rest` to what follows it.
function unquote(s,    out, c, at)
{
    match(s, /^([^"\\]|\\.)*/)
    rest = substr(s, RLENGTH + 2)
    s = substr(s, 1, RLENGTH)
    out = ""
    while ((at = index(s, "\\")) > 0) {
        c = substr(s, at + 1, 1)
        out = out substr(s, 1, at - 1)
        if (c == "n") out = out "\n"
        else if (c == "t") out = out "\t"
        else if (c == "u") { out = out substr(s, at, 6); at += 4 }
        else if (c == "r" || c == "b" || c == "f") out = out " "
        else out = out c
        s = substr(s, at + 2)
    }
    return out s
}

function text(key,    at)
{
    at = index($0, "\"" key "\":\"")
    return at ? unquote(substr($0, at + length(key) + 4)) : ""
}

function number(key,    at)
{
    at = index($0, "\"" key "\":")
    return at ? substr($0, at + length(key) + 3) + 0 : 0
}

# Fills items with the strings of an array; null counts as empty. Returns how many.
function list(key, items,    at, n, s)
{
    n = 0
    at = index($0, "\"" key "\":[")
    if (!at) return 0
    s = substr($0, at + length(key) + 4)
    while (1) {
        if (substr(s, 1, 1) == "\"") { items[++n] = unquote(substr(s, 2)); s = rest }
        else if (substr(s, 1, 4) == "null") { items[++n] = ""; s = substr(s, 5) }
        else return n
        if (substr(s, 1, 1) != ",") return n
        s = substr(s, 2)
    }
}

function fail(name,    n, i, j, types, messages, stacks, frames, m)
{
    details = details "FAILED " name "\n"
    n = list("Messages", messages)
    list("ExceptionTypes", types)
    list("StackTraces", stacks)
    for (i = 1; i <= n; i++) {
        if (types[i] !~ /^Xunit\./) messages[i] = types[i] ": " messages[i]
        gsub(/\n/, "\n    ", messages[i])
        details = details "    " messages[i] "\n"
        m = split(stacks[i], frames, "\n")
        for (j = 1; j <= m; j++) {
            if (frames[j] ~ /:line [0-9]+$/ && frames[j] !~ / in \/_\//) {
                details = details "  " frames[j] "\n"
                break
            }
        }
    }
}

{
    at = index($0, "{\"$type\":\"")
    if (!at) next
    $0 = substr($0, at)
    type = text("$type")
    id = text("TestUniqueID")
}

type == "test-starting" { names[id] = text("TestDisplayName"); running[id] = substr(text("StartTime"), 12, 8) }
type == "test-passed" { passed++ }
type == "test-skipped" { skipped++ }
type == "test-failed" { failed++; fail(names[id]) }
type == "test-finished" { delete running[id] }
type == "error" || type ~ /-cleanup-failure$/ { failed++; fail(id in names ? names[id] " (" type ")" : type) }
type == "test-assembly-finished" { ended = 1 }

END {
    print passed + 0, failed + 0, skipped + 0, ended + 0
    if (!ended) {
        for (id in running) print "    was running since " running[id] " UTC: " names[id]
    }
    printf "%s", details
}
