//! A sweep's part of a session: training one of its cells, drawing what came of all of them.

use std::cell::Cell;

use super::{Host, Session, SessionError};
use crate::protocol::{Event, RunState, SweepEvent};
use crate::spec::{Link, RunSpec};
use crate::sweep::trial::trial;
use crate::sweep::{Quantity, Results, Sweep, edge_chart, heat, race_table};

/// Longest time without letting messages arrive.
const BREATH_MS: f64 = 25.0;
/// Time between two messages of progress, at least.
const TELLING_MS: f64 = 250.0;

impl<H: Host> Session<H> {
    /// Trains a trial to its end, unless another command interrupts it; the run in the lab pauses first.
    pub(super) async fn trial(&mut self, number: u32, spec: RunSpec, target: f64) -> Result<(), SessionError> {
        if let Some(issue) = spec.validate().into_iter().next() {
            return Err(SessionError::Refused(format!("trial {number} cannot run: {}", issue.message)));
        }
        let (host, inbox) = (self.host.clone(), self.inbox.clone());
        if let Some(run) = self.run.as_mut().filter(|run| run.state == RunState::Running) {
            run.pause(&*host).await?;
        }
        let data = self.shelf.get(&*host, &spec).await?;
        let executor = self.spare_executor().await?;
        let (breathed, told) = (Cell::new(host.now_ms()), Cell::new(host.now_ms()));
        let go_on = async |fraction: f64| {
            let now = host.now_ms();
            if now - told.get() >= TELLING_MS {
                told.set(now);
                host.emit(Event::Sweep(SweepEvent::TrialProgress { trial: number, fraction }), vec![]);
            }
            if now - breathed.get() >= BREATH_MS {
                host.breathe().await;
                breathed.set(host.now_ms());
            }
            !inbox.interrupts()
        };
        let (executor, outcome) = trial(executor, &spec, data, target, host.clock(), go_on).await?;
        self.spare = Some(executor);
        host.emit(Event::Sweep(SweepEvent::Trial { trial: number, outcome }), vec![]);
        Ok(())
    }

    /// Draws a sweep's map and, where it has one, its stable edge or its race.
    pub(super) fn sweep_figures(&self, link: String, results: &Results, quantity: Quantity) {
        let (sweep, _) = Sweep::read(&Link::parse(&link));
        let mut figures = vec![heat(&sweep, results, quantity)];
        figures.extend(edge_chart(&sweep, results).or_else(|| race_table(&sweep, results)));
        self.host.emit(Event::Sweep(SweepEvent::Figures { link, figures }), vec![]);
    }
}
