-- A run that failed is Degraded, and one that was stopped on purpose is Suspended. A run without an end is Progressing.
local hs = { status = "Progressing", message = "Waiting for the operator" }
if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "Is being deleted"
  return hs
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end
local message = ""
if conditions.Ready ~= nil then
  message = conditions.Ready.message
end
hs.message = message
local phase = obj.status.phase
if phase == "Succeeded" or phase == "Dispatched" then
  hs.status = "Healthy"
elseif phase == "Aborted" then
  hs.status = "Suspended"
elseif phase == "Failed" or phase == "TimedOut" then
  hs.status = "Degraded"
elseif conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = conditions.Stalled.reason .. ": " .. conditions.Stalled.message
end
return hs
