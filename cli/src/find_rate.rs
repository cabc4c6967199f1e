//! The learning-rate range test of a run at its start.

use engine::protocol::Backend;
use engine::range::{Limit, Range, RangeTest};
use engine::spec::three_digits;
use engine::train::Trainer;
use serde_json::{Value, json};
use studies::Host;

use crate::native::{Native, now_ms};
use crate::{Failure, print, print_json, spec};

/// Tests learning rates on what a link or spec says and prints what they do.
pub fn run(what: &str, range: Range, backend: Backend, as_json: bool) -> Result<(), Failure> {
    let link = spec::read_exactly(what)?;
    let native = Native::new(backend);
    let begun = now_ms();
    let failed = |error: &dyn std::error::Error| Failure::Failed(error.to_string());
    let (test, parameters, adapter) = pollster::block_on(async {
        let data = native.data(&link.spec).await.map_err(|error| failed(&error))?;
        let (executor, info) = native.executor().await.map_err(|error| failed(&error))?;
        let mut trainer = Trainer::new(executor, &link.spec, data).await.map_err(|error| failed(&error))?;
        let mut test = RangeTest::new(&trainer, range);
        let tell = async |test: &RangeTest| {
            if let Some(point) = test.record().points().last() {
                native.teller.say(&format!("learning rate {}: loss {:.4}", three_digits(point.rate), point.loss));
            }
            true
        };
        test.run(&mut trainer, tell).await.map_err(|error| failed(&error))?;
        native.teller.end();
        Ok::<_, Failure>((test, trainer.layout().len(), info.adapter))
    })?;
    if !as_json {
        return print(&test.figure().alt);
    }
    print_json(&json!({
        "link": link.fragment(),
        "backend": adapter,
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
