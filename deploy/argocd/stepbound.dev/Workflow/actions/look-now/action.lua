-- Compares with AWS at once.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["stepbound.dev/reconcile-now"] = tostring(os.time())
return obj
