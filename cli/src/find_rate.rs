//! The learning-rate range test of a run, at its start or later.

use engine::protocol::Backend;
use engine::range::{Limit, Range, RangeTest};
use engine::spec::three_digits;
use serde_json::{Value, json};

use crate::args::Place;
use crate::native::now_ms;
use crate::place::{Reached, failed, reach};
use crate::{Failure, print, print_json};

/// Tests learning rates at a moment of a run and prints what they do.
pub fn run(place: &Place, range: Range, backend: Backend, as_json: bool) -> Result<(), Failure> {
    let begun = now_ms();
    let (test, link, parameters, adapter) = pollster::block_on(async {
        let Reached { link, mut trainer, backend, native } = reach(place, backend).await?;
        let mut test = RangeTest::new(&trainer, range);
        let tell = async |test: &RangeTest| {
            if let Some(point) = test.records().last().and_then(|record| record.points().last()) {
                native.teller.say(&format!("learning rate {}: loss {:.4}", three_digits(point.rate), point.loss));
            }
            true
        };
        test.run(&mut trainer, tell).await.map_err(failed)?;
        native.teller.end();
        Ok::<_, Failure>((test, link, trainer.layout().len(), backend.adapter))
    })?;
    if !as_json {
        return print(&test.figure().alt);
    }
    print_json(&json!({
        "link": link.fragment(),
        "backend": adapter,
        "step": test.step(),
        "parameters": parameters,
        "range": test.range(),
        "points": test.record().points(),
        "restarts": test.records()[1..].iter().map(engine::range::Record::points).collect::<Vec<_>>(),
        "diverged": test.record().diverged(),
        "suggestions": test.suggestions(),
        "present": test.present(),
        "limit": limit(&test),
        "seconds": (now_ms() - begun) / 1000.0,
    }))
}

/// The curvature's limit, or why there is none.
fn limit(test: &RangeTest) -> Value {
    match test.limit() {
        Some(Limit::Stable(stable)) => json!({
            "rate": stable.rate,
            "multiple": stable.multiple,
            "lambda": stable.lambda,
            "preconditioned": stable.preconditioned,
            "operator": stable.operator,
            "samples": stable.samples,
            "examples": stable.all,
        }),
        Some(Limit::Unknown(why)) => json!({ "unknown": why }),
        None => Value::Null,
    }
}
