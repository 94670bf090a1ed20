# Completion of confleet for bash. The words come from the command's own table; names of sites, agents, rollouts and
# releases from the controller, when it answers at once.
_confleet() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
}
complete -o default -F _confleet confleet
