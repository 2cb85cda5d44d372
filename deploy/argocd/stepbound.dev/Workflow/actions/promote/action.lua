-- The new version of the first alias that is being rolled out takes over at once.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
for _, alias in ipairs(obj.status.aliases or {}) do
  if (alias.phase == "RollingOut" or alias.phase == "Paused") and alias.target ~= nil then
    obj.metadata.annotations["stepbound.dev/promote"] = alias.name .. "/" .. string.format("%d", alias.target)
    return obj
  end
end
return obj
