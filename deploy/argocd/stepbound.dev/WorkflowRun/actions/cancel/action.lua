obj.spec.cancel = { reason = "Cancelled in Argo CD." }
return obj
