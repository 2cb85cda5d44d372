# Completions of kubectl-sfn for bash: source <(kubectl sfn completion bash)
_kubectl_sfn() {
    local words directive line
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
            :[0-9]*) directive="${line#:}" ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    if [ "${directive:-4}" = 0 ] && [ "${#COMPREPLY[@]}" = 0 ]; then
        compopt -o default 2>/dev/null
    fi
    # Bash takes an equals sign for the end of a word.
    local typed="${COMP_WORDS[COMP_CWORD]}"
    if [ "$typed" = = ] || [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
        COMPREPLY=("${COMPREPLY[@]#*=}")
    fi
}
complete -F _kubectl_sfn kubectl-sfn
