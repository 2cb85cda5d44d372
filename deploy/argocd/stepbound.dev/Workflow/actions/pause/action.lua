-- Holds every alias that is being rolled out.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
local names = {}
for _, alias in ipairs(obj.status.aliases or {}) do
  if alias.phase == "RollingOut" or alias.phase == "Paused" then
    table.insert(names, alias.name)
  end
end
obj.metadata.annotations["stepbound.dev/pause"] = table.concat(names, ",")
return obj
