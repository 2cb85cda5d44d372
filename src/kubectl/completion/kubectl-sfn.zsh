#compdef kubectl-sfn
# Completions of kubectl-sfn for zsh: source <(kubectl sfn completion zsh)
_kubectl_sfn() {
    local line directive=4
    local -a offered
    while IFS= read -r line; do
        case "$line" in
            :[0-9]*) directive="${line#:}" ;;
            *$'\t'*) offered+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            *) offered+=("${line//:/\\:}") ;;
        esac
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#offered} )); then
        _describe -V 'kubectl sfn' offered
    elif [[ "$directive" == 0 ]]; then
        _files
    fi
}
# In a file of this name on $fpath it is the completion itself; read by source it registers it.
if [ "${funcstack[1]}" = _kubectl_sfn ]; then
    _kubectl_sfn "$@"
else
    compdef _kubectl_sfn kubectl-sfn
fi
