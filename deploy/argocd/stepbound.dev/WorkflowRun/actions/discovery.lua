local actions = {}
local phase = nil
if obj.status ~= nil then
  phase = obj.status.phase
end
local over = phase == "Succeeded" or phase == "Failed" or phase == "TimedOut" or phase == "Aborted" or phase == "Dispatched"
local possible = obj.status ~= nil and obj.status.redrive ~= nil and obj.status.redrive.possible == true
actions["cancel"] = {["disabled"] = over or (obj.spec ~= nil and obj.spec.cancel ~= nil)}
actions["redrive"] = {["disabled"] = not (over and possible)}
return actions
