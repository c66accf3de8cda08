//! One instance of the lock component.

use wasmtime::{ResourceLimiter, Result, Store};

use super::scopes::{Scope, Scopes};
use crate::{
    bindings::{HostSide, HostSidePre, exports::holdfast::lock::steps},
    error::BuildError,
    limits::Limits,
    types::{Answer, Begun, Form, Outcome, Request, StoreChoice, Verb},
};

/// An instance and its memory.
pub(super) struct Instance {
    store: Store<HostState>,
    component: HostSide,
    /// The version of the scope that the instance knows by each number; 0 for no scope.
    scopes: Vec<u64>,
    /// How many scopes had ended when this instance last forgot ended scopes.
    scopes_ended: u64,
    step_ticks: u64,
}

/// The host's data of an instance.
pub(super) struct HostState {
    memory_limit: usize,
    memory: usize,
}

impl Instance {
    pub(super) fn new(component: &HostSidePre<HostState>, limits: &Limits) -> Result<Self> {
        let state = HostState { memory_limit: limits.instance_memory, memory: 0 };
        let mut store = Store::new(component.engine(), state);
        store.limiter(|state| state);
        store.set_epoch_deadline(limits.step_ticks());
        let component = component.instantiate(&mut store)?;
        let step_ticks = limits.step_ticks();
        Ok(Self { store, component, scopes: Vec::new(), scopes_ended: 0, step_ticks })
    }

    /// The linear memory that the instance has grown to, in bytes. It never shrinks.
    pub(super) fn memory(&self) -> usize {
        self.store.data().memory
    }

    /// The first step of a call.
    pub(super) fn begin(
        &mut self,
        scope: &Scope,
        store: StoreChoice<'_>,
        request: Request<'_>,
    ) -> Result<Begun> {
        if self.scopes.get(scope.number() as usize) != Some(&scope.version()) {
            // The rules accepted the same stores when the scope was made.
            self.configure(scope)?.map_err(wasmtime::Error::new)?;
        }
        let (steps, instance) = self.steps();
        steps.call_begin(instance, scope.number(), store, request)
    }

    /// The last step of a call.
    pub(super) fn end(&mut self, verb: Verb, form: Form, outcome: Outcome<'_>) -> Result<Answer> {
        let (steps, instance) = self.steps();
        steps.call_end(instance, verb, form, outcome)
    }

    /// Makes a scope known to the instance. The inner error is the rules' refusal.
    pub(super) fn configure(&mut self, scope: &Scope) -> Result<Result<(), BuildError>> {
        let stores: Vec<_> = scope.stores().iter().collect();
        let (steps, instance) = self.steps();
        let configured = steps.call_configure(instance, scope.number(), &stores)?;
        if let Err(refusal) = configured {
            return Ok(Err(BuildError::Refused(refusal)));
        }
        let number = scope.number() as usize;
        if self.scopes.len() <= number {
            self.scopes.resize(number + 1, 0);
        }
        self.scopes[number] = scope.version();
        Ok(Ok(()))
    }

    /// Forgets the scopes that have ended.
    pub(super) fn forget_ended(&mut self, scopes: &Scopes) -> Result<()> {
        let ended = scopes.ended();
        if self.scopes_ended == ended {
            return Ok(());
        }
        for number in 0..self.scopes.len() {
            let version = self.scopes[number];
            if version != 0 && !scopes.is_current(number, version) {
                let (steps, instance) = self.steps();
                steps.call_forget(instance, number as u32)?;
                self.scopes[number] = 0;
            }
        }
        self.scopes_ended = ended;
        Ok(())
    }

    /// The steps. Each call renews the deadline.
    pub(super) fn steps(&mut self) -> (&steps::Guest, &mut Store<HostState>) {
        self.store.set_epoch_deadline(self.step_ticks);
        (self.component.holdfast_lock_steps(), &mut self.store)
    }

    /// Lets the next step run over its deadline.
    #[cfg(test)]
    pub(super) fn set_step_ticks(&mut self, ticks: u64) {
        self.step_ticks = ticks;
    }

    /// How many scopes the instance knows.
    #[cfg(test)]
    pub(super) fn known_scopes(&self) -> usize {
        self.scopes.iter().filter(|version| **version != 0).count()
    }
}

impl ResourceLimiter for HostState {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let allowed = desired <= self.memory_limit;
        if allowed {
            self.memory = desired;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= 10_000)
    }
}
