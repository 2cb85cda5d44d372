local actions = {}
local suspended = obj.spec ~= nil and obj.spec.suspend == true
local rolling = false
local paused = false
if obj.status ~= nil then
  for _, alias in ipairs(obj.status.aliases or {}) do
    rolling = rolling or alias.phase == "RollingOut"
    paused = paused or alias.phase == "Paused"
  end
end
actions["run"] = {["disabled"] = suspended}
actions["look-now"] = {["disabled"] = suspended}
actions["promote"] = {["disabled"] = not (rolling or paused)}
actions["rollback"] = {["disabled"] = not (rolling or paused)}
actions["pause"] = {["disabled"] = not rolling}
actions["resume"] = {["disabled"] = not paused}
return actions
