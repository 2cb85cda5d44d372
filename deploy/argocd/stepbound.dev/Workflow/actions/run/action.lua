-- A run of the default target, without an input.
local run = {
  apiVersion = "stepbound.dev/v1alpha1",
  kind = "WorkflowRun",
  metadata = {
    name = string.sub(obj.metadata.name, 1, 200) .. "-" .. tostring(os.time()),
    namespace = obj.metadata.namespace,
    annotations = {["stepbound.dev/created-by"] = "argocd"},
  },
  spec = { workflowRef = { name = obj.metadata.name } },
}
return {{ operation = "create", resource = run }}
