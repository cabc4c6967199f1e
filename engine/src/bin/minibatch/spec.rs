//! From what stands on the command line to a run's spec.

use std::path::Path;

use engine::spec::{Link, Page};
use serde_json::json;

use crate::{Failure, print};

/// Reads a link, JSON, or the file of that name.
pub fn read(what: &str) -> Result<Link, Failure> {
    let path = Path::new(what);
    let text = if !what.starts_with(['{', '#']) && path.is_file() {
        std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{what}: {error}")))?
    } else {
        what.to_owned()
    };
    let link = Link::parse(&text);
    match link.page {
        Page::Lab => Ok(link),
        page => Err(Failure::Usage(format!("a link to the page {} is no run", page.route()))),
    }
}

/// The run, which must be right in every part: a sweep must not train with a default in place of a mistyped value.
pub fn read_exactly(what: &str) -> Result<Link, Failure> {
    let link = read(what)?;
    let complaints: Vec<String> =
        link.issues
            .iter()
            .map(|issue| {
                if issue.path.is_empty() { issue.message.clone() } else { format!("{}: {}", issue.path, issue.message) }
            })
            .collect();
    if complaints.is_empty() { Ok(link) } else { Err(Failure::Usage(complaints.join("; "))) }
}

/// Prints the run as it would be and what is wrong with it.
pub fn describe(what: &str) -> Result<(), Failure> {
    let link = read(what)?;
    let report = json!({ "link": link.fragment(), "spec": link.spec, "issues": link.issues });
    print(&serde_json::to_string_pretty(&report).map_err(|error| Failure::Failed(error.to_string()))?)?;
    read_exactly(what).map(|_| ())
}
