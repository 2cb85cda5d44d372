-- Goes on from the state that failed.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["stepbound.dev/redrive"] = tostring(os.time())
return obj
