//! What the scripts in Python have in common.

use engine::spec::Loss;

use crate::schedule::{self, Rate};
use crate::script::Script;
use crate::text::{Language, number};

/// Constants and the functions of the learning rate.
pub struct Schedule {
    /// By name, in order.
    pub constants: Vec<(&'static str, String)>,
    /// As code.
    pub functions: Vec<String>,
}

/// The schedule of a script, its constants behind those of the network.
pub fn schedule(script: &Script<'_>, mut constants: Vec<(&'static str, String)>) -> Schedule {
    let mut functions = Vec::new();
    if let Rate::Computed { constants: more, functions: known } = &script.rate {
        for (name, value) in more {
            if !constants.iter().any(|(known, _)| known == name) {
                constants.push((name, number(*value)));
            }
        }
        functions.extend(known.iter().map(|function| function.written(Language::Python, function.comment())));
    }
    Schedule { constants, functions }
}

/// The learning rate of an update, as code of the loop.
pub struct RateCode {
    /// The expression.
    pub code: String,
    /// Whether it needs to know how many examples have been `seen`.
    pub counts: bool,
}

/// The rate; `recorded` is where the lab's are.
pub fn rate(script: &Script<'_>, recorded: &str) -> RateCode {
    let Rate::Computed { functions, .. } = &script.rate else {
        return RateCode { code: recorded.to_owned(), counts: false };
    };
    let counts = functions.last().is_some_and(|function| function.arguments.contains(&"seen"));
    let mut code = if counts { "rate(step, len(rows), seen)".to_owned() } else { "rate(step)".to_owned() };
    if let (true, Some(factor)) = (script.sized, schedule::scaling(script.spec, script.first)) {
        code = format!("{code} * {}", factor.replace("batch", "len(rows)"));
    }
    RateCode { code, counts }
}

/// The line of an update.
pub const REPORT: &str = "    print(f\"update {step}  loss {loss.item():.6f}  lab {DATA['lab_losses'][step]:.6f}\")\n";

/// The numbers at the end.
pub fn results(script: &Script<'_>) -> String {
    let loss = "print(f\"test loss {LOSS:.6f}  lab {DATA['lab_test_loss'].item():.6f}\")";
    match script.classes() {
        true => [
            "loss, accuracy = test()",
            &loss.replace("LOSS", "loss"),
            "print(f\"test accuracy {accuracy:.4f}  lab {DATA['lab_test_accuracy'].item():.4f}\")",
        ]
        .join("\n"),
        false => loss.replace("LOSS", "test()"),
    }
}

/// What the code uses of Python's own.
pub fn standard(code: &str) -> String {
    let used = |name: &&str| {
        let used = match *name {
            "pi" => "pi *".to_owned(),
            "inf" => "=inf".to_owned(),
            name => format!("{name}("),
        };
        let alone = |at: usize| !code[..at].ends_with(|c: char| c == '.' || c == '_' || c.is_alphanumeric());
        code.match_indices(&used).any(|(at, _)| alone(at) || *name == "inf")
    };
    let maths: Vec<&str> = ["cos", "exp", "floor", "inf", "log", "pi", "sqrt"].into_iter().filter(used).collect();
    match maths.is_empty() {
        true => "from pathlib import Path".to_owned(),
        false => format!("from math import {}\nfrom pathlib import Path", maths.join(", ")),
    }
}

/// What a loss is called.
pub fn objective(script: &Script<'_>) -> &'static str {
    match script.spec.objective.kind {
        Loss::CrossEntropy => "Cross-entropy in nats.",
        _ if script.classes() => "Squared distance from the one-hot class, mean over outputs.",
        _ => "Mean squared error.",
    }
}
