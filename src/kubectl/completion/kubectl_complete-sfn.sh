#!/usr/bin/env sh
# Completions of kubectl sfn for kubectl, which looks for this script on the PATH under the name kubectl_complete-sfn:
#   kubectl sfn completion kubectl > ~/.local/bin/kubectl_complete-sfn && chmod +x ~/.local/bin/kubectl_complete-sfn
exec kubectl sfn __complete "$@"
