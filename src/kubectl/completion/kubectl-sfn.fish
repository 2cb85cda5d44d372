# Completions of kubectl-sfn for fish: kubectl sfn completion fish | source
function __kubectl_sfn_complete
    set -l words (commandline -opc)
    set -l offered ($words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $offered) -eq 1 -a "$offered[1]" = ":0"
        __fish_complete_path (commandline -ct)
        return
    end
    for line in $offered
        string match -qr '^:[0-9]+$' -- $line; or echo $line
    end
end
complete -c kubectl-sfn -f -a '(__kubectl_sfn_complete)'
