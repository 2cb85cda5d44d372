//! Parallel: its branches run at the same time, from the same input.

use std::collections::BTreeMap;

use serde_json::Value;

use super::data;
use super::engine::{Beside, Details, Engine};
use super::failure::Failure;
use super::state::{Branches, Parent, Phase, Scope, ScopeId};
use crate::asl::model::State;

impl<'m> Engine<'_, 'm> {
    pub(super) fn parallel(&mut self, scope: ScopeId, state: &'m State<'m>) {
        let input = self
            .taken(scope)
            .and_then(|taken| self.look(scope, &taken, Beside::default(), |sight| data::payload(state, sight)));
        let input = match input {
            Ok(input) => input,
            Err(fault) => return self.fault(scope, fault),
        };
        let last_event = self.emit(scope, "ParallelStateStarted", Details::new());
        let Some(own) = self.run.scopes.get(&scope) else { return };
        let Some(place) = own.visit.as_ref().map(|visit| visit.state) else { return };
        let machines = self.program.inside(own.machine, place).to_vec();
        let (execution, iterations) = (own.execution, own.iterations.clone());
        let mut open = BTreeMap::new();
        for (slot, machine) in machines.iter().enumerate() {
            let branch = Scope {
                machine: *machine,
                execution,
                parent: Some(Parent { scope, slot, is_seen: true }),
                variables: BTreeMap::new(),
                variable_bytes: 0,
                item: None,
                iterations: iterations.clone(),
                last_event,
                visit: None,
            };
            let Some(branch) = self.open(branch) else { return };
            open.insert(slot, branch);
            self.begin_at(branch, input.clone());
        }
        let Some(visit) = self.visit(scope) else { return };
        let is_empty = open.is_empty();
        visit.phase = Phase::Branches(Box::new(Branches { results: vec![None; machines.len()], open }));
        if is_empty {
            self.all_branches(scope);
        }
    }

    /// A branch has ended.
    pub(super) fn branch_ended(&mut self, parent: Parent, child: ScopeId, result: Result<Value, Failure>) {
        let Some(visit) = self.visit(parent.scope) else { return };
        let Phase::Branches(branches) = &mut visit.phase else { return };
        if branches.open.get(&parent.slot) != Some(&child) {
            return;
        }
        branches.open.remove(&parent.slot);
        match result {
            Ok(output) => {
                branches.results[parent.slot] = Some(output);
                if branches.open.is_empty() {
                    self.all_branches(parent.scope);
                }
            }
            Err(failure) => {
                self.abort_inside(parent.scope);
                self.failed(parent.scope, failure);
            }
        }
    }

    fn all_branches(&mut self, scope: ScopeId) {
        let Some(visit) = self.visit(scope) else { return };
        let Phase::Branches(branches) = &mut visit.phase else { return };
        let results = branches.results.iter_mut().map(|result| result.take().unwrap_or_default()).collect();
        self.emit_aside(scope, "ParallelStateSucceeded", Details::new());
        self.finish(scope, &Value::Array(results));
    }
}
