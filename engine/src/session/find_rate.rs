//! The learning-rate range test beside a run.

use std::cell::Cell;

use super::run::ActiveRun;
use super::{Host, Inbox, SessionError};
use crate::protocol::{Event, RunEvent, RunState};
use crate::range::{Range, RangeTest};

/// Longest time without letting messages arrive.
const BREATH_MS: f64 = 25.0;
/// Time between two drawings, at least.
const TELLING_MS: f64 = 150.0;

impl ActiveRun {
    /// Tests learning rates on a copy of the run, unless another command interrupts it. A run that trains pauses first and
    /// goes on after.
    pub async fn find_rate(&mut self, host: &impl Host, inbox: &Inbox, range: Range) -> Result<(), SessionError> {
        range.check().map_err(SessionError::Refused)?;
        let trained = self.trains();
        self.read_metrics(host).await?;
        if self.state == RunState::Failed {
            return Err(SessionError::Refused("the run has failed; rewind it or change the recipe".to_owned()));
        }
        if trained {
            self.state = RunState::Paused;
            self.tell_state(host);
        }
        let run = self.id;
        let tell = |test: &RangeTest, ended: bool| {
            let (figure, suggestions) = (test.figure(), test.suggestions());
            let what = RunEvent::RateTest { figure, suggestions, fraction: test.fraction(), ended };
            host.emit(Event::Run { run, what }, vec![]);
        };
        let (breathed, told) = (Cell::new(host.now_ms()), Cell::new(host.now_ms()));
        let mut test = RangeTest::new(&self.trainer, range);
        let go_on = async |test: &RangeTest| {
            let now = host.now_ms();
            if now - told.get() >= TELLING_MS {
                told.set(now);
                tell(test, false);
            }
            if now - breathed.get() >= BREATH_MS {
                host.breathe().await;
                breathed.set(host.now_ms());
            }
            !inbox.interrupts()
        };
        let outcome = test.run(&mut self.trainer, go_on).await;
        tell(&test, true);
        // Also after an error: a run whose device was lost is rebuilt, and then goes on as it did.
        if trained {
            self.resume(host)?;
        }
        Ok(outcome?)
    }
}
