//! From what stands on the command line to a run's spec.

use std::path::Path;

use engine::spec::{Issue, Link, Page};
use serde_json::json;

use crate::{Failure, print};

/// Reads a link, JSON, or the file of that name, whatever page it leads to.
pub fn parse(what: &str) -> Result<Link, Failure> {
    let path = Path::new(what);
    let text = if !what.starts_with(['{', '#']) && path.is_file() {
        std::fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{what}: {error}")))?
    } else {
        what.to_owned()
    };
    Ok(Link::parse(&text))
}

/// Reads a run.
pub fn read(what: &str) -> Result<Link, Failure> {
    let link = parse(what)?;
    match link.page {
        Page::Lab => Ok(link),
        page => Err(Failure::Usage(format!("a link to the page {} is no run", page.route()))),
    }
}

/// The run, which must be right in every part: a sweep must not train with a default in place of a mistyped value.
pub fn read_exactly(what: &str) -> Result<Link, Failure> {
    turned_exactly(what, &[])
}

/// [`read`], with controls turned one after the other.
fn turned(what: &str, set: &[(String, String)]) -> Result<Link, Failure> {
    let mut link = read(what)?;
    for (path, value) in set {
        if let Err(issue) = link.spec.set(path, value) {
            link.issues.push(issue);
        }
    }
    link.issues.extend(link.spec.sanitize());
    Ok(link)
}

/// [`read_exactly`], with controls turned one after the other.
pub fn turned_exactly(what: &str, set: &[(String, String)]) -> Result<Link, Failure> {
    let link = turned(what, set)?;
    refuse(&link.issues)?;
    Ok(link)
}

/// Fails if anything was wrong.
pub fn refuse(issues: &[Issue]) -> Result<(), Failure> {
    let complaint = |issue: &Issue| {
        if issue.path.is_empty() { issue.message.clone() } else { format!("{}: {}", issue.path, issue.message) }
    };
    let complaints: Vec<String> = issues.iter().map(complaint).collect();
    if complaints.is_empty() { Ok(()) } else { Err(Failure::Usage(complaints.join("; "))) }
}

/// Prints the run as it would be and what is wrong with it.
pub fn describe(what: &str, set: &[(String, String)]) -> Result<(), Failure> {
    let link = turned(what, set)?;
    let report = json!({ "link": link.fragment(), "spec": link.spec, "issues": link.issues });
    print(&serde_json::to_string_pretty(&report).map_err(|error| Failure::Failed(error.to_string()))?)?;
    refuse(&link.issues)
}
