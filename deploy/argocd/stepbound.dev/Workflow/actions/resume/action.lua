-- Holds no alias any more.
if obj.metadata.annotations ~= nil then
  obj.metadata.annotations["stepbound.dev/pause"] = nil
end
return obj
