-- Pins every alias that is being rolled out to the version that it routed to before. Git has to follow, or a sync begins
-- the rollout again.
for _, alias in ipairs(obj.status.aliases or {}) do
  if alias.phase == "RollingOut" or alias.phase == "Paused" then
    for _, wanted in ipairs(obj.spec.aliases or {}) do
      for _, route in ipairs(alias.routes or {}) do
        if wanted.name == alias.name and route.version ~= alias.target then
          wanted.version = route.version
          wanted.rollout = nil
        end
      end
    end
  end
end
return obj
